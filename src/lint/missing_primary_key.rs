//! `missing-primary-key`: a table without a primary key.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let identified = |table: &Object| {
        schema.parts(&table.id, "primary key").next().is_some()
            || schema.catalog.children(&table.id).any(|part| part.flag("replica_identity"))
    };
    let bare = schema.tables().filter(|t| !identified(t));
    bare.map(|t| Found::new(t, format!("{} has no primary key", t.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "missing-primary-key",
    meaning: "A table has no primary key.",
    why: "Nothing tells two equal rows apart: they cannot be changed or removed one by one, no foreign key can refer to them, and logical \
          replication of UPDATE and DELETE fails. Of a partitioned table only the table itself is asked; one whose replica identity is a \
          unique index is left alone.",
    bad: "CREATE TABLE payments (amount numeric NOT NULL);",
    good: "CREATE TABLE payments (\n    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    amount numeric NOT NULL\n);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("splinter", "no_primary_key"), ("schemalint", "require-primary-key")],
    find,
};
