//! `blocks-reads`: reads wait while something else takes long.

use super::{Example, Facts, Finding, Level, Rule, Same};
use crate::statement::LockMode;
use std::collections::BTreeSet;

/// The rule.
pub static RULE: Rule = Rule {
    code: "blocks-reads",
    level: Level::Warning,
    by_size: true,
    meaning: "A table cannot be read while something else of the same transaction takes long.",
    why: "Locks last until the transaction ends. A change of an instant on one table, followed by the reading of another one, blocks the first for as long as the second takes.",
    remedy: "Put the long work into a plan, or a transaction, of its own.",
    same: &[
        Same { tool: "eugene", ids: &["E4"] },
        Same { tool: "squawk", ids: &["ban-concurrent-index-creation-in-transaction"] },
    ],
    with: &["long-scan"],
    bad: Example {
        before: r#"CREATE TABLE a (id int);
CREATE TABLE b (id int);
"#,
        after: r#"CREATE TABLE a (id int, note text);
CREATE TABLE b (id int CHECK (id > 0));
"#,
        shows: "Table a gets a column, and waits until all of b is checked.",
    },
    good: Example {
        before: r#"CREATE TABLE a (id int);
CREATE TABLE b (id int);
"#,
        after: r#"CREATE TABLE a (id int, note text);
CREATE TABLE b (id int, note text);
"#,
        shows: "Both changes take an instant.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    held(facts, "reads and writes", LockMode::blocks_reads)
}

/// The relations under locks of one sort while others are worked on.
pub(super) fn held(facts: &Facts, whom: &str, sort: fn(LockMode) -> bool) -> Vec<Finding> {
    let found = facts.held.iter().filter(|(r, _)| facts.locks.get(*r).is_some_and(|m| sort(*m)));
    let words = |r: &String, over: &BTreeSet<String>| {
        let over: Vec<&str> = over.iter().map(String::as_str).collect();
        format!("{whom} of {r} wait until {} is read in full, in the same transaction", over.join(" and "))
    };
    found.map(|(r, over)| Finding::new(words(r, over)).over(over)).collect()
}
