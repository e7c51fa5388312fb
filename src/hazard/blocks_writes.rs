//! `blocks-writes`: writes wait while something else takes long.

use super::blocks_reads::held;
use super::{Example, Facts, Finding, Level, Rule, Same};

/// The rule.
pub static RULE: Rule = Rule {
    code: "blocks-writes",
    level: Level::Warning,
    by_size: true,
    meaning: "A table cannot be written while something else of the same transaction takes long.",
    why: "A foreign key locks the table that it refers to for as long as the other one is checked.",
    remedy: "Foreign keys NOT VALID first, VALIDATE in another transaction; other long work in a plan of its own.",
    same: &[
        Same { tool: "squawk", ids: &["adding-foreign-key-constraint", "constraint-missing-not-valid"] },
        Same { tool: "strong_migrations", ids: &["add_foreign_key", "add_reference"] },
        Same { tool: "eugene", ids: &["E1"] },
    ],
    with: &["long-scan"],
    bad: Example {
        before: r#"CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int, user_id int);
"#,
        after: r#"CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int, user_id int REFERENCES users);
"#,
        shows: "Nobody writes to users until all of orders is checked.",
    },
    good: Example {
        before: r#"CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int, user_id int);
"#,
        after: r#"CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int, user_id int);
ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID;
"#,
        shows: "NOT VALID is for new rows only.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    held(facts, "writes", |mode| mode.blocks_writes() && !mode.blocks_reads())
}
