//! `non-transactional`: it is committed before the rest of the plan.

use super::{Example, Facts, Finding, Level, Rule, Same};
use crate::statement::Transaction;

/// The rule.
pub static RULE: Rule = Rule {
    code: "non-transactional",
    level: Level::Note,
    by_size: false,
    meaning: "The step is committed before what comes after it, or runs outside of a transaction.",
    why: "When a later step fails, this one stays. What runs outside of a transaction can also stop halfway.",
    remedy: "Nothing, as a rule: plumb cuts the plan there, says what is applied when it stops, and a new plan holds what is left.",
    same: &[Same { tool: "squawk", ids: &["transaction-nesting"] }, Same { tool: "Atlas", ids: &["PG103"] }],
    with: &["lock-queue"],
    bad: Example {
        before: r#"CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE t (m mood);
"#,
        after: r#"CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE t (m mood DEFAULT 'happy');
"#,
        shows: "A label can be used when it is committed.",
    },
    good: Example {
        before: r#"CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE t (m mood);
"#,
        after: r#"CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE t (m mood DEFAULT 'sad');
"#,
        shows: "A default joins the transaction of the rest.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let rule = facts.step.statements.iter().map(|s| s.transaction).max();
    let words = match rule {
        Some(Transaction::Alone) => "it runs outside of a transaction: what it did stays when it fails halfway",
        Some(Transaction::Own) => "it is committed by itself: it stays when a later step fails",
        Some(Transaction::CommitAfter) => "it is committed before the steps after it: it stays when one of those fails",
        _ => return Vec::new(),
    };
    vec![Finding::new(words)]
}
