//! Sequences of identity columns, for the sake of the rights on them: `GRANT ... ON ALL SEQUENCES` gives them some. The column makes
//! them, and its definition has their numbers and their name; they have no statements of their own.

use super::{Absorbed, BASE, Kind, Query, Renaming};
use crate::sql::qualified;
use crate::statement::LockMode;

/// The kind.
pub static KIND: Kind = Kind {
    class: "identity sequence",
    present: "'S' = ANY (look.relations)",
    query: Some(|_| {
        Query {
            parent: Some(("pg_class", "d.refobjid", "d.refobjsubid")),
            ..Query::over(
                "pg_class",
                "c.oid",
                "n.nspname, c.relname",
                "FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' AND c.relpersistence <> 't' \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE d.classid = 'pg_class'::regclass \
                 AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND c.oid >= 16384",
            )
        }
        .owned("c.relowner", "c.relacl", 's')
    }),
    absorbed: Absorbed::After,
    has_owner: false,
    comment: |id| format!("SEQUENCE {}", qualified(id.name())),
    renaming: Renaming::Whole("SEQUENCE", Some(LockMode::AccessExclusive)),
    ..BASE
};
