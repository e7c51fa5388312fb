//! Foreign keys: `pg_constraint` with `contype = 'f'`. They stand alone, never inside CREATE TABLE, so that tables may refer to each other.

use serde::Deserialize;

use super::constraint::{COMMON, column_names, deferral, in_two, query, remove};
use super::partition::lost_with;
use super::relation::{attached_anew, is_partitioned};
use super::{
    BASE, Carried, Context, Cost, Kind, NOT_ONLINE, Online, Query, Renaming, Space, field, on_table, reads_as, row_checks,
};
use crate::catalog::{Dependency, Object};
use crate::sql::{ident, idents};
use crate::statement::{LockMode, RowCheck, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignKey {
    columns: Vec<String>,
    /// As a SQL name.
    referenced: String,
    referenced_columns: Vec<String>,
    match_full: Option<bool>,
    on_update: Option<String>,
    on_delete: Option<String>,
    #[serde(default)]
    set_columns: Vec<String>,
    #[serde(default)]
    period: bool,
    #[serde(default)]
    not_valid: bool,
    #[serde(default)]
    not_enforced: bool,
    #[serde(default)]
    deferrable: bool,
    #[serde(default)]
    deferred: bool,
    #[serde(default)]
    #[allow(dead_code, reason = "read through Object::flag")]
    inherited: bool,
}

fn action(letter: Option<&str>) -> &'static str {
    match letter {
        Some("r") => "RESTRICT",
        Some("c") => "CASCADE",
        Some("n") => "SET NULL",
        Some("d") => "SET DEFAULT",
        _ => "NO ACTION",
    }
}

fn columns(list: &[String], period: bool) -> String {
    match list.split_last() {
        Some((last, rest)) if period => {
            let rest = if rest.is_empty() { String::new() } else { format!("{}, ", idents(rest)) };
            format!("{rest}PERIOD {}", ident(last))
        }
        _ => idents(list),
    }
}

/// Whether a partition has the key already: the server joins the two, and the checks of what the partition's refers to go.
fn joins(context: &Context, object: &Object) -> bool {
    context.desired.used_by(&object.id).iter().any(|(_, d)| *d == Dependency::Inherited)
}

fn create(context: &Context, object: &Object) -> Statement {
    let f: ForeignKey = object.read();
    let table = object.id.table_sql();
    let mut sql = format!(
        "ALTER TABLE {table} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({})",
        ident(object.id.base()),
        columns(&f.columns, f.period),
        f.referenced,
        columns(&f.referenced_columns, f.period)
    );
    if f.match_full == Some(true) {
        sql += " MATCH FULL";
    }
    if f.on_update.is_some() {
        sql += &format!(" ON UPDATE {}", action(f.on_update.as_deref()));
    }
    if f.on_delete.is_some() {
        sql += &format!(" ON DELETE {}", action(f.on_delete.as_deref()));
    }
    if !f.set_columns.is_empty() {
        sql += &format!(" ({})", idents(&f.set_columns));
    }
    sql += deferral(f.deferrable, f.deferred);
    sql += if f.not_enforced { " NOT ENFORCED" } else { "" };
    sql += if f.not_valid { " NOT VALID" } else { "" };
    let mut statement = Statement::new(sql).lock(table.clone(), LockMode::ShareRowExclusive);
    if f.referenced != table {
        let mode = if joins(context, object) { LockMode::AccessExclusive } else { LockMode::ShareRowExclusive };
        statement = statement.lock(f.referenced.clone(), mode);
    }
    let statement = statement.partitions();
    if f.not_valid || f.not_enforced {
        return statement;
    }
    // The one query of the check is planned: since 16 a key of several columns has both tables read.
    let both = context.live.server >= 160_000 && f.columns.len() > 1;
    let statement = if both { statement.scan(f.referenced) } else { statement };
    statement.scan(table).needs(rows(context, object))
}

/// Before 18 a partitioned table takes no key that is not valid.
fn create_online(context: &Context, object: &Object) -> Vec<Statement> {
    let partitioned = object.parent.as_ref().is_none_or(|t| is_partitioned(context.desired, t));
    if partitioned || object.flag("not_valid") || object.flag("not_enforced") {
        return Vec::new();
    }
    in_two(object, |unchecked| vec![create(context, unchecked)], |whole| alter(context, whole, &["not_valid".to_owned()]))
}

fn rows(context: &Context, object: &Object) -> Option<RowCheck> {
    let f: ForeignKey = object.read();
    let table = object.parent.as_ref().filter(|_| !f.period)?;
    row_checks::columns(context, object)?;
    row_checks::refers(context, table, &f.columns, &f.referenced, &f.referenced_columns, f.match_full == Some(true))
}

