//! Texts of strangers inside Markdown: nothing in them is markup, a link, or a mention that pings somebody.

use super::super::page::{clean, steers};

/// A code span, which is literal whatever stands in it.
pub fn code(text: &str) -> String {
    let text = clean(text);
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// What stands in a cell of a table: its bars would end it, also in code spans.
pub fn cell(markdown: &str) -> String {
    markdown.replace('|', "\\|")
}

/// A sentence: what stands between backquotes in it, names, numbers with letters and everything that could be markup become code spans;
/// plain words stay.
pub fn prose(text: &str) -> String {
    let text = clean(text);
    let words: Vec<&str> = text.split(' ').filter(|w| !w.is_empty()).collect();
    let (mut left, mut done) = (&words[..], Vec::new());
    while let Some(first) = left.first() {
        let (count, text) = quoted(left).unwrap_or_else(|| (1, word(first)));
        done.push(text);
        left = &left[count..];
    }
    done.join(" ")
}

const OPENS: [char; 2] = ['(', '"'];
const CLOSES: [char; 8] = ['.', ',', ';', ':', ')', '"', '!', '?'];
/// Of how many words a command in a sentence is at most.
const COMMAND: usize = 12;

/// The code span that the first words are when they stand between backquotes, `plumb purge`, and of how many words it is.
fn quoted(words: &[&str]) -> Option<(usize, String)> {
    let bare = words.first()?.trim_start_matches(OPENS);
    let start = &words[0][..words[0].len() - bare.len()];
    if !bare.starts_with('`') {
        return None;
    }
    for count in 1..=words.len().min(COMMAND) {
        let text = words[..count].join(" ");
        let core = text[start.len()..].trim_end_matches(CLOSES);
        let end = &text[start.len() + core.len()..];
        match core.strip_prefix('`').and_then(|core| core.strip_suffix('`')) {
            Some(inner) if inner.is_empty() || inner.contains('`') => return None,
            Some(inner) => return Some((count, format!("{start}{}{end}", code(inner)))),
            None => {}
        }
    }
    None
}

fn word(word: &str) -> String {
    let bare = word.trim_start_matches(OPENS);
    let start = &word[..word.len() - bare.len()];
    let mut core = bare.trim_end_matches(CLOSES);
    // A parenthesis that the word itself opens is its own: numeric(14,4).
    let open = |text: &str| text.matches('(').count() > text.matches(')').count();
    while open(core) && bare[core.len()..].starts_with(')') {
        core = &bare[..core.len() + 1];
    }
    let end = &bare[core.len()..];
    let letters = |c: char| c.is_alphabetic() || c == '-' || c == '\'';
    let digits = |c: char| c.is_ascii_digit() || c == ',' || c == '.' || c == '-';
    // A word that only consists of dashes could be a rule or a list.
    let plain = core.is_empty()
        || (core.chars().all(letters) && core.contains(char::is_alphabetic))
        || core.chars().all(digits) && !core.starts_with('-')
        || is_time(core);
    if plain { word.to_owned() } else { format!("{start}{}{end}", code(core)) }
}

/// `14:05:09`: no short name of an emoji has two digits.
fn is_time(word: &str) -> bool {
    word.split(':').count() == 3 && word.split(':').all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_digit()))
}

/// A fenced block; its lines stay lines.
pub fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let mut block = format!("{fence}{language}\n");
    for line in text.lines() {
        block.extend(line.chars().map(|c| if steers(c) && c != '\t' { clean(&c.to_string()) } else { c.to_string() }));
        block.push('\n');
    }
    block + &fence + "\n\n"
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_literal() {
        assert_eq!(code("public.t"), "`public.t`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a``"), "``` `a`` ```");
        assert_eq!(code("a\nb"), "`a\\nb`");
        assert_eq!(cell(&code("a|b")), "`a\\|b`");
    }

    #[test]
    fn prose_keeps_words_and_shields_the_rest() {
        assert_eq!(prose("all rows of public.t are lost"), "all rows of `public.t` are lost");
        assert_eq!(prose("612,003 of 1,204,551 rows"), "612,003 of 1,204,551 rows");
        assert_eq!(prose("on 2026-11-27 14:05:09 UTC, :100: or 1:100:1"), "on 2026-11-27 14:05:09 UTC, `:100`: or `1:100:1`");
        assert_eq!(prose("ask @admin, or #12 (see https://x.y)."), "ask `@admin`, or `#12` (see `https://x.y`).");
        assert_eq!(prose("it is numeric(14,4) and (was) f(g(a))."), "it is `numeric(14,4)` and (was) `f(g(a))`.");
        assert_eq!(prose("*bold* <img> --- a_b -x"), "`*bold*` `<img>` `---` `a_b` -x");
    }

    #[test]
    fn commands_in_prose_are_one_span() {
        assert_eq!(prose("there (`plumb purge` lists them)."), "there (`plumb purge` lists them).");
        assert_eq!(prose("look (`\\dx+ NAME`), then `x`."), "look (`\\dx+ NAME`), then `x`.");
        assert_eq!(prose("`a <img>` and `b @x`; c_d"), "`a <img>` and `b @x`; `c_d`");
        // Others have backquotes in their names, too, and nothing of theirs gets out of its span.
        assert_eq!(prose("`a``b` `` c `d"), "``` `a``b` ``` ``` `` ``` c `` `d ``");
        assert_eq!(prose("`a *b*"), "`` `a `` `*b*`");
        assert_eq!(prose("x`a` <b>`"), "`` x`a` `` `` <b>` ``");
    }

    #[test]
    fn no_text_ends_its_fence() {
        assert_eq!(fenced("sql", "a\n```\nb"), "````sql\na\n```\nb\n````\n\n");
    }
}
