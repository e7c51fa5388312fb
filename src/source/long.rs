//! Names of more than 63 bytes: the server cuts them without a word, and two that are cut to one name are one object to it.

use super::files::{Files, Place};
use super::lexer::{Kind, tokens};
use super::problem::{Problem, Problems};
use super::read::Statement;
use super::screen::Action;
use std::collections::BTreeMap;

/// How many bytes of a name the server keeps (`NAMEDATALEN - 1`).
pub const KEPT: usize = 63;

/// A name as it is written, and where it stands first.
struct Written {
    name: String,
    place: Place,
}

/// Notes on the names that are cut.
///
/// # Errors
/// Names that are written in different ways, of which the server makes one.
pub fn check(files: &Files, statements: &[Statement]) -> Result<Vec<String>, Problems> {
    let mut by_kept: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    for statement in statements.iter().filter(|s| !matches!(s.action, Action::Data | Action::Skip(_))) {
        for (name, place) in names(files, statement).filter(|(n, _)| n.len() >= KEPT) {
            let written = by_kept.entry(kept(&name).to_owned()).or_default();
            if written.iter().all(|w| w.name != name) {
                written.push(Written { name, place });
            }
        }
    }
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    for (kept, written) in &mut by_kept {
        written.sort_by_key(|w| (w.place.file, w.place.span.start));
        match written.as_slice() {
            [one] if one.name.len() > KEPT => notes.push(note(files, one, kept)),
            [_] => {}
            [first, others @ ..] => problems.extend(others.iter().map(|other| same(first, other, kept))),
            [] => {}
        }
    }
    if problems.is_empty() { Ok(notes) } else { Err(Problems::new(files, problems)) }
}

/// The names in a statement as the server reads them before it cuts them; keywords are among them, and no harm.
fn names<'a>(files: &'a Files, statement: &'a Statement) -> impl Iterator<Item = (String, Place)> + 'a {
    let text = files.at(&statement.place);
    tokens(text).filter_map(move |token| {
        let written = &text[token.span.clone()];
        let name = match token.kind {
            Kind::Word => written.to_ascii_lowercase(),
            // In U&"..." stand escapes, which only the server reads.
            Kind::Quoted if written.starts_with('"') => written[1..written.len() - 1].replace("\"\"", "\""),
            _ => return None,
        };
        let start = statement.place.span.start;
        Some((name, Place::new(statement.place.file, start + token.span.start..start + token.span.end)))
    })
}

/// What the server keeps: whole characters.
fn kept(name: &str) -> &str {
    let end = (0..=KEPT.min(name.len())).rev().find(|i| name.is_char_boundary(*i)).unwrap_or(0);
    &name[..end]
}

fn note(files: &Files, written: &Written, kept: &str) -> String {
    let (line, _) = files.line_column(&written.place);
    let file = files.0.get(written.place.file).map_or("", |f| f.path.as_str());
    let bytes = written.name.len();
    format!("{file}:{line}: a name of {bytes} bytes; the server keeps {KEPT} and calls it {}", crate::sql::ident(kept))
}

fn same(first: &Written, other: &Written, kept: &str) -> Problem {
    let message = format!("two names are equal in the {KEPT} bytes that the server keeps: {}", crate::sql::ident(kept));
    let mut p = Problem::at("source::long_name", other.place.clone(), message, "to the server this is the same name");
    p.also.push((first.place.clone(), "as this".to_owned()));
    p.help(format!("shorten them to at most {KEPT} bytes, so that they differ, or write the name in the same way everywhere"))
}

#[cfg(test)]
mod tests {
    use super::super::policy::Policy;
    use super::super::read::read;
    use super::*;

    fn checked(sql: &str) -> Result<Vec<String>, usize> {
        let files = Files::text("a.sql", sql);
        let statements = read(&files, &Policy::default()).expect("reads");
        check(&files, &statements).map_err(|p| p.list.len())
    }

    #[test]
    fn names_are_cut_at_63_bytes() {
        let (a62, a63) = ("a".repeat(62), "a".repeat(63));
        assert_eq!(checked(&format!("create table {a63} ({a62} int)")), Ok(vec![]));
        assert_eq!(checked(&format!("create table {a63}b ()")).map(|n| n.len()), Ok(1));
        assert_eq!(checked(&format!("create table {a63}b (); create view v as select from {a63}B")).map(|n| n.len()), Ok(1));
        assert_eq!(checked(&format!("create table {a63}b (); create table {a63}c ()")), Err(1));
        assert_eq!(checked(&format!("create table {a63} (); create table \"{a63}C\" ()")), Err(1));
        // A character of two bytes over the edge goes as a whole.
        assert_eq!(kept(&format!("{a62}é")), a62);
        assert_eq!(checked(&format!("create table {a62}é (); create table {a62}ü ()")), Err(1));
        assert_eq!(checked(&format!("comment on table t is '{a63}b'; comment on table u is '{a63}c'")), Ok(vec![]));
    }
}