fn alter(context: &Context, new: &Object, changed: &[String]) -> Vec<Statement> {
    let f: ForeignKey = new.read();
    let (table, name) = (new.id.table_sql(), ident(new.id.base()));
    let mut statements = Vec::new();
    if changed.iter().any(|c| c == "deferrable" || c == "deferred") {
        let words = match (f.deferrable, f.deferred) {
            (true, true) => "DEFERRABLE INITIALLY DEFERRED",
            (true, false) => "DEFERRABLE INITIALLY IMMEDIATE",
            _ => "NOT DEFERRABLE",
        };
        let sql = format!("ALTER TABLE {table} ALTER CONSTRAINT {name} {words}");
        statements.push(Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).partitions());
    }
    if changed.iter().any(|c| c == "not_enforced") {
        let words = if f.not_enforced { "NOT ENFORCED" } else { "ENFORCED" };
        let sql = format!("ALTER TABLE {table} ALTER CONSTRAINT {name} {words}");
        let altered = Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive);
        // The checks on both tables come with it, or go.
        statements.push(match f.not_enforced {
            true => altered.lock(f.referenced.clone(), LockMode::AccessExclusive),
            false => {
                altered.lock(f.referenced.clone(), LockMode::ShareRowExclusive).scan(table.clone()).needs(rows(context, new))
            }
        });
    }
    if changed.iter().any(|c| c == "not_valid") {
        let sql = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
        let statement = Statement::new(sql).lock(table.clone(), LockMode::ShareUpdateExclusive);
        statements.push(statement.lock(f.referenced, LockMode::RowShare).scan(table).needs(rows(context, new)));
    }
    statements
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "foreign key",
    query: Some(|version| {
        let set_columns =
            if version >= 150_000 { column_names("k.conrelid", "k.confdelsetcols") } else { "NULL::json".to_owned() };
        let (enforced, not_valid, period) = if version >= 180_000 {
            (
                "CASE WHEN NOT k.conenforced THEN true END",
                "NOT k.convalidated AND k.conenforced",
                "CASE WHEN k.conperiod THEN true END",
            )
        } else {
            ("NULL::bool", "NOT k.convalidated", "NULL::bool")
        };
        // A foreign key to a partitioned table has rows for its partitions too, on the same table: the server's own.
        let rows = query('f');
        let from = format!(
            "{} AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)",
            rows.from
        );
        Query { from: from.into(), ..rows }.define(format!(
            "'columns', {}, \
             'referenced', (SELECT quote_ident(n.nspname) || '.' || quote_ident(r.relname) FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = k.confrelid), \
             'referenced_columns', {}, \
             'match_full', CASE WHEN k.confmatchtype = 'f' THEN true END, \
             'on_update', CASE WHEN k.confupdtype <> 'a' THEN k.confupdtype::text END, \
             'on_delete', CASE WHEN k.confdeltype <> 'a' THEN k.confdeltype::text END, 'set_columns', {set_columns}, \
             'period', {period}, 'not_valid', CASE WHEN {not_valid} THEN true END, 'not_enforced', {enforced}, {COMMON}",
            column_names("k.conrelid", "k.conkey"),
            column_names("k.confrelid", "k.confkey")
        ))
        // The operators are looked up once, not for every key.
        .detail(
            "'polymorphic', CASE WHEN k.conpfeqop && ARRAY(SELECT o.oid FROM pg_operator o JOIN pg_type t ON t.oid = o.oprright \
             WHERE t.typtype = 'p') THEN true END",
        )
    }),
    check: reads_as::<ForeignKey>,
    fields: &[
        field("columns", Cost::Replace),
        field("referenced", Cost::Replace),
        field("referenced_columns", Cost::Replace),
        field("match_full", Cost::Replace),
        field("on_update", Cost::Replace),
        field("on_delete", Cost::Replace),
        field("set_columns", Cost::Replace),
        field("period", Cost::Replace),
        field("not_valid", Cost::AlterOrReplace(|_, new| !new.flag("not_valid"))),
        field("not_enforced", Cost::Alter),
        field("deferrable", Cost::Alter),
        field("deferred", Cost::Alter),
        field("inherited", Cost::Alter),
    ],
    create: |context, o| vec![create(context, o)],
    // A partition's is altered with the partitioned table's.
    alter: |context, old, new, changed| {
        if old.flag("inherited") && new.flag("inherited") { Vec::new() } else { alter(context, new, changed) }
    },
    drop: |context, o| {
        if lost_with(context.live, o).iter().any(|partition| attached_anew(context, partition)) {
            return Vec::new();
        }
        let referenced = o.text("referenced").to_owned();
        remove(context, o)
            .into_iter()
            .map(|s| {
                if s.locks.iter().any(|(r, _)| *r == referenced) {
                    s
                } else {
                    s.lock(referenced.clone(), LockMode::AccessExclusive).partitions()
                }
            })
            .collect()
    },
    online: Online { create: |context, o, _| create_online(context, o), ..NOT_ONLINE },
    spaces: &[Space::Constraint],
    carried: Carried::WithinFamily,
    comment: |id| on_table("CONSTRAINT", id),
    renaming: Renaming::Part("TABLE", "CONSTRAINT", false),
    ..BASE
};
