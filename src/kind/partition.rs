//! That a table is a partition of another: `pg_inherits` and `pg_class.relpartbound`. A node of its own, so that a change of the
//! bound or of the parent is DETACH and ATTACH, never a drop of rows.

use serde::Deserialize;

use super::{BASE, Carried, Cost, Kind, Query, Space, field, reads_as};
use crate::catalog::Object;
use crate::sql::qualified;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    /// As a SQL name.
    parent: String,
    /// `FOR VALUES ...` or `DEFAULT`.
    bound: String,
}

fn child(object: &Object) -> String {
    qualified(object.id.name())
}

fn attach(object: &Object) -> Statement {
    let p: Partition = object.read();
    let child = child(object);
    Statement::new(format!("ALTER TABLE {} ATTACH PARTITION {child} {}", p.parent, p.bound))
        .lock(p.parent, LockMode::ShareUpdateExclusive)
        .lock(child.clone(), LockMode::AccessExclusive)
        .scan(child)
}

fn detach(object: &Object) -> Statement {
    let p: Partition = object.read();
    let child = child(object);
    Statement::new(format!("ALTER TABLE {} DETACH PARTITION {child}", p.parent))
        .lock(p.parent, LockMode::AccessExclusive)
        .lock(child, LockMode::AccessExclusive)
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "partition",
    query: Some(|_| {
        Query::over(
            "pg_inherits",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition AND c.relkind IN ('r', 'p') \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = i.inhparent \
             JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE c.oid >= 16384 AND c.relpersistence <> 't'",
        )
        .part_of("pg_class", "c.oid")
        .define("'parent', quote_ident(pn.nspname) || '.' || quote_ident(p.relname), 'bound', pg_get_expr(c.relpartbound, c.oid)")
    }),
    check: reads_as::<Partition>,
    fields: &[field("parent", Cost::Replace), field("bound", Cost::Replace)],
    create: |_, o| vec![attach(o)],
    drop: |_, o| vec![detach(o)],
    spaces: &[Space::Bounds],
    rests_on: &["table"],
    carried: Carried::Always,
    ..BASE
};
