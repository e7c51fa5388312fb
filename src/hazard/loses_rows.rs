//! `loses-rows`: a relation is dropped with all its rows.

use super::{Example, Facts, Finding, Level, Rule, Same};
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "loses-rows",
    level: Level::Refused,
    by_size: false,
    meaning: "A table is dropped with all its rows.",
    why: "Nothing brings rows back but a backup. The way back that a plan shows makes the table again, empty.",
    remedy: "Make sure that nobody reads or writes the table any more, rename it or keep a copy first, and drop it in a later plan. `protect = \"quarantine\"` does the latter two by itself: the table is put aside with its rows, and `plumb purge` drops it later.",
    same: &[
        Same { tool: "squawk", ids: &["ban-drop-table"] },
        Same { tool: "Atlas", ids: &["DS101", "DS102"] },
        Same { tool: "strong_migrations", ids: &["create_table (force)"] },
        Same { tool: "pgroll", ids: &["drop_table"] },
    ],
    with: &["breaks-code", "lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
CREATE TABLE old_orders (id bigint);
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        shows: "A table that the files no longer have.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
CREATE VIEW old_orders AS SELECT id FROM orders;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        shows: "A view goes: it holds no rows.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let lost = |l: &Loss| if let Loss::Rows(r) = l { Some(Finding::new(format!("all rows of {r} are lost"))) } else { None };
    facts.losses().filter_map(lost).collect()
}
