//! `irreversible`: no statement takes it back.

use super::{Example, Facts, Finding, Level, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    code: "irreversible",
    level: Level::Note,
    by_size: false,
    meaning: "No statement takes the step back.",
    why: "PostgreSQL has no form for it, and making the object anew would lose what it holds. Whoever wants to go back needs another plan, or a backup.",
    remedy: "Know it before, and try it out on a copy.",
    same: &[],
    with: &["lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
"#,
        after: r#"CREATE TABLE t (a int, b int);
"#,
        shows: "A generated column becomes a plain one; no statement turns one into the other again.",
    },
    good: Example {
        before: r#"CREATE TABLE t (a int, b int);
"#,
        after: r#"CREATE TABLE t (a int, b int DEFAULT 2);
"#,
        shows: "A default that comes can go again.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    facts.no_way_back.map(Finding::new).into_iter().collect()
}
