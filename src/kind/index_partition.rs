//! That the index of a partition belongs to an index of the partitioned table: `pg_inherits` over indexes.
//!
//! Whenever the partitioned index or the partition itself is new, the server finds the matching index by itself; the
//! statement is needed only where both stood already.

use serde::Deserialize;

use super::relation::{attached_anew, table_made_anew};
use super::{BASE, Carried, Context, Cost, Kind, Query, field, reads_as};
use crate::catalog::{Dependency, Id, Object};
use crate::sql::qualified;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexPartition {
    /// The index of the partitioned table, as a SQL name.
    parent: String,
}

/// Whether the server joins the two by itself: the partition is attached (for the first time, or again since it is made anew or
/// its place changes), or the parent's index made, after this index stands.
fn joined_by_server(context: &Context, object: &Object) -> bool {
    let Some(index) = object.parent.as_ref() else { return false };
    let table = context.desired.get(index).and_then(|i| i.parent.clone());
    let attached = |t: &Id| {
        let place = t.as_class("partition");
        context.live.contains(&place) && !table_made_anew(context, t) && !attached_anew(context, &place)
    };
    let parents = context.desired.uses(index).iter().filter(|(_, d)| *d == Dependency::Inherited);
    let parents: Vec<&Object> = parents.filter_map(|(p, _)| context.desired.get(p)).collect();
    if parents.iter().any(|p| p.flag("invalid")) {
        return false;
    }
    let parents_stand = parents.iter().all(|p| context.live.contains(&p.id));
    !(parents_stand && table.as_ref().is_some_and(attached))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "index partition",
    present: super::HEIRS,
    query: Some(|_| {
        Query::over(
            "pg_inherits",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('i', 'I') \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class p ON p.oid = i.inhparent \
             JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE c.oid >= 16384",
        )
        .part_of("pg_class", "c.oid")
        .define("'parent', quote_ident(pn.nspname) || '.' || quote_ident(p.relname)")
    }),
    check: reads_as::<IndexPartition>,
    fields: &[field("parent", Cost::Replace)],
    create: |context, o| {
        if joined_by_server(context, o) {
            return Vec::new();
        }
        let (parent, child) = (o.read::<IndexPartition>().parent, qualified(o.id.name()));
        let sql = format!("ALTER INDEX {parent} ATTACH PARTITION {child}");
        vec![Statement::new(sql).lock(parent, LockMode::ShareUpdateExclusive).lock(child, LockMode::AccessExclusive)]
    },
    carried: Carried::Always,
    ..BASE
};
