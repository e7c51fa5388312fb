//! `loses-values`: values of a column are dropped, cut or converted.

use super::{Example, Facts, Finding, Level, Rule, Same};
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "loses-values",
    level: Level::Refused,
    by_size: false,
    meaning: "Values of a column are dropped, cut or converted.",
    why: "A dropped column, a shorter or coarser type, a removed enum label or a dropped attribute cannot give the old values back.",
    remedy: "Stop using the column first; keep the values in a copy, or convert them into a new column and compare both before the old one goes. `protect = \"quarantine\"` keeps the values of a dropped column where they are, under another name, until `plumb purge`.",
    same: &[
        Same { tool: "squawk", ids: &["ban-drop-column", "changing-column-type"] },
        Same { tool: "Atlas", ids: &["DS103"] },
        Same { tool: "strong_migrations", ids: &["remove_column", "change_column"] },
        Same { tool: "pgroll", ids: &["drop_column"] },
    ],
    with: &["breaks-code", "lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text);
"#,
        shows: "A column that the files no longer have.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(40));
"#,
        shows: "A longer type holds everything that the shorter one held.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let lost = |l: &Loss| if let Loss::Values(v) = l { Some(Finding::new(format!("values of {v} can be lost"))) } else { None };
    facts.losses().filter_map(lost).collect()
}
