//! `widens-rights`: somebody may see or do more than before.

use super::effects;
use super::{Example, Facts, Finding, Level, Rule};
use crate::statement::Effect;

/// The rule.
pub static RULE: Rule = Rule {
    code: "widens-rights",
    level: Level::Refused,
    by_size: false,
    meaning: "Somebody may see or do more than before.",
    why: "A permissive policy that comes or is loosened, a restrictive one that goes, row level security that is switched off, a view that loses `security_invoker`, a routine that runs with its owner's rights without a `search_path` of its own, a new grant or another owner: each of them can show rows to people who must not see them, and nobody notices.",
    remedy: "Read the definitions side by side, and allow it when every reader in question may see what becomes visible. A grant of something new to a named role is no hazard; one to PUBLIC always is.",
    same: &[],
    with: &["lock-queue"],
    bad: Example {
        before: r#"CREATE TABLE documents (id bigint PRIMARY KEY, tenant text, shared boolean);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON documents USING (tenant = current_user);
"#,
        after: r#"CREATE TABLE documents (id bigint PRIMARY KEY, tenant text, shared boolean);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON documents USING (tenant = current_user OR shared);
"#,
        shows: "A policy lets more rows through.",
    },
    good: Example {
        before: r#"CREATE TABLE documents (id bigint PRIMARY KEY, tenant text, shared boolean);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON documents USING (tenant = current_user);
"#,
        after: r#"CREATE TABLE documents (id bigint PRIMARY KEY, tenant text, shared boolean);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON documents USING (tenant = current_user);
CREATE TABLE notes (id bigint);
GRANT SELECT ON notes TO hazard_reader;
"#,
        shows: "A named role may read a new table.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    effects(facts, |e| if let Effect::GivesRights(words) = e { Some(words) } else { None })
}
