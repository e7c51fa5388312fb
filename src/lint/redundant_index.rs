//! `redundant-index`: an index that is the beginning of another one.

use super::duplicate_index::same;
use super::schema::Index;
use super::{Found, Rule, Schema};
use crate::report::Level;

/// Whether `wide` serves whatever `narrow` serves.
fn covers(wide: &Index, narrow: &Index) -> bool {
    wide.method == "btree"
        && narrow.method == "btree"
        && wide.predicate == narrow.predicate
        && wide.keys.starts_with(&narrow.keys)
        && narrow.include.iter().all(|c| wide.include.contains(c) || wide.keys.contains(c))
}

fn find(schema: &Schema) -> Vec<Found> {
    let mut found = Vec::new();
    for table in schema.all("table").chain(schema.all("materialized view")) {
        let indexes = schema.indexes(&table.id);
        let narrows = indexes.iter().enumerate().filter(|(_, i)| !i.unique && !i.is_constraint() && !i.object.flag("clustered"));
        for (n, narrow) in narrows {
            // Of two that cover each other the one that keeps rows apart stays, else the first.
            let stays = |m: usize, other: &Index| !covers(narrow, other) || other.unique || m < n;
            let mut others = indexes.iter().enumerate().filter(|(m, other)| *m != n && !same(other, narrow));
            if let Some((_, wide)) = others.find(|(m, other)| covers(other, narrow) && stays(*m, other)) {
                let message = format!(
                    "{} on {} is the beginning of {} on {}",
                    narrow.object.id,
                    narrow.columns(),
                    wide.object.id,
                    wide.columns()
                );
                found.push(Found::new(narrow.object, message).or_at([table.id.clone()]));
            }
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "redundant-index",
    meaning: "An index is the beginning of another one and keeps no rows apart.",
    why: "A btree index on (a, b) serves what one on (a) serves; the second costs space and time with every write. Operator classes, order \
          and condition are compared too. A narrow index may be kept on purpose where the wide one is much larger: say so in a directive.",
    bad: "CREATE TABLE events (id bigint PRIMARY KEY, tenant text NOT NULL, at timestamptz NOT NULL);\n\
          CREATE INDEX events_tenant_idx ON events (tenant);\nCREATE INDEX events_tenant_at_idx ON events (tenant, at DESC);",
    good: "CREATE TABLE events (id bigint PRIMARY KEY, tenant text NOT NULL, at timestamptz NOT NULL);\n\
           CREATE INDEX events_tenant_at_idx ON events (tenant, at DESC);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[],
    find,
};
