//! Row-level security policies: `pg_policy`. Whether a table enforces them is a field of the table.

use serde::Deserialize;

use super::{BASE, Cost, Kind, Query, expression, field, on_table, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    /// `*`, `r`, `a`, `w` or `d`.
    command: String,
    #[serde(default)]
    restrictive: bool,
    /// Role names; empty for PUBLIC.
    #[serde(default)]
    roles: Vec<String>,
    using: Option<String>,
    check: Option<String>,
}

impl Policy {
    fn roles(&self) -> String {
        if self.roles.is_empty() { "PUBLIC".to_owned() } else { crate::sql::idents(&self.roles) }
    }
}

fn create(object: &Object) -> Statement {
    let p: Policy = object.read();
    let table = object.id.table_sql();
    let command = match p.command.as_str() {
        "r" => " FOR SELECT",
        "a" => " FOR INSERT",
        "w" => " FOR UPDATE",
        "d" => " FOR DELETE",
        _ => "",
    };
    let restrictive = if p.restrictive { " AS RESTRICTIVE" } else { "" };
    let to = if p.roles.is_empty() { String::new() } else { format!(" TO {}", p.roles()) };
    let using = p.using.as_ref().map_or(String::new(), |e| format!(" USING ({e})"));
    let check = p.check.as_ref().map_or(String::new(), |e| format!(" WITH CHECK ({e})"));
    let sql = format!("CREATE POLICY {} ON {table}{restrictive}{command}{to}{using}{check}", ident(object.id.base()));
    Statement::new(sql).lock(table, LockMode::AccessExclusive)
}

fn alter(new: &Object, changed: &[String]) -> Statement {
    let p: Policy = new.read();
    let table = new.id.table_sql();
    let has = |f: &str| changed.iter().any(|c| c == f);
    let mut sql = format!("ALTER POLICY {} ON {table}", ident(new.id.base()));
    if has("roles") {
        sql += &format!(" TO {}", p.roles());
    }
    if has("using") {
        sql += &p.using.as_ref().map_or(String::new(), |e| format!(" USING ({e})"));
    }
    if has("check") {
        sql += &p.check.as_ref().map_or(String::new(), |e| format!(" WITH CHECK ({e})"));
    }
    Statement::new(sql).lock(table, LockMode::AccessExclusive)
}

/// ALTER POLICY can change an expression and cannot take one away.
fn keeps_expressions(old: &Object, new: &Object) -> bool {
    ["using", "check"].iter().all(|f| !old.definition.contains_key(*f) || new.definition.contains_key(*f))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "policy",
    query: Some(|_| {
        Query::over(
            "pg_policy",
            "p.oid",
            "n.nspname, c.relname, p.polname",
            "FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.oid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define(
            "'command', p.polcmd::text, 'restrictive', CASE WHEN NOT p.polpermissive THEN true END, \
             'roles', CASE WHEN p.polroles <> '{0}' THEN (SELECT json_agg(pg_get_userbyid(r) ORDER BY pg_get_userbyid(r)) FROM unnest(p.polroles) r) END, \
             'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)",
        )
    }),
    check: reads_as::<Policy>,
    fields: &[
        field("command", Cost::Replace),
        field("restrictive", Cost::Replace),
        field("roles", Cost::Alter),
        expression("using", Cost::AlterOrReplace(keeps_expressions)),
        expression("check", Cost::AlterOrReplace(keeps_expressions)),
    ],
    roles: |o| o.read::<Policy>().roles,
    create: |_, o| vec![create(o)],
    alter: |_, _, new, changed| vec![alter(new, changed)],
    drop: |_, o| {
        let table = o.id.table_sql();
        let sql = format!("DROP POLICY {} ON {table}", ident(o.id.base()));
        vec![Statement::new(sql).lock(table, LockMode::AccessExclusive)]
    },
    comment: |id| on_table("POLICY", id),
    only_definition: true,
    ..BASE
};
