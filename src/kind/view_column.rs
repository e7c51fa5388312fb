//! Columns of views and materialized views, in so far as something is attached to them: a grant or a comment.
//! The view makes them; they have no statements of their own.

use super::{Absorbed, BASE, Kind, Query};

/// The kind.
pub static KIND: Kind = Kind {
    class: "view column",
    query: Some(|_| {
        Query {
            sub: "a.attnum",
            acl: Some(("a.attacl", 'c')),
            ..Query::over(
                "pg_class",
                "c.oid",
                "n.nspname, c.relname, a.attname",
                "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('v', 'm') AND c.relpersistence <> 't' \
                 JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND (a.attacl IS NOT NULL OR a.atthasdef \
                 OR EXISTS (SELECT FROM pg_description d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum))",
            )
        }
        .part_of("pg_class", "c.oid")
    }),
    absorbed: Absorbed::After,
    made_with_whole: true,
    comment: |id| format!("COLUMN {}", id.sql()),
    ..BASE
};
