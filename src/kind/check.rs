//! Check constraints of tables: `pg_constraint` with `contype = 'c'`.

use serde::Deserialize;

use super::constraint::{COMMON, add, in_two, query, remove};
use super::relation::{made_anew, parted};
use super::{
    Absorbed, BASE, Carried, Context, Cost, Kind, NOT_ONLINE, Online, Renaming, Space, expression, field, fill, on_table,
    reads_as, row_checks,
};
use crate::catalog::{Dependency, Id, Object};
use crate::sql::ident;
use crate::statement::{LockMode, RowCheck, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "deferral cannot be set on a check; the fields are read to be refused if they ever appear")]
struct Check {
    expression: String,
    #[serde(default)]
    no_inherit: bool,
    #[serde(default)]
    not_valid: bool,
    #[serde(default)]
    not_enforced: bool,
    #[serde(default)]
    deferrable: bool,
    #[serde(default)]
    deferred: bool,
    #[serde(default)]
    inherited: bool,
}

fn element(object: &Object) -> String {
    let c: Check = object.read();
    let no_inherit = if c.no_inherit { " NO INHERIT" } else { "" };
    let enforced = if c.not_enforced { " NOT ENFORCED" } else { "" };
    format!("CONSTRAINT {} CHECK ({}){no_inherit}{enforced}", ident(object.id.base()), c.expression)
}

fn validate(object: &Object) -> Vec<Statement> {
    let table = object.id.table_sql();
    let sql = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", ident(object.id.base()));
    let validated = Statement::new(sql).lock(table.clone(), LockMode::ShareUpdateExclusive).scan(table);
    vec![if object.flag("no_inherit") { validated } else { validated.heirs() }]
}

fn rows(context: &Context, object: &Object) -> Option<RowCheck> {
    row_checks::columns(context, object)?;
    row_checks::fulfils(context, object.parent.as_ref()?, &ident(object.id.base()), object.text("expression"))
}

/// Whether it comes to its table through INHERITS, which writes it by itself.
fn by_inheritance(context: &Context, object: &Object) -> bool {
    let table = object.parent.as_ref().and_then(|p| context.desired.get(p));
    object.flag("inherited") && table.is_some_and(|t| t.definition.contains_key("inherits"))
}

/// Whether making the parent table's constraint makes this one too.
fn from_parent(context: &Context, object: &Object) -> bool {
    let new = |id: &Id| !context.live.contains(id);
    let from_new_parent = context.desired.uses(&object.id).iter().any(|(id, d)| *d == Dependency::Inherited && new(id));
    let with_parent = from_new_parent || context.absorbed.contains(&object.id);
    let table_is_new = object.parent.as_ref().is_some_and(new) || made_anew(context, object) || parted(context, object);
    object.flag("inherited") && (by_inheritance(context, object) || with_parent && !table_is_new)
}

/// Whether the parent table's constraint, which is wanted NOT VALID, brings one along that is wanted valid; it is so already where
/// the table is made after.
fn arrives_not_valid(context: &Context, object: &Object) -> bool {
    let parents = context.desired.uses(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    let not_valid = parents.filter_map(|(p, _)| context.desired.get(p)).any(|p| p.flag("not_valid"));
    not_valid && !object.flag("not_valid")
}

fn create(context: &Context, object: &Object) -> Vec<Statement> {
    if from_parent(context, object) {
        return if arrives_not_valid(context, object) { validate(object) } else { Vec::new() };
    }
    let added = add(object, &element(object));
    // Since 18 the tables that inherit are looked into, whatever they get of it.
    let alone = object.flag("no_inherit") && context.live.server < 180_000;
    let mut added = if alone { added } else { added.heirs() };
    if object.flag("not_valid") {
        added.sql += " NOT VALID";
        added.scans.clear();
    } else {
        added = added.needs(rows(context, object));
    }
    vec![added]
}

fn create_online(context: &Context, object: &Object) -> Vec<Statement> {
    if from_parent(context, object) || object.flag("not_valid") || object.flag("not_enforced") {
        return Vec::new();
    }
    let held = |s: Statement| s.needs(rows(context, object));
    in_two(object, |unchecked| create(context, unchecked), |whole| validate(whole).into_iter().map(held).collect())
}

fn gone(context: &Context, object: &Object) -> Vec<Statement> {
    let own = |s: Statement| if object.flag("no_inherit") { s } else { s.heirs() };
    remove(context, object).into_iter().map(own).collect()
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "check",
    query: Some(|version| {
        let enforced = if version >= 180_000 { "CASE WHEN NOT k.conenforced THEN true END" } else { "NULL::bool" };
        let not_valid = if version >= 180_000 { "NOT k.convalidated AND k.conenforced" } else { "NOT k.convalidated" };
        query('c')
            .define(format!(
                "'expression', pg_get_expr(k.conbin, k.conrelid), 'no_inherit', CASE WHEN k.connoinherit THEN true END, \
             'not_valid', CASE WHEN {not_valid} THEN true END, 'not_enforced', {enforced}, {COMMON}"
            ))
            .detail("'partition', CASE WHEN c.relispartition THEN true END")
    }),
    check: reads_as::<Check>,
    fields: &[
        expression("expression", Cost::Replace),
        field("no_inherit", Cost::Replace),
        field("not_valid", Cost::AlterOrReplace(|_, new| !new.flag("not_valid"))),
        field("not_enforced", Cost::Replace),
        field("deferrable", Cost::Replace),
        field("deferred", Cost::Replace),
        // A parent's constraint joins a child's own, which stays its own; only that of a partition becomes the parent's.
        field("inherited", Cost::AlterOrReplace(|old, _| old.flag("inherited") || old.detail.contains_key("partition"))),
    ],
    create,
    online: Online {
        create: |context, o, _| create_online(context, o),
        drop: |context, o| {
            fill::unfinished(context, o).into_iter().flat_map(|s| [vec![s.own()], gone(context, o)].concat()).collect()
        },
        ..NOT_ONLINE
    },
    alter: |context, _, new, changed| {
        let validated = || validate(new).into_iter().map(|s| s.needs(rows(context, new))).collect();
        if changed.iter().any(|c| c == "not_valid") { validated() } else { Vec::new() }
    },
    drop: |context, o| fill::unfinished(context, o).into_iter().chain(gone(context, o)).collect(),
    element: Some(|context, o| (!o.flag("not_valid") && !by_inheritance(context, o)).then(|| element(o))),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint],
    carried: Carried::Always,
    inherited: Some(
        "SELECT 'pg_constraint'::regclass::oid, k.oid, 0, 'pg_constraint'::regclass::oid, p.oid, 0 \
         FROM pg_inherits i JOIN pg_constraint k ON k.conrelid = i.inhrelid AND k.contype = 'c' AND k.coninhcount > 0 AND NOT k.conislocal \
         JOIN pg_constraint p ON p.conrelid = i.inhparent AND p.conname = k.conname AND p.contype = 'c'",
    ),
    made_by_parent: true,
    comment: |id| on_table("CONSTRAINT", id),
    renaming: Renaming::Part("TABLE", "CONSTRAINT", true),
    ..BASE
};
