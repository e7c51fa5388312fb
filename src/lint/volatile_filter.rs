//! `volatile-filter`: a volatile function that is asked again for every row.

use super::{Found, Rule, Schema, deparsed};
use crate::catalog::Object;
use crate::report::Level;
use crate::sql::qualified;

/// Whether rows are filtered by a call.
fn filters(user: &Object, call: &str) -> bool {
    match user.id.class() {
        "policy" => ["using", "check"].iter().any(|f| deparsed::filters(user.text(f), call, false)),
        "view" | "materialized view" => deparsed::filters(user.text("query"), call, true),
        _ => false,
    }
}

fn find(schema: &Schema) -> Vec<Found> {
    let volatile = |f: &&Object| f.detail.get("volatility").and_then(|v| v.as_str()) == Some("v");
    let mut found = Vec::new();
    for function in schema.all("function").filter(volatile) {
        let call = format!("{}(", qualified(function.id.name()));
        let users = schema.catalog.used_by(&function.id).iter().filter_map(|(id, _)| schema.catalog.get(id));
        let mut users: Vec<&Object> = users.filter(|u| filters(u, &call)).collect();
        users.sort_by_key(|u| u.id.clone());
        users.dedup_by_key(|u| u.id.clone());
        if let Some(first) = users.first() {
            let more = if users.len() > 1 { format!(" and {} more", users.len() - 1) } else { String::new() };
            let message =
                format!("{} is volatile and filters the rows of {}{more}: no index can serve that", function.id, first.id);
            found.push(Found::new(function, message).or_at(users.iter().map(|u| u.id.clone())));
        }
    }
    found
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "volatile-filter",
    meaning: "A volatile function filters the rows of a policy or a view.",
    why: "A function is VOLATILE when nobody says otherwise. The planner then has to call it once for every row, and an index on the column \
          that it is compared with cannot be used. Declare it STABLE if it changes nothing and gives the same result within a statement; \
          else call it in a subquery, (SELECT f()), which runs once.",
    bad: "CREATE FUNCTION tenant() RETURNS int LANGUAGE sql AS $$ SELECT current_setting('app.tenant')::int $$;\n\
          CREATE TABLE notes (id bigint PRIMARY KEY, tenant_id int NOT NULL);\nALTER TABLE notes ENABLE ROW LEVEL SECURITY;\n\
          CREATE POLICY notes_own ON notes USING (tenant_id = tenant());",
    good: "CREATE FUNCTION tenant() RETURNS int LANGUAGE sql STABLE AS $$ SELECT current_setting('app.tenant')::int $$;\n\
           CREATE TABLE notes (id bigint PRIMARY KEY, tenant_id int NOT NULL);\nALTER TABLE notes ENABLE ROW LEVEL SECURITY;\n\
           CREATE POLICY notes_own ON notes USING (tenant_id = tenant());",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[],
    find,
};
