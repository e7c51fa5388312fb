//! `foreign-key-without-index`: a foreign key whose own side cannot be searched.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;
use crate::sql::idents;

fn find(schema: &Schema) -> Vec<Found> {
    let mut found = Vec::new();
    for table in schema.all("table") {
        let keys = schema.parts(&table.id, "foreign key").filter(|k| !k.flag("inherited") && !k.flag("not_enforced"));
        let keys: Vec<&Object> = keys.collect();
        if keys.is_empty() {
            continue;
        }
        let indexes = schema.indexes(&table.id);
        for key in keys {
            let columns = key.texts("columns");
            if !indexes.iter().any(|i| i.leads_with(&columns)) {
                let message = format!("{}: no index leads with ({})", key.id, idents(&columns));
                let column = |c: &String| table.id.part("column", c);
                found.push(Found::new(key, message).or_at(columns.iter().map(column)));
            }
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "foreign-key-without-index",
    meaning: "No index of the table leads with the columns of a foreign key.",
    why: "PostgreSQL indexes the side that is referred to, never the side that refers. Without an index each DELETE of a referenced row, \
          and each UPDATE of its key, reads the whole table, and so does each join along the key. The columns may stand in any order at \
          the beginning of the index; a partial index counts only if it leaves out nothing but nulls. Where nothing is ever deleted and \
          nobody joins that way, say so in a directive.",
    bad: "CREATE TABLE users (id bigint PRIMARY KEY);\n\
          CREATE TABLE orders (\n    id      bigint PRIMARY KEY,\n    user_id bigint NOT NULL REFERENCES users\n);",
    good: "CREATE TABLE users (id bigint PRIMARY KEY);\n\
           CREATE TABLE orders (\n    id      bigint PRIMARY KEY,\n    user_id bigint NOT NULL REFERENCES users\n);\n\
           CREATE INDEX orders_user_idx ON orders (user_id);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("splinter", "unindexed_foreign_keys"), ("schemalint", "index-referencing-column")],
    find,
};
