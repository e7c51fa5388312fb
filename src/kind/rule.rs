//! Rewrite rules, less the one that makes a view: `pg_rewrite`.

use serde::Deserialize;

use super::{BASE, Cost, Kind, Query, Renaming, expression, field, on_table, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    definition: String,
    enabled: Option<String>,
}

fn enable(object: &Object) -> Statement {
    let words = match object.read::<Rule>().enabled.as_deref() {
        Some("D") => "DISABLE",
        Some("R") => "ENABLE REPLICA",
        Some("A") => "ENABLE ALWAYS",
        _ => "ENABLE",
    };
    let table = object.id.table_sql();
    Statement::new(format!("ALTER TABLE {table} {words} RULE {}", ident(object.id.base()))).lock(table, LockMode::AccessExclusive)
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "rule",
    present: "EXISTS (SELECT FROM pg_rewrite WHERE rulename <> '_RETURN' AND oid >= 16384)",
    query: Some(|_| {
        Query::over(
            "pg_rewrite",
            "r.oid",
            "n.nspname, c.relname, r.rulename",
            "FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE r.rulename <> '_RETURN' AND r.oid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define("'definition', rtrim(pg_get_ruledef(r.oid), ';'), 'enabled', CASE WHEN r.ev_enabled <> 'O' THEN r.ev_enabled::text END")
    }),
    check: reads_as::<Rule>,
    fields: &[expression("definition", Cost::Replace), field("enabled", Cost::Alter)],
    create: |_, o| {
        let r: Rule = o.read();
        let mut statements = vec![Statement::new(r.definition).lock(o.id.table_sql(), LockMode::AccessExclusive)];
        statements.extend(r.enabled.map(|_| enable(o)));
        statements
    },
    alter: |_, _, o, _| vec![enable(o)],
    drop: |_, o| {
        let table = o.id.table_sql();
        let sql = format!("DROP RULE {} ON {table}", ident(o.id.base()));
        vec![Statement::new(sql).lock(table, LockMode::AccessExclusive)]
    },
    comment: |id| on_table("RULE", id),
    only_definition: true,
    renaming: Renaming::On("RULE"),
    ..BASE
};
