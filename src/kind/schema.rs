//! Schemas: `pg_namespace`.

use super::{BASE, Kind, Query};
use crate::sql::ident;
use crate::statement::Statement;

/// The kind.
pub static KIND: Kind = Kind {
    class: "schema",
    query: Some(|version| Query {
        // Before 15 the bootstrap superuser owns `public`, whatever its name; since 15 it is pg_database_owner.
        owner: Some(if version < 150_000 {
            "CASE WHEN n.nspname = 'public' AND n.nspowner = 10 THEN 'pg_database_owner'::regrole::oid ELSE n.nspowner END"
        } else {
            "n.nspowner"
        }),
        acl: Some(("n.nspacl", 'n')),
        ..Query::over(
            "pg_namespace",
            "n.oid",
            "n.nspname",
            "FROM pg_namespace n WHERE (n.oid >= 16384 OR n.nspname = 'public') AND n.nspname !~ '^pg_(temp|toast)'",
        )
    }),
    create: |_, o| vec![Statement::new(format!("CREATE SCHEMA {}", ident(o.id.base())))],
    drop: |_, o| vec![Statement::new(format!("DROP SCHEMA {}", ident(o.id.base())))],
    ..BASE
};
