//! `policy-without-row-security`: policies that nobody obeys.

use super::{Found, Rule, Schema};
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let mut found = Vec::new();
    for table in schema.all("table").filter(|t| !t.flag("row_security")) {
        for policy in schema.parts(&table.id, "policy") {
            let message = format!("{} has no effect: row level security is off", policy.id);
            found.push(Found::new(policy, message));
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "policy-without-row-security",
    meaning: "A table has a policy, and row level security is not enabled.",
    why: "The policy has no effect: everybody with rights on the table sees all rows, while the files read as if they did not.",
    bad: "CREATE TABLE invoices (id bigint PRIMARY KEY, payer text NOT NULL);\n\
          CREATE POLICY invoices_own ON invoices USING (payer = current_user);",
    good: "CREATE TABLE invoices (id bigint PRIMARY KEY, payer text NOT NULL);\nALTER TABLE invoices ENABLE ROW LEVEL SECURITY;\n\
           CREATE POLICY invoices_own ON invoices USING (payer = current_user);",
    config: None,
    since: 0,
    level: Level::Error,
    also: &[("splinter", "policy_exists_rls_disabled")],
    find,
};
