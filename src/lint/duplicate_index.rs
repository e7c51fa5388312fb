//! `duplicate-index`: two indexes that are one.

use super::schema::Index;
use super::{Found, Rule, Schema};
use crate::report::Level;

/// Whether both are the same in everything but their names.
pub fn same(a: &Index, b: &Index) -> bool {
    let shape = |i: &Index| (i.method.to_owned(), i.unique, i.predicate.map(str::to_owned), i.rest.clone());
    shape(a) == shape(b) && a.keys == b.keys && a.include == b.include
}

fn find(schema: &Schema) -> Vec<Found> {
    let mut found = Vec::new();
    for table in schema.all("table").chain(schema.all("materialized view")) {
        let mut indexes = schema.indexes(&table.id);
        indexes.retain(|i| i.object.id.class() != "exclusion");
        // A constraint stays, a primary key before all.
        indexes.sort_by_key(|i| (i.object.id.class() != "primary key", !i.is_constraint(), i.object.id.clone()));
        for (n, index) in indexes.iter().enumerate() {
            if let Some(first) = indexes[..n].iter().find(|first| same(first, index)) {
                let message = format!("{} is the same as {}", index.object.id, first.object.id);
                found.push(Found::new(index.object, message).or_at([table.id.clone()]));
            }
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "duplicate-index",
    meaning: "An index has method, keys, condition and uniqueness of another one.",
    why: "It costs space and time with every write and serves no query that the other does not. Of two, the one that a constraint made \
          stays.",
    bad: "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL CONSTRAINT users_email_key UNIQUE);\n\
          CREATE UNIQUE INDEX users_email_idx ON users (email);",
    good: "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL CONSTRAINT users_email_key UNIQUE);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("splinter", "duplicate_index")],
    find,
};
