//! Column defaults: `pg_attrdef`, less those of generated columns.

use serde::Deserialize;

use super::{Absorbed, BASE, Carried, Cost, Kind, Query, expression, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    expression: String,
}

fn on_column(object: &Object, action: &str) -> Vec<Statement> {
    let table = object.id.table_sql();
    let sql = format!("ALTER TABLE ONLY {table} ALTER COLUMN {} {action}", ident(object.id.base()));
    vec![Statement::new(sql).lock(table, LockMode::AccessExclusive)]
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "default",
    query: Some(|_| {
        Query {
            parent: Some(("pg_class", "a.attrelid", "a.attnum")),
            ..Query::over(
                "pg_attrdef",
                "d.oid",
                "n.nspname, c.relname, a.attname",
                "FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated = '' \
                 JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't' \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384",
            )
        }
        .define("'expression', pg_get_expr(d.adbin, d.adrelid)")
    }),
    check: reads_as::<Default>,
    fields: &[expression("expression", Cost::Alter)],
    create: |_, o| on_column(o, &format!("SET DEFAULT {}", o.read::<Default>().expression)),
    alter: |_, _, o, _| on_column(o, &format!("SET DEFAULT {}", o.read::<Default>().expression)),
    drop: |_, o| on_column(o, "DROP DEFAULT"),
    // The default of a view's column is always a statement of its own.
    element: Some(|_, o| o.parent.as_ref().is_some_and(|p| p.class() == "column").then(String::new)),
    absorbed: Absorbed::Inside,
    carried: Carried::Always,
    ..BASE
};
