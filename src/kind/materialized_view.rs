//! Materialized views: `pg_class` with `relkind = 'm'`. Whether one is populated is known and not compared.

use serde::Deserialize;

use super::relation::{SORTED_OPTIONS, change_options, given_options, options, with_options};
use super::view::{BODY, COLUMNS};
use super::{BASE, Cost, Kind, Query, Space, expression, field, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "columns are compared")]
struct MaterializedView {
    query: String,
    columns: Vec<String>,
    #[serde(default)]
    options: Vec<String>,
    access_method: Option<String>,
}

fn create(object: &Object) -> Statement {
    let m: MaterializedView = object.read();
    let method = m.access_method.map_or(String::new(), |a| format!(" USING {}", ident(&a)));
    Statement::new(format!(
        "CREATE MATERIALIZED VIEW {}{method}{} AS\n{}",
        object.id.sql(),
        with_options(&given_options(object)),
        m.query
    ))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "materialized view",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam \
             WHERE c.relkind = 'm' AND c.oid >= 16384",
        )
        .owned("c.relowner", "c.relacl", 'r')
        .define(format!(
            "'query', {BODY}, 'columns', {COLUMNS}, 'options', {SORTED_OPTIONS}, \
             'access_method', CASE WHEN am.amname <> 'heap' THEN am.amname END"
        ))
        .detail("'populated', c.relispopulated, 'options', to_json(c.reloptions)")
    }),
    check: reads_as::<MaterializedView>,
    fields: &[
        expression("query", Cost::Replace),
        field("columns", Cost::Replace),
        field("options", Cost::Alter),
        field("access_method", Cost::Replace),
    ],
    create: |_, o| vec![create(o)],
    alter: |_, old, new, _| {
        let name = new.id.sql();
        change_options(&format!("ALTER MATERIALIZED VIEW {name}"), &options(old), &options(new))
            .into_iter()
            .map(|sql| Statement::new(sql).lock(name.clone(), LockMode::ShareUpdateExclusive))
            .collect()
    },
    drop: |_, o| {
        let name = o.id.sql();
        vec![Statement::new(format!("DROP MATERIALIZED VIEW {name}")).lock(name, LockMode::AccessExclusive)]
    },
    spaces: &[Space::Relation, Space::Type],
    ..BASE
};
