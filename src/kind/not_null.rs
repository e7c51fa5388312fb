//! What a NOT NULL has beyond being there: since 18 it is a constraint with a name, may be NO INHERIT and NOT VALID. Part of the
//! column, which says whether it is there at all.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Context;
use super::relation::{is_partitioned, made_anew, parted};
use crate::catalog::{Catalog, Dependency, Object};
use crate::sql::{free_name, ident};
use crate::statement::{LockMode, RowCheck, Statement};

/// What differs from what `NOT NULL` alone would make.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct NotNull {
    name: Option<String>,
    no_inherit: bool,
    not_valid: bool,
}

/// The name of one that the column has from a parent table, or NULL. It is no difference: no statement changes it, and the server takes
/// the parent's when the column gets another type.
pub fn inherited_name(version: u32) -> &'static str {
    if version < 180_000 {
        return "NULL::text";
    }
    "(SELECT k.conname FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND k.coninhcount > 0 \
         AND k.conname <> c.relname || '_' || a.attname || '_not_null')"
}

/// The JSON of it for the column `a` of the table `c`, or NULL.
pub fn pairs(version: u32) -> &'static str {
    if version < 180_000 {
        return "NULL::json";
    }
    "(SELECT nullif(jsonb_strip_nulls(jsonb_build_object('name', CASE WHEN k.conname <> c.relname || '_' || a.attname || '_not_null' \
             AND k.coninhcount = 0 THEN k.conname END, \
         'no_inherit', CASE WHEN k.connoinherit THEN true END, 'not_valid', CASE WHEN NOT k.convalidated THEN true END)), '{}') \
         FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum])"
}

fn of(object: &Object) -> NotNull {
    let found = object.definition.get("not_null_constraint");
    found.and_then(|n| serde_json::from_value(n.clone()).ok()).unwrap_or_default()
}

/// Whether it is wanted NOT VALID: it holds for new rows, and nobody has looked at those that stand.
pub fn is_not_valid(object: &Object) -> bool {
    of(object).not_valid
}

/// Whether it is not as `SET NOT NULL` makes it, but for its name.
pub fn is_special(object: &Object) -> bool {
    let constraint = of(object);
    constraint.not_valid || constraint.no_inherit
}

/// The column with a NOT NULL of this name.
pub fn named(column: &Object, name: &str) -> Object {
    let mut column = column.clone();
    column.definition.insert("not_null".to_owned(), true.into());
    column.definition.insert("not_null_constraint".to_owned(), serde_json::json!({ "name": name }));
    column
}

/// The NOT NULL of one column passes to another one of its table, with the name that it has there.
pub fn renamed(context: &Context, from: &Object, to: &Object) -> Option<Statement> {
    let table = to.id.table_sql();
    let sql = format!("ALTER TABLE {table} RENAME CONSTRAINT {} TO {}", name(from), name(to));
    let by_name = context.live.server >= 180_000 && to.flag("not_null");
    by_name.then(|| Statement::new(sql).lock(table, LockMode::AccessExclusive))
}

fn name(object: &Object) -> String {
    let names = object.id.name();
    let chosen = || format!("{}_{}_not_null", names[names.len() - 2], object.id.base());
    ident(&said_name(object).unwrap_or_else(chosen))
}

/// The name that it has where that is not the server's choice.
fn said_name(object: &Object) -> Option<String> {
    of(object).name.or_else(|| object.detail.get("not_null_name")?.as_str().map(str::to_owned))
}

/// Whether tables that inherit from the column's may hold the name that the server would choose: it would choose another one.
fn has_heirs(context: &Context, object: &Object) -> bool {
    [context.live, context.desired].iter().any(|side| {
        object.parent.as_ref().is_some_and(|t| is_partitioned(side, t))
            || side.used_by(&object.id).iter().any(|(_, d)| *d == Dependency::Inherited)
    })
}

/// Whether a column that inherits from this one holds the name that the server would choose before: names are chosen once in a schema. One
/// of a table that comes to this one's in this plan is made with the name that it has afterwards.
fn is_taken(context: &Context, object: &Object) -> bool {
    let own = name(object);
    let held = |side: &Catalog, holds: &dyn Fn(&Object) -> bool| {
        let under = side.used_by(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited).map(|(id, _)| id);
        under.filter_map(|id| side.get(id)).any(|heir| name(heir) == own && holds(heir))
    };
    let comes = |heir: &Object| parted(context, heir) || made_anew(context, heir) || !context.live.contains(&heir.id);
    context.live.server >= 180_000 && (held(context.live, &|heir| heir.flag("not_null")) || held(context.desired, &comes))
}

/// ` NOT NULL` in the definition of a column; empty where it follows by itself.
pub fn words(context: &Context, object: &Object) -> String {
    let constraint = of(object);
    if !object.flag("not_null") || constraint.not_valid {
        return String::new();
    }
    let heirs = context.desired.server >= 180_000 && has_heirs(context, object);
    let named = if said_name(object).is_some() || heirs { format!(" CONSTRAINT {}", name(object)) } else { String::new() };
    format!("{named} NOT NULL{}", if constraint.no_inherit { " NO INHERIT" } else { "" })
}

/// Adds it to a column that stands: SET NOT NULL, where that says it all or a parent has said it.
pub fn add(context: &Context, object: &Object, from_parent: bool) -> Statement {
    if !from_parent && (object.definition.contains_key("not_null_constraint") || is_taken(context, object)) {
        return stated(object);
    }
    let (table, column) = (object.id.table_sql(), ident(object.id.base()));
    let sql = format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL");
    Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs().scan(table)
}

