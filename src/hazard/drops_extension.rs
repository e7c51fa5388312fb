//! `drops-extension`: an extension is dropped with whatever it keeps.

use super::{Example, Facts, Finding, Level, Rule};
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "drops-extension",
    level: Level::Refused,
    by_size: false,
    meaning: "An extension is dropped with whatever it keeps.",
    why: "Its functions, types and tables go with it, and the rows of those tables too: plumb does not look inside of an extension.",
    remedy: "Look at what the extension owns (`\\dx+ NAME` in psql) before it goes.",
    same: &[],
    with: &[],
    bad: Example {
        before: r#"CREATE EXTENSION hstore;
CREATE TABLE t (id int);
"#,
        after: r#"CREATE TABLE t (id int);
"#,
        shows: "An extension that the files no longer have.",
    },
    good: Example {
        before: r#"CREATE TABLE t (id int);
"#,
        after: r#"CREATE TABLE t (id int);
CREATE TABLE u (id int);
"#,
        shows: "Extensions stay as they are.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let lost = |l: &Loss| match l {
        Loss::Extension(e) => Some(Finding::new(format!("extension {e} goes with everything that it keeps"))),
        _ => None,
    };
    facts.losses().filter_map(lost).collect()
}
