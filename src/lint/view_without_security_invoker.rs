//! `view-without-security-invoker`: a view that reads past the policies of its tables.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;

fn invokes(view: &Object) -> bool {
    let on = |o: &String| o.strip_prefix("security_invoker=").is_some_and(|v| ["true", "on", "yes", "1"].contains(&v));
    view.texts("options").iter().any(on)
}

fn find(schema: &Schema) -> Vec<Found> {
    let mut found = Vec::new();
    if schema.catalog.server < RULE.since {
        return found;
    }
    for view in schema.all("view").filter(|v| !invokes(v)) {
        let tables = schema.catalog.uses(&view.id).iter().filter_map(|(id, _)| schema.table_of(id));
        let mut guarded: Vec<String> = tables.filter(|t| t.flag("row_security")).map(|t| t.id.sql()).collect();
        guarded.sort();
        guarded.dedup();
        if !guarded.is_empty() {
            let tables = guarded.join(", ");
            found.push(Found::new(view, format!("{} reads {tables} with its owner's rights, not its caller's", view.id)));
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "view-without-security-invoker",
    meaning: "A view reads a table with row level security and has no security_invoker.",
    why: "The view reads with the rights of its owner, to whom the policies mostly do not apply: whoever may read the view sees the rows \
          of everybody. Where a view filters by itself, say so in a directive. Servers before 15 do not know security_invoker.",
    bad: "CREATE TABLE invoices (id bigint PRIMARY KEY, payer text NOT NULL);\nALTER TABLE invoices ENABLE ROW LEVEL SECURITY;\n\
          CREATE POLICY invoices_own ON invoices USING (payer = current_user);\n\
          CREATE VIEW latest AS SELECT id, payer FROM invoices WHERE id > 1000;",
    good: "CREATE TABLE invoices (id bigint PRIMARY KEY, payer text NOT NULL);\nALTER TABLE invoices ENABLE ROW LEVEL SECURITY;\n\
           CREATE POLICY invoices_own ON invoices USING (payer = current_user);\n\
           CREATE VIEW latest WITH (security_invoker) AS SELECT id, payer FROM invoices WHERE id > 1000;",
    config: None,
    since: 150_000,
    level: Level::Warning,
    also: &[("splinter", "security_definer_view")],
    find,
};
