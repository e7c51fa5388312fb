//! Column defaults: `pg_attrdef`, less those of generated columns.

use serde::Deserialize;

use super::relation::made_anew;
use super::sequence::Sequence;
use super::{Absorbed, BASE, Carried, Context, Cost, Kind, Query, expression, reads_as};
use crate::catalog::Object;
use crate::sql::{ident, literal};
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

fn set(context: &Context, object: &Object) -> Vec<Statement> {
    let set = on_column(object, &format!("SET DEFAULT {}", object.read::<Default>().expression));
    set.into_iter().chain(after_rows(context, object)).collect()
}

/// A new sequence that from now on numbers the rows of a table that stands.
fn after_rows(context: &Context, object: &Object) -> Option<Statement> {
    let column =
        context.desired.get(object.parent.as_ref()?).filter(|c| ["smallint", "integer", "bigint"].contains(&c.text("type")))?;
    let stands = context.live.contains(&column.id) && !made_anew(context, column);
    let used = context.desired.uses(&object.id).iter().map(|(id, _)| id);
    let sequence =
        used.filter(|id| id.class() == "sequence" && !context.live.contains(id)).find_map(|id| context.desired.get(id))?;
    let (name, table) = (sequence.id.sql(), column.id.table_sql());
    let position = format!("(SELECT last_value FROM {name})");
    let numbered = || sequence.read::<Sequence>().after_rows(&literal(&name), &position, &table, &ident(column.id.base()));
    stands.then(numbered)
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
        // A default refers to no column, so that the table need not be opened for it.
        .define("'expression', pg_get_expr(d.adbin, 0)")
    }),
    check: reads_as::<Default>,
    fields: &[expression("expression", Cost::Alter)],
    create: set,
    alter: |context, _, o, _| set(context, o),
    drop: |_, o| on_column(o, "DROP DEFAULT"),
    // The default of a view's column is always a statement of its own.
    element: Some(|_, o| o.parent.as_ref().is_some_and(|p| p.class() == "column").then(String::new)),
    absorbed: Absorbed::Inside,
    carried: Carried::Always,
    ..BASE
};
