//! `long-scan`: a table is read in full under a lock that blocks.

use super::{Example, Facts, Finding, Level, Rule, Same};

/// The rule.
pub static RULE: Rule = Rule {
    code: "long-scan",
    level: Level::Warning,
    by_size: true,
    meaning: "A table is read in full, or an index built over it, under a lock that others wait for.",
    why: "The lock lasts as long as the reading: reads wait under ACCESS EXCLUSIVE, writes under SHARE and SHARE ROW EXCLUSIVE.",
    remedy: "Online forms, where there are such (`online = \"auto\"`): CREATE INDEX CONCURRENTLY; constraints NOT VALID first and VALIDATE in another transaction; NOT NULL behind a validated CHECK.",
    same: &[
        Same {
            tool: "squawk",
            ids: &[
                "require-concurrent-index-creation",
                "constraint-missing-not-valid",
                "adding-foreign-key-constraint",
                "adding-not-nullable-field",
                "disallowed-unique-constraint",
            ],
        },
        Same { tool: "Atlas", ids: &["PG101", "PG104", "PG105", "PG303", "PG304", "PG305"] },
        Same {
            tool: "strong_migrations",
            ids: &[
                "add_index",
                "add_reference",
                "add_foreign_key",
                "add_check_constraint",
                "add_unique_constraint",
                "add_exclusion_constraint",
                "change_column_null",
            ],
        },
        Same { tool: "eugene", ids: &["E1", "E2", "E6", "E7", "E8"] },
    ],
    with: &[],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0);
"#,
        shows: "A CHECK is tried on every row under ACCESS EXCLUSIVE.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
"#,
        shows: "NOT VALID is for new rows only.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let scanned = facts.scans.iter().filter(|r| !facts.rewrites.contains(*r));
    let blocking = scanned.filter_map(|r| Some((r, facts.locks.get(r)?.blocked()?)));
    blocking.map(|(r, whom)| Finding::new(format!("{r} is read in full while its {whom} wait")).over([r])).collect()
}
