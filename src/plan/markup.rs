//! Texts of strangers inside HTML and SVG.

use super::page::steers;
use std::fmt::Write;

/// A text as HTML shows it, on one line or on several: nothing in it is markup, ends an attribute, or turns the reading direction.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            '\r' => escaped.push_str("\\r"),
            c if steers(c) => drop(write!(escaped, "\\u{{{:x}}}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text on one line.
pub fn line(text: &str) -> String {
    escape(&super::page::clean(text))
}

/// A sentence: what stands between backquotes in it is code. Others have them in their names, too; nothing in them is markup all the same.
pub fn sentence(text: &str) -> String {
    let line = line(text);
    if line.matches('`').count() % 2 == 1 {
        return line;
    }
    let parts = line.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { part.to_owned() } else { format!("<code>{part}</code>") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_a_sentence_are_code() {
        assert_eq!(sentence("`plumb purge` lists <it>"), "<code>plumb purge</code> lists &lt;it&gt;");
        assert_eq!(sentence("a`<b>"), "a`&lt;b&gt;");
        assert_eq!(sentence("`<b>`"), "<code>&lt;b&gt;</code>");
    }
}
