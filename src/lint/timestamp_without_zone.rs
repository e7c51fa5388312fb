//! `timestamp-without-zone`: a moment that nobody can place.

use super::schema::typed;
use super::{Found, Rule, Schema};
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let found = typed(schema, |name| name.starts_with("timestamp") && name.ends_with(" without time zone"));
    found.map(|(o, name)| Found::new(o, format!("{} is {name}", o.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "timestamp-without-zone",
    meaning: "A column or a domain is a timestamp without time zone.",
    why: "It holds what a clock on some wall showed: which moment that was depends on who reads it, and comparing it with now() depends on the session's TimeZone. timestamptz takes the same eight bytes and holds the moment. A timestamp is right for what is meant by the clock, such as opening hours.",
    bad: "CREATE TABLE visits (id bigint PRIMARY KEY, seen_at timestamp NOT NULL);",
    good: "CREATE TABLE visits (id bigint PRIMARY KEY, seen_at timestamptz NOT NULL);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("squawk", "prefer-timestamp-tz"), ("schemalint", "prefer-timestamptz-to-timestamp")],
    find,
};
