//! `json-type`: JSON as text.

use super::schema::typed;
use super::{Found, Rule, Schema};
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let found = typed(schema, |name| name == "json");
    found.map(|(o, name)| Found::new(o, format!("{} is {name}", o.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "json-type",
    meaning: "A column or a domain is json instead of jsonb.",
    why: "json keeps the text and reads it anew with every access; it has no equality, so that DISTINCT, GROUP BY and UNION fail on it, and no GIN index. It is right only where the text itself, with its blanks and double keys, has to be kept.",
    bad: "CREATE TABLE events (id bigint PRIMARY KEY, payload json NOT NULL);",
    good: "CREATE TABLE events (id bigint PRIMARY KEY, payload jsonb NOT NULL);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("strong_migrations", "add_column_json"), ("schemalint", "prefer-jsonb-to-json")],
    find,
};
