//! `char-type`: a type that is padded with blanks.

use super::schema::typed;
use super::{Found, Rule, Schema};
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let found = typed(schema, |name| name == "character" || name.starts_with("character("));
    found.map(|(o, name)| Found::new(o, format!("{} is {name}", o.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "char-type",
    meaning: "A column or a domain is char(n).",
    why: "Values are padded with blanks to their length, and the blanks count in some operations and not in others. It is neither smaller nor faster than text; a length is kept by a CHECK, which can be changed without touching the column.",
    bad: "CREATE TABLE countries (code char(2) PRIMARY KEY);",
    good: "CREATE TABLE countries (code text PRIMARY KEY CHECK (length(code) = 2));",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("squawk", "ban-char-field")],
    find,
};
