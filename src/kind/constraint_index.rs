//! The index that enforces a constraint, in so far as something is attached to it: a comment. The constraint makes it; it has no
//! statements of its own.

use super::{Absorbed, BASE, Kind, Query};
use crate::sql::qualified;

/// The kind.
pub static KIND: Kind = Kind {
    class: "constraint index",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_description d JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid AND c.relkind IN ('i', 'I') \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') WHERE c.oid >= 16384",
        )
        .part_of("pg_constraint", "k.oid")
    }),
    absorbed: Absorbed::After,
    made_with_whole: true,
    comment: |id| format!("INDEX {}", qualified(id.name())),
    ..BASE
};
