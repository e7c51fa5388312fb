//! Two texts of one definition -> what differs, small enough to be read.

use similar::{ChangeTag, TextDiff};

use super::page::Mark;

/// The longest literal that is shown whole when a part of it changes.
const LITERAL: usize = 160;
/// Lines around a change.
const CONTEXT: usize = 1;

/// What differs between two texts.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// Both are one line: the words that differ.
    Words {
        /// The words that go.
        old: String,
        /// The words that come.
        new: String,
    },
    /// Changed lines with the lines around them; an empty mark and `…` stand between places.
    Lines(Vec<(Option<Mark>, String)>),
}

/// Compares two texts by words when both are one line, else by lines.
pub fn compare(old: &str, new: &str) -> Difference {
    let (old, new) = (old.trim_end(), new.trim_end());
    match (old == new, old.contains('\n') || new.contains('\n')) {
        (true, _) => Difference::None,
        (false, false) => words(old, new),
        // Definitions of several statements stand without the last semicolon: with it, a statement more is one line more.
        (false, true) => Difference::Lines(lines(&format!("{old};"), &format!("{new};"))),
    }
}

/// Both texts without the words that they begin and end with alike.
fn words(old: &str, new: &str) -> Difference {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split(' ').collect(), new.split(' ').collect());
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let most = a.len().min(b.len()) - start;
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count().min(most);
    let whole = |start: usize, end: usize| (a[start..a.len() - end].join(" "), b[start..b.len() - end].join(" "));
    let (old, new) = match literal(&a, start, end) {
        (start, end) if whole(start, end).1.len().max(whole(start, end).0.len()) <= LITERAL => whole(start, end),
        _ => whole(start, end),
    };
    let (old, new) = balanced(&old, &new);
    Difference::Words { old: old.to_owned(), new: new.to_owned() }
}

/// Both without the bracket at their end when neither has its beginning.
fn balanced<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let open = |text: &str| text.matches('(').count() < text.matches(')').count();
    match (old.strip_suffix(')'), new.strip_suffix(')')) {
        (Some(a), Some(b)) if open(old) && open(new) && !a.is_empty() && !b.is_empty() => (a, b),
        _ => (old, new),
    }
}

/// The range of words grown to whole literals: half a literal does not read well.
fn literal(words: &[&str], mut start: usize, mut end: usize) -> (usize, usize) {
    let quotes = |words: &[&str]| words.iter().map(|w| w.matches('\'').count()).sum::<usize>();
    while start > 0 && quotes(&words[..start]) % 2 == 1 {
        start -= 1;
    }
    while end > 0 && quotes(&words[words.len() - end..]) % 2 == 1 {
        end -= 1;
    }
    (start, end)
}

fn lines(old: &str, new: &str) -> Vec<(Option<Mark>, String)> {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let diff = TextDiff::from_slices(&a, &b);
    let mut lines = Vec::new();
    for (place, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if place > 0 {
            lines.push((None, "…".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Equal => None,
                ChangeTag::Delete => Some(Mark::Minus),
                ChangeTag::Insert => Some(Mark::Plus),
            };
            lines.push((mark, change.value().to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_shows_the_words_that_differ() {
        let words = compare("ALTER TABLE t ADD COLUMN s text", "ALTER TABLE t ADD COLUMN s text NOT NULL");
        assert_eq!(words, Difference::Words { old: String::new(), new: "NOT NULL".into() });
        assert_eq!(compare("a b c", "a x c"), Difference::Words { old: "b".into(), new: "x".into() });
        let whole = Difference::Words { old: "'old and tried'".into(), new: "'old and new'".into() };
        assert_eq!(compare("COMMENT ON t IS 'old and tried'", "COMMENT ON t IS 'old and new'"), whole);
        let label = Difference::Words { old: "'b'".into(), new: "'b', 'c'".into() };
        assert_eq!(compare("ENUM ('a', 'b')", "ENUM ('a', 'b', 'c')"), label);
        assert_eq!(compare("a a", "a a a"), Difference::Words { old: String::new(), new: "a".into() });
    }

    #[test]
    fn several_lines_show_what_stands_around() {
        let Difference::Lines(lines) = compare("1\n2\n3\n4\n5\n6\n7\n8", "1\n2\n3\nx\n5\n6\n7\n8\n9") else { panic!("lines") };
        let shown: Vec<String> = lines.iter().map(|(m, l)| format!("{}{l}", m.map_or(' ', Mark::sign))).collect();
        assert_eq!(shown, [" 3", "-4", "+x", " 5", " …", " 7", "-8;", "+8", "+9;"]);
    }
}
