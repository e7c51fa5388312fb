//! `rewrites`: a table is written anew under a lock that blocks everybody.

use super::{Example, Facts, Finding, Level, Rule, Same};

/// The rule.
pub static RULE: Rule = Rule {
    code: "rewrites",
    level: Level::Warning,
    by_size: true,
    meaning: "A table is written anew under a lock that blocks reads and writes.",
    why: "Every row is copied and every index built again while nobody can read or write the table, with up to twice the disk space.",
    remedy: "Add a new column, fill it in batches, and swap the names when both agree; or do it when nobody uses the table.",
    same: &[
        Same { tool: "squawk", ids: &["changing-column-type", "adding-field-with-default", "adding-serial-primary-key-field"] },
        Same { tool: "Atlas", ids: &["PG301", "PG302"] },
        Same {
            tool: "strong_migrations",
            ids: &["change_column", "add_column_default", "add_column_auto_incrementing", "add_column_generated_stored"],
        },
        Same { tool: "eugene", ids: &["E5", "E10", "E11"] },
    ],
    with: &[],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20), number bigint GENERATED ALWAYS AS IDENTITY);
"#,
        shows: "An identity column gives every row a number.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20), number bigint DEFAULT 0);
"#,
        shows: "A constant default is kept beside the rows.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let words = |r: &String| format!("{r} is written anew while nobody can read or write it");
    facts.rewrites.iter().map(|r| Finding::new(words(r)).over([r])).collect()
}
