//! Extended statistics objects: `pg_statistic_ext`.

use serde::Deserialize;

use super::{BASE, Carried, Cost, Kind, Query, Renaming, expression, field, reads_as};
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statistics {
    definition: String,
    target: Option<i64>,
    table: String,
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "statistics",
    present: "EXISTS (SELECT FROM pg_statistic_ext)",
    query: Some(|version| {
        let target = if version >= 170_000 { "s.stxstattarget" } else { "nullif(s.stxstattarget, -1)" };
        Query {
            owner: Some("s.stxowner"),
            ..Query::over(
                "pg_statistic_ext",
                "s.oid",
                "n.nspname, s.stxname",
                "FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid \
                 JOIN pg_namespace cn ON cn.oid = c.relnamespace WHERE s.oid >= 16384",
            )
        }
        .part_of("pg_class", "c.oid")
        .define(format!(
            "'definition', pg_get_statisticsobjdef(s.oid), 'target', {target}, \
             'table', quote_ident(cn.nspname) || '.' || quote_ident(c.relname)"
        ))
    }),
    check: reads_as::<Statistics>,
    fields: &[expression("definition", Cost::Replace), field("target", Cost::Alter), field("table", Cost::Replace)],
    create: |_, o| {
        let s: Statistics = o.read();
        let mut statements = vec![Statement::new(s.definition).lock(s.table, LockMode::ShareUpdateExclusive)];
        statements.extend(s.target.map(|t| Statement::new(format!("ALTER STATISTICS {} SET STATISTICS {t}", o.id.sql()))));
        statements
    },
    alter: |_, _, o, _| {
        let target = o.read::<Statistics>().target.unwrap_or(-1);
        vec![Statement::new(format!("ALTER STATISTICS {} SET STATISTICS {target}", o.id.sql()))]
    },
    drop: |_, o| {
        let dropped = Statement::new(format!("DROP STATISTICS {}", o.id.sql()));
        vec![dropped.lock(o.text("table"), LockMode::ShareUpdateExclusive)]
    },
    // The server makes them anew with the columns' types, and forgets whose they were.
    carried: Carried::Never,
    renaming: Renaming::Whole("STATISTICS", None),
    ..BASE
};
