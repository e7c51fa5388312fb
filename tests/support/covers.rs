//! Which case shows what: `fixtures/cases/covers.toml` names, for every kind, a case that creates it, one that drops it and one
//! per field in which the two sides differ.
//!
//! `tests/coverage.rs` reads the file and names what is missing in a moment; `tests/cases.rs` holds each case that is named there
//! to what it shows. `PLUMB_BLESS=1 cargo test --test coverage` looks for cases and writes the file.

use super::tree;
use plumb::change::{Action, Changes};
use plumb::kind::KINDS;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A class and `create`, `drop` or one of its fields.
pub type Point = (String, String);

/// What no case can show, with the reason.
pub const NEVER: &[(&str, &str, &str)] = &[
    ("owner", "create", "whoever makes an object owns it; another owner is an alteration"),
    ("owner", "drop", "an object has an owner as long as it stands"),
    ("primary key", "nulls_not_distinct", "a primary key has no nulls; keys share their fields"),
    ("exclusion", "replica_identity", "the server takes unique indexes only; constraints share their fields"),
    ("procedure", "result", "a procedure returns nothing; routines share their fields"),
    ("range type", "canonical", "its function is made over a shell type, which is not managed"),
    ("check", "deferrable", "the server has no deferrable checks; the field is read so that one would not go unseen"),
    ("check", "deferred", "the server has no deferrable checks; the field is read so that one would not go unseen"),
    ("default privileges", "base", "what applies without an entry is the same on both sides of one server"),
];

fn path() -> std::path::PathBuf {
    tree::root("fixtures/cases/covers.toml")
}

/// The cases that are named.
pub fn read() -> BTreeMap<Point, String> {
    let text = std::fs::read_to_string(path()).unwrap_or_default();
    let table: BTreeMap<String, BTreeMap<String, String>> = toml::from_str(&text).unwrap_or_else(|e| panic!("covers.toml: {e}"));
    let rows = |(class, rows): (String, BTreeMap<String, String>)| {
        rows.into_iter().map(move |(what, case)| ((class.clone(), what), case)).collect::<Vec<_>>()
    };
    table.into_iter().flat_map(rows).collect()
}

/// Writes the file.
pub fn write(named: &BTreeMap<Point, String>) {
    let mut text =
        "# Which case shows the making, the removal and the change of each field of each kind (tests/support/covers.rs).\n\
                    # Written by `PLUMB_BLESS=1 cargo test --test coverage`; a line may be changed to name another case.\n"
            .to_owned();
    for kind in KINDS {
        writeln!(text, "\n[\"{}\"]", kind.class).unwrap();
        for point in points(kind) {
            if let Some(case) = named.get(&point) {
                writeln!(text, "{} = \"{case}\"", point.1).unwrap();
            }
        }
    }
    std::fs::write(path(), text).unwrap();
}

fn points(kind: &plumb::kind::Kind) -> Vec<Point> {
    let whats = ["create", "drop"].into_iter().chain(kind.fields.iter().map(|f| f.name));
    let never = |what: &&str| NEVER.iter().any(|(class, point, _)| *class == kind.class && point == what);
    whats.filter(|w| !never(w)).map(|w| (kind.class.to_owned(), w.to_owned())).collect()
}

/// Everything that a case has to show.
pub fn wanted() -> BTreeSet<Point> {
    KINDS.iter().flat_map(|k| points(k)).collect()
}

/// What a comparison shows: objects made and removed, and fields that differ.
pub fn shown(changes: &Changes) -> BTreeSet<Point> {
    let mut found = BTreeSet::new();
    for change in changes.list.values() {
        let class = change.id.class().to_owned();
        match (&change.old, &change.new) {
            (Some(old), Some(new)) => found.extend(old.changed_fields(new).into_iter().map(|f| (class.clone(), f))),
            _ if change.action == Action::Create => drop(found.insert((class, "create".to_owned()))),
            _ => drop(found.insert((class, "drop".to_owned()))),
        }
    }
    found
}
