//! `breaks-body`: a routine that stays names what goes.

use super::{Example, Facts, Finding, Level, Rule};

/// The rule.
pub static RULE: Rule = Rule {
    code: "breaks-body",
    level: Level::Refused,
    by_size: false,
    meaning: "The body of a routine that stays names what the plan takes away.",
    why: "PostgreSQL keeps no dependencies of quoted bodies: the plan runs, and the routine fails at its next call, for a trigger with every write.",
    remedy: "Change the routine in the same plan, or drop it too.",
    same: &[],
    with: &["breaks-code", "loses-values", "lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, amount int);
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(amount) FROM orders);
END $$;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(amount) FROM orders);
END $$;
"#,
        shows: "The function sums up a column that goes.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, amount int);
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(amount) FROM orders);
END $$;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY);
CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM orders);
END $$;
"#,
        shows: "The function goes along with the change.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    let named = facts.bodies.iter().filter(|b| b.names);
    named.map(|b| Finding { at: Some(b.at.clone()), ..Finding::new(&b.message) }).collect()
}
