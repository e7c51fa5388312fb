//! Attributes of composite types, in so far as something is attached to them: a comment. The type makes them; they have no
//! statements of their own.

use super::{Absorbed, BASE, Kind, Query, Renaming};

/// The kind.
pub static KIND: Kind = Kind {
    class: "attribute",
    present: "'c' = ANY (look.relations)",
    query: Some(|_| {
        Query {
            sub: "a.attnum",
            ..Query::over(
                "pg_class",
                "c.oid",
                "n.nspname, c.relname, a.attname",
                "FROM pg_description d JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid AND c.relkind = 'c' \
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND NOT a.attisdropped \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384",
            )
        }
        .part_of("pg_type", "c.reltype")
    }),
    absorbed: Absorbed::After,
    made_with_whole: true,
    comment: |id| format!("COLUMN {}", id.sql()),
    renaming: Renaming::Part("TYPE", "ATTRIBUTE", false),
    ..BASE
};
