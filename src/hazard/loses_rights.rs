//! `loses-rights`: somebody may see or do less than before.

use super::effects;
use super::{Example, Facts, Finding, Level, Rule};
use crate::statement::Effect;

/// The rule.
pub static RULE: Rule = Rule {
    code: "loses-rights",
    level: Level::Refused,
    by_size: false,
    meaning: "Somebody may see or do less than before.",
    why: "What ran a moment ago fails with \"permission denied\", or, worse, sees no rows and says nothing: a permissive policy that goes, a restrictive one that comes, row level security that is switched on.",
    remedy: "Look for who uses the right (`pg_stat_activity`, the logs of the role), and take it away when nobody does.",
    same: &[],
    with: &[],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
GRANT SELECT, INSERT ON orders TO hazard_reader;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
GRANT SELECT ON orders TO hazard_reader;
"#,
        shows: "A REVOKE of what somebody had.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
GRANT SELECT ON orders TO hazard_reader;
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
GRANT SELECT ON orders TO hazard_reader;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION f() FROM PUBLIC;
"#,
        shows: "A REVOKE on something new takes nothing from anybody.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    effects(facts, |e| if let Effect::TakesRights(words) = e { Some(words) } else { None })
}
