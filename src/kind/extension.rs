//! Extensions: `pg_extension`. The version is known and not compared: files rarely state it.

use serde::Deserialize;

use super::{BASE, Cost, Kind, Query, field, reads_as};
use crate::sql::ident;
use crate::statement::{Loss, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    /// The schema of its objects; none when the extension brings its own.
    schema: Option<String>,
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "extension",
    present: "EXISTS (SELECT FROM pg_extension WHERE oid >= 16384)",
    query: Some(|_| {
        Query::over(
            "pg_extension",
            "e.oid",
            "e.extname",
            "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.oid >= 16384",
        )
        .define(
            "'schema', CASE WHEN NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass \
             AND d.objid = n.oid AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e') \
             AND n.nspname <> 'pg_catalog' THEN n.nspname END",
        )
        .detail("'version', e.extversion")
    }),
    check: reads_as::<Extension>,
    fields: &[field("schema", Cost::Alter)],
    create: |_, o| {
        let schema = o.read::<Extension>().schema.map_or(String::new(), |s| format!(" WITH SCHEMA {}", ident(&s)));
        vec![Statement::new(format!("CREATE EXTENSION {}{schema}", ident(o.id.base())))]
    },
    alter: |_, _, new, _| {
        let schema = new.read::<Extension>().schema.unwrap_or_else(|| "pg_catalog".to_owned());
        vec![Statement::new(format!("ALTER EXTENSION {} SET SCHEMA {}", ident(new.id.base()), ident(&schema)))]
    },
    drop: |_, o| {
        let name = ident(o.id.base());
        vec![Statement::new(format!("DROP EXTENSION {name}")).loses(Loss::Extension(name))]
    },
    ..BASE
};
