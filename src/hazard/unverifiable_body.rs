//! `unverifiable-body`: a routine builds SQL that cannot be read.

use super::{Example, Facts, Finding, Level, Rule, Same};

/// The rule.
pub static RULE: Rule = Rule {
    code: "unverifiable-body",
    level: Level::Note,
    by_size: false,
    meaning: "A routine that stays builds SQL while it runs, and the plan takes something away.",
    why: "Whether it names what goes cannot be read from it.",
    remedy: "Read the routine, and call it on a copy after the plan.",
    same: &[Same { tool: "strong_migrations", ids: &["execute"] }],
    with: &["loses-rows", "breaks-code", "lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE TABLE old (id int);
CREATE FUNCTION clear(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM ' || quote_ident(t); END $$;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE FUNCTION clear(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM ' || quote_ident(t); END $$;
"#,
        shows: "A table goes, and a function deletes from tables that it is told.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE FUNCTION clear(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM ' || quote_ident(t); END $$;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, more int);
CREATE FUNCTION clear(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM ' || quote_ident(t); END $$;
"#,
        shows: "Nothing goes.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let unread = facts.bodies.iter().filter(|b| !b.names);
    unread.map(|b| Finding { at: Some(b.at.clone()), ..Finding::new(&b.message) }).collect()
}
