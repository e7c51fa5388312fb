//! `row-security-without-policy`: a table that is closed to everybody but its owner.

use super::{Found, Rule, Schema};
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let closed = schema.all("table").filter(|t| t.flag("row_security") && schema.parts(&t.id, "policy").next().is_none());
    closed
        .map(|t| Found::new(t, format!("{} has row level security and no policy: nobody but its owner sees a row", t.id)))
        .collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "row-security-without-policy",
    meaning: "Row level security is enabled on a table that has no policy.",
    why: "Without a policy nothing is allowed: whoever is not the owner reads no row and writes none, without an error. If the table is \
          meant to be closed, say so in a directive.",
    bad: "CREATE TABLE invoices (id bigint PRIMARY KEY);\nALTER TABLE invoices ENABLE ROW LEVEL SECURITY;",
    good: "CREATE TABLE invoices (id bigint PRIMARY KEY, payer text NOT NULL);\nALTER TABLE invoices ENABLE ROW LEVEL SECURITY;\n\
           CREATE POLICY invoices_own ON invoices USING (payer = current_user);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("splinter", "rls_enabled_no_policy")],
    find,
};
