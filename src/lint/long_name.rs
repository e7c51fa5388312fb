//! `long-name`: a name that is as long as names can be, and was probably longer.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;

/// How many bytes of a name the server keeps (`NAMEDATALEN - 1`).
const KEPT: usize = 63;

/// Classes of objects with names of their own. Parts of partitions are named after those of their parents.
const NAMED: &[&str] = &[
    "schema",
    "table",
    "column",
    "view",
    "materialized view",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "enum",
    "domain",
    "composite type",
    "range type",
    "index",
    "primary key",
    "unique",
    "foreign key",
    "check",
    "exclusion",
    "domain constraint",
    "trigger",
    "policy",
    "rule",
    "statistics",
];

fn find(schema: &Schema) -> Vec<Found> {
    let long = |o: &&Object| o.id.base().len() >= KEPT && !o.flag("inherited");
    let named = NAMED.iter().flat_map(|class| schema.all(class)).filter(long);
    named.map(|o| Found::new(o, format!("{} has a name of {KEPT} bytes, and perhaps wanted more", o.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "long-name",
    meaning: "A name has 63 bytes: the server has probably cut it.",
    why: "What is longer than 63 bytes is cut without an error, names that the server makes up for constraints and indexes included. A name that \
          was cut reads badly, is not found by what it was called, and may be that of something else one day. Give it a shorter one.",
    bad: "CREATE TABLE subscription_invoices_of_the_current_period (\n    id bigint PRIMARY KEY,\n    \
          customer_reference_number text UNIQUE\n);",
    good: "CREATE TABLE subscription_invoices_of_the_current_period (\n    id bigint PRIMARY KEY,\n    \
           customer_reference_number text CONSTRAINT subscription_invoices_reference_key UNIQUE\n);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[],
    find,
};
