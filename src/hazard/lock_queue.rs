//! `lock-queue`: a lock of an instant that everybody waits behind.

use super::{Example, Facts, Finding, Level, Rule, Same};

/// The rule.
pub static RULE: Rule = Rule {
    code: "lock-queue",
    level: Level::Note,
    by_size: false,
    meaning: "A lock of an instant is taken that reads wait for.",
    why: "The lock itself is short. While it waits for a long query to end, everybody who comes later waits behind it.",
    remedy: "Apply with a `lock_timeout` (2 s unless stated otherwise): plumb gives way, waits and tries again, and says who is in the way.",
    same: &[
        Same { tool: "squawk", ids: &["require-timeout-settings"] },
        Same { tool: "strong_migrations", ids: &["lock_timeout"] },
        Same { tool: "eugene", ids: &["E9"] },
    ],
    with: &[],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20), more text);
"#,
        shows: "A column comes.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
CREATE TABLE more (id bigint);
"#,
        shows: "A new table is nobody's to wait for.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let strong = facts.locks.iter().filter(|(_, mode)| mode.blocks_reads()).map(|(r, _)| r);
    let brief = strong.filter(|r| !facts.is_worked_on(r) && !facts.held.contains_key(*r));
    let words = |r: &String| format!("{r} is locked for an instant; while that waits, everybody waits behind it");
    brief.map(|r| Finding::new(words(r))).collect()
}
