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

/// A sentence: names, numbers with letters and everything that could be markup become code spans, word by word; plain words stay.
pub fn prose(text: &str) -> String {
    let text = clean(text);
    text.split(' ').filter(|w| !w.is_empty()).map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    let bare = word.trim_start_matches(['(', '"']);
    let start = &word[..word.len() - bare.len()];
    let mut core = bare.trim_end_matches(['.', ',', ';', ':', ')', '"', '!', '?']);
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
    fn no_text_ends_its_fence() {
        assert_eq!(fenced("sql", "a\n```\nb"), "````sql\na\n```\nb\n````\n\n");
    }
}