/// The same with its name and all that it is.
fn stated(object: &Object) -> Statement {
    let (table, column, constraint) = (object.id.table_sql(), ident(object.id.base()), of(object));
    let no_inherit = if constraint.no_inherit { " NO INHERIT" } else { "" };
    let sql = format!("ALTER TABLE {table} ADD CONSTRAINT {} NOT NULL {column}{no_inherit}", name(object));
    let lock = |sql: String| Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs();
    if constraint.not_valid { lock(format!("{sql} NOT VALID")) } else { lock(sql).scan(table) }
}

/// Adds it to a column that stands, with its rows read while others write: before 18 a check says the same meanwhile.
pub fn add_online(context: &Context, object: &Object, needs: Option<RowCheck>) -> Vec<Statement> {
    let (table, column) = (object.id.table_sql(), ident(object.id.base()));
    let change = |action: String, mode| Statement::new(format!("ALTER TABLE {table} {action}")).lock(table.clone(), mode).heirs();
    let validate = |name: &str| {
        let validate = change(format!("VALIDATE CONSTRAINT {name}"), LockMode::ShareUpdateExclusive);
        validate.scan(table.clone()).needs(needs.clone()).own()
    };
    let drop_not_null = format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL");
    if context.live.server >= 180_000 {
        let mut unchecked = object.clone();
        let constraint = unchecked.definition.entry("not_null_constraint").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = constraint {
            fields.insert("not_valid".to_owned(), true.into());
        }
        return vec![stated(&unchecked).back(drop_not_null), validate(&name(object))];
    }
    let taken = |name: &String| {
        let id = object.parent.as_ref().map(|t| t.part("check", name));
        id.is_some_and(|id| context.live.contains(&id) || context.desired.contains(&id))
    };
    let check = free_name(object.id.base(), "_not_null", &taken);
    let check = ident(&check);
    let drop = format!("DROP CONSTRAINT {check}");
    let exclusive = LockMode::AccessExclusive;
    vec![
        change(format!("ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"), exclusive)
            .back(format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}")),
        validate(&check),
        change(format!("ALTER COLUMN {column} SET NOT NULL"), exclusive).back(drop_not_null),
        change(drop, exclusive),
    ]
}

/// What the definition of a column cannot say.
pub fn extra(object: &Object) -> Option<Statement> {
    of(object).not_valid.then(|| stated(object))
}

/// Takes it away, from tables that inherit the column too, but for those that keep it (by a primary key of theirs).
pub fn remove(context: &Context, object: &Object) -> Vec<Statement> {
    let table = object.id.table_sql();
    let mut kept = false;
    let mut heirs = vec![&object.id];
    while let Some(heir) = heirs.pop() {
        let under = context.desired.used_by(heir).iter().filter(|(_, d)| *d == Dependency::Inherited).map(|(id, _)| id);
        kept |= heir != &object.id && context.desired.get(heir).is_some_and(|c| c.flag("not_null"));
        heirs.extend(under);
    }
    let partitioned = object.parent.as_ref().is_some_and(|t| is_partitioned(context.live, t));
    let only = if kept && !partitioned { "ONLY " } else { "" };
    let sql = format!("ALTER TABLE {only}{table} ALTER COLUMN {} DROP NOT NULL", ident(object.id.base()));
    let dropped = Statement::new(sql).lock(table, LockMode::AccessExclusive);
    if only.is_empty() {
        return vec![dropped.heirs()];
    }
    // Those that keep it have it for their own now, under the name that it had from here.
    let under = context.live.used_by(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited).map(|(id, _)| id);
    let both = under.filter_map(|id| Some((context.live.get(id)?, context.desired.get(id).filter(|c| c.flag("not_null"))?)));
    let named = both.filter(|(old, new)| name(old) != name(new)).filter_map(|(old, new)| renamed(context, old, new));
    std::iter::once(dropped).chain(named).collect()
}

/// A column is its table's own when that has left its parent: the name that its NOT NULL had from there can be another one now.
pub fn after_leaving(context: &Context, old: &Object, new: &Object) -> Option<Statement> {
    let leaves = old.flag("inherited") && !new.flag("inherited");
    // Where more of it differs, that goes along with it.
    let alone = old.definition.get("not_null_constraint") == new.definition.get("not_null_constraint");
    let other = leaves && alone && old.flag("not_null") && name(old) != name(new);
    renamed(context, old, new).filter(|_| other)
}

/// From one to another on a column that has it before and after; what is a parent's changes with the parent's.
pub fn alter(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let (before, after, table) = (of(old), of(new), new.id.table_sql());
    if old.flag("inherited") && new.flag("inherited") && !parted(context, new) {
        return Vec::new();
    }
    if after.not_valid && !before.not_valid {
        return remove(context, old).into_iter().chain([stated(new)]).collect();
    }
    let change = |action: String, mode| Statement::new(format!("ALTER TABLE {table} {action}")).lock(table.clone(), mode).heirs();
    let mut statements = Vec::new();
    if name(old) != name(new) {
        statements.push(change(format!("RENAME CONSTRAINT {} TO {}", name(old), name(new)), LockMode::AccessExclusive));
    }
    if before.no_inherit != after.no_inherit {
        let words = if after.no_inherit { "NO INHERIT" } else { "INHERIT" };
        statements.push(change(format!("ALTER CONSTRAINT {} {words}", name(new)), LockMode::AccessExclusive));
    }
    if before.not_valid && !after.not_valid {
        let validated = change(format!("VALIDATE CONSTRAINT {}", name(new)), LockMode::ShareUpdateExclusive);
        statements.push(validated.scan(table.clone()));
    }
    statements
}
