//! The column that a sequence belongs to (`OWNED BY`): an automatic row of `pg_depend` from the sequence to the column.

use serde::Deserialize;

use super::{BASE, Carried, Cost, Kind, Query, field, reads_as};
use crate::catalog::Object;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedBy {
    column: String,
}

fn owned_by(object: &Object, column: &str) -> Vec<Statement> {
    let sequence = crate::sql::qualified(&object.id.name()[..2]);
    vec![Statement::new(format!("ALTER SEQUENCE {sequence} OWNED BY {column}")).lock(sequence, LockMode::ShareRowExclusive)]
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "owned by",
    query: Some(|_| {
        Query::over(
            "pg_depend",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND d.objid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define("'column', quote_ident(tn.nspname) || '.' || quote_ident(t.relname) || '.' || quote_ident(a.attname)")
    }),
    check: reads_as::<OwnedBy>,
    fields: &[field("column", Cost::Alter)],
    create: |_, o| owned_by(o, &o.read::<OwnedBy>().column),
    alter: |_, _, o, _| owned_by(o, &o.read::<OwnedBy>().column),
    drop: |_, o| owned_by(o, "NONE"),
    carried: Carried::Always,
    ties_parent: true,
    ..BASE
};
