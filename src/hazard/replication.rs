//! `replication`: a published table loses what its rows are told apart by.

use super::effects;
use super::{Example, Facts, Finding, Level, Rule};
use crate::statement::Effect;

/// The rule.
pub static RULE: Rule = Rule {
    code: "replication",
    level: Level::Refused,
    by_size: false,
    meaning: "A published table loses what its rows are told apart by.",
    why: "PostgreSQL refuses every UPDATE and DELETE on a table in a publication that has no replica identity (\"does not have a replica identity and publishes updates\").",
    remedy: "Make the new key or a unique index over NOT NULL columns first and set it as REPLICA IDENTITY, or set REPLICA IDENTITY FULL for the time being.",
    same: &[],
    with: &["lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
CREATE PUBLICATION p FOR TABLE orders;
"#,
        after: r#"CREATE TABLE orders (id bigint NOT NULL, status text, note varchar(20));
CREATE PUBLICATION p FOR TABLE orders;
"#,
        shows: "The primary key of a published table goes.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
CREATE PUBLICATION p FOR TABLE orders;
"#,
        after: r#"CREATE TABLE orders (id bigint NOT NULL, status text, note varchar(20));
ALTER TABLE orders REPLICA IDENTITY FULL;
CREATE PUBLICATION p FOR TABLE orders;
"#,
        shows: "It goes, and whole rows are the identity.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let found = effects(facts, |e| if let Effect::Unidentified(table) = e { Some(table) } else { None });
    let words = |table| format!("{table} is published and has no replica identity afterwards: its updates and deletions fail");
    found.into_iter().map(|f| Finding::new(words(f.message))).collect()
}
