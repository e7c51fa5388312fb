//! The column that a sequence belongs to (`OWNED BY`): an automatic row of `pg_depend` from the sequence to the column.

use serde::Deserialize;

use super::owner::change_owner;
use super::relation::table_made_anew;
use super::{BASE, Carried, Context, Cost, Kind, Query, field, reads_as};
use crate::catalog::{Catalog, Id, Object};
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedBy {
    column: String,
}

fn owned_by(object: &Object, column: &str) -> Statement {
    let sequence = crate::sql::qualified(&object.id.name()[..2]);
    Statement::new(format!("ALTER SEQUENCE {sequence} OWNED BY {column}")).lock(sequence, LockMode::ShareRowExclusive)
}

/// The column that a sequence belongs to.
pub fn owning_column<'c>(catalog: &'c Catalog, owned_by: &Id) -> Option<&'c Object> {
    let (column, _) = catalog.uses(owned_by).iter().find(|(used, _)| used.class() == "column")?;
    catalog.get(column)
}

/// The sequences that go with a table: those that belong to its columns, and its identities', as SQL names.
pub fn of_table(catalog: &Catalog, table: &Id) -> Vec<String> {
    let columns: Vec<&Object> = catalog.children(table).filter(|c| c.id.class() == "column").collect();
    let owned = columns.iter().flat_map(|c| catalog.used_by(&c.id)).map(|(user, _)| user).filter(|u| u.class() == "owned by");
    let identities =
        columns.iter().flat_map(|c| catalog.children(&c.id)).map(|o| &o.id).filter(|id| id.class() == "identity sequence");
    owned.chain(identities).map(|id| crate::sql::qualified(&id.name()[..2])).collect()
}

/// The tables that own a sequence that is never without one in between: before and after.
pub fn stays_owned<'c>(context: &Context<'c>, sequence: &Id) -> Option<(&'c Object, &'c Object)> {
    let owned_by = sequence.as_class("owned by");
    let table = |c: &'c Catalog, column: &Object| column.parent.as_ref().and_then(|t| c.get(t));
    let (old, new) = (owning_column(context.live, &owned_by)?, owning_column(context.desired, &owned_by)?);
    let (from, to) = (table(context.live, old)?, table(context.desired, new)?);
    // A table or a column that is made anew lets go of it.
    let anew = from.id == to.id && table_made_anew(context, &from.id) || old.id == new.id && generated(old) != generated(new);
    (!anew).then_some((from, to))
}

fn generated(column: &Object) -> Option<&serde_json::Value> {
    column.definition.get("generated")
}

/// The sequence passes to another column. It has to be of one owner with the table all the time: it is free while that changes.
fn pass(context: &Context, object: &Object) -> Vec<Statement> {
    let sequence = object.id.as_class("sequence");
    let owner = Id::satellite("owner", &sequence);
    let role = |c: &Catalog| c.get(&owner).map(|o| o.text("role").to_owned());
    let passed = owned_by(object, &object.read::<OwnedBy>().column);
    let table_changes = stays_owned(context, &sequence).is_none_or(|(from, to)| from.id != to.id);
    match context.desired.get(&owner).filter(|_| table_changes && role(context.live) != role(context.desired)) {
        Some(new) => vec![owned_by(object, "NONE"), change_owner(&sequence, new), passed],
        None => vec![passed],
    }
}

/// The sequences of a column pass to another one of its table, which is SQL.
pub fn pass_all(context: &Context, column: &Id, to: &str) -> Vec<Statement> {
    let owned = context.live.used_by(column).iter().map(|(id, _)| id).filter(|id| id.class() == "owned by");
    owned.filter_map(|id| context.live.get(id)).map(|o| owned_by(o, to)).collect()
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "owned by",
    present: "'S' = ANY (look.relations)",
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
    create: |_, o| vec![owned_by(o, &o.read::<OwnedBy>().column)],
    alter: |context, _, o, _| pass(context, o),
    drop: |_, o| vec![owned_by(o, "NONE")],
    carried: Carried::Always,
    only_definition: true,
    ties_parent: true,
    ..BASE
};
