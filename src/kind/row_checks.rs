//! What kinds ask of the rows that stand before they are held to something: the queries that find those that are in the way.

use super::{Context, type_change};
use crate::catalog::{Id, Object};
use crate::sql::{ident, idents, literal};
use crate::statement::RowCheck;

/// A row by the text of its primary key or, without one, by its place.
fn key(context: &Context, table: &Id, alias: &str) -> String {
    let primary = context.live.children(table).find(|c| c.id.class() == "primary key");
    match primary.map(|key| key.texts("columns")).unwrap_or_default().as_slice() {
        [] => format!("{alias}.tableoid::pg_catalog.regclass || ' ' || {alias}.ctid::text"),
        [one] => format!("{alias}.{}::text", ident(one)),
        many => format!("ROW({})::text", many.iter().map(|c| format!("{alias}.{}", ident(c))).collect::<Vec<_>>().join(", ")),
    }
}

/// The columns that a constraint or index uses, where all of them stand: one that comes with the plan has no values yet.
pub fn columns<'a>(context: &'a Context, object: &Object) -> Option<Vec<&'a Id>> {
    let used: Vec<&Id> = context.desired.uses(&object.id).iter().map(|(id, _)| id).filter(|id| id.class() == "column").collect();
    used.iter().all(|column| context.live.contains(column)).then_some(used)
}

fn rows(context: &Context, table: &Id, condition: String, offending: &str) -> RowCheck {
    RowCheck::new(condition, &key(context, table, "t"), &format!("{} AS t", table.sql()), offending)
}

/// A column that becomes NOT NULL.
pub fn has_value(context: &Context, column: &Id, table: &Id) -> Option<RowCheck> {
    let condition = format!("every row of {} has a value in {}", table.sql(), ident(column.base()));
    context.live.contains(column).then(|| rows(context, table, condition, &format!("t.{} IS NULL", ident(column.base()))))
}

/// A column that comes NOT NULL without a value.
pub fn is_empty(context: &Context, column: &Id, table: &Id) -> Option<RowCheck> {
    let condition = format!("{} has no rows, for which {} would have no value", table.sql(), ident(column.base()));
    context.live.contains(table).then(|| rows(context, table, condition, "true"))
}

/// A condition over the columns of a table, by their bare names.
pub fn fulfils(context: &Context, table: &Id, name: &str, expression: &str) -> Option<RowCheck> {
    let condition = format!("every row of {} fulfils {name}: {expression}", table.sql());
    let key = key(context, table, &ident(table.base()));
    let offending = format!("NOT ({expression})");
    context.live.contains(table).then(|| RowCheck::new(condition, &key, &table.sql(), &offending).evaluating())
}

/// Columns, or expressions as SQL, that become a key.
pub fn differs(context: &Context, table: &Id, keys: &[String], nulls_differ: bool, rows: Option<&str>) -> Option<RowCheck> {
    let list = keys.join(", ");
    let conditions: Vec<String> = keys
        .iter()
        .filter(|_| nulls_differ)
        .map(|k| format!("{k} IS NOT NULL"))
        .chain(rows.map(|condition| format!("({condition})")))
        .collect();
    let conditions = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    let from = format!(
        "(SELECT ROW({list})::text AS value, count(*) AS times FROM {} WHERE {conditions} GROUP BY {list}) AS t",
        table.sql()
    );
    let condition = format!("no two rows of {} have the same ({list})", table.sql());
    context.live.contains(table).then(|| RowCheck::new(condition, "t.value", &from, "t.times > 1"))
}

/// Columns, or expressions as SQL, each with an operator: no two rows may fulfil all of these. Of those that do, every one counts.
pub fn excludes(
    context: &Context,
    table: &Id,
    says: &str,
    elements: &[(String, String)],
    only: Option<&str>,
) -> Option<RowCheck> {
    let values: String = elements.iter().enumerate().map(|(n, (value, _))| format!(", ({value}) AS e{n}")).collect();
    let only = only.map_or(String::new(), |condition| format!(" WHERE {condition}"));
    let place = "t.tableoid AS o, t.ctid AS p";
    let rows = format!("(SELECT {} AS k, {place}{values} FROM {} AS t{only})", key(context, table, "t"), table.sql());
    let both: String = elements.iter().enumerate().map(|(n, (_, operator))| format!(" AND a.e{n} {operator} b.e{n}")).collect();
    let other = format!("EXISTS (SELECT FROM {rows} AS b WHERE (a.o <> b.o OR a.p <> b.p){both})");
    let condition = format!("no two rows of {} are such that they exclude each other: {says}", table.sql());
    context.live.contains(table).then(|| RowCheck::new(condition, "a.k", &format!("{rows} AS a"), &other))
}

/// Rows that refer to others.
pub fn refers(context: &Context, table: &Id, from: &[String], referenced: &str, to: &[String], full: bool) -> Option<RowCheck> {
    let joined: Vec<String> = from.iter().zip(to).map(|(f, t)| format!("r.{} = t.{}", ident(t), ident(f))).collect();
    let given: Vec<String> = from.iter().map(|f| format!("t.{} IS NOT NULL", ident(f))).collect();
    let missing = format!("NOT EXISTS (SELECT FROM {referenced} AS r WHERE {})", joined.join(" AND "));
    let offending = match full && from.len() > 1 {
        true => format!("({}) AND {missing}", given.join(" OR ")),
        false => format!("{} AND {missing}", given.join(" AND ")),
    };
    let condition = format!("every row of {} refers with ({}) to one of {referenced}", table.sql(), idents(from));
    context.live.contains(table).then(|| rows(context, table, condition, &offending))
}

/// Rows for which an expression of a directive has to give a value; none when it reads columns that are still to come.
pub fn gives(context: &Context, column: &Object, table: &Id, value: &str) -> Option<RowCheck> {
    let name = ident(column.id.base());
    let stands = context.live.contains(&column.id);
    let offending = if stands { format!("{name} IS NULL AND ({value}) IS NULL") } else { format!("({value}) IS NULL") };
    let condition = format!("{value} gives a value for every row of {} without one in {name}", table.sql());
    reads(context, column, table).then(|| over(context, table, condition, &offending))
}

/// Values that a directive's expression has to turn into ones of another type: the query fails as the statement would.
pub fn converts(context: &Context, column: &Object, table: &Id, value: &str) -> Option<RowCheck> {
    let new = column.text("type");
    // A cast that is asked for by name would cut what an assignment refuses.
    let offending = match new.strip_prefix("character varying(").and_then(|n| n.strip_suffix(')')) {
        Some(length) => format!("length(({value})::text) > {length}"),
        None => format!("(({value})::{new}) IS NULL AND (({value})::{new}) IS NOT NULL"),
    };
    let offending = match column.flag("not_null") {
        true => format!("(({value})::{new}) IS NULL OR {offending}"),
        false => offending,
    };
    let condition = format!("{value} gives a value of {new} for every row of {}", table.sql());
    reads(context, column, table).then(|| over(context, table, condition, &offending))
}

/// Whether no name in a directive's expression is that of a column which is still to come, or to be filled.
fn reads(context: &Context, column: &Object, table: &Id) -> bool {
    let is_filled = |o: &Object| o.id != column.id && o.detail.contains_key("backfill");
    let to_come =
        |id: &Id| context.desired.get(id).is_some_and(|o| is_filled(o) || !context.live.contains(id) && o.id != column.id);
    let names = column.texts("reads");
    !names.iter().any(|name| to_come(&table.part("column", name)))
}

/// Rows by the bare names of their columns, with an expression of the wanted schema.
fn over(context: &Context, table: &Id, condition: String, offending: &str) -> RowCheck {
    RowCheck::new(condition, &key(context, table, &ident(table.base())), &table.sql(), offending).evaluating()
}

/// Values that have to fit into another type. Where only trying tells, the query fails as the statement would.
pub fn fits(context: &Context, column: &Object, table: &Id, new: &str) -> Option<RowCheck> {
    let (name, old) = (format!("t.{}", ident(column.id.base())), column.text("type"));
    let condition = format!("every value of {} fits into {new}", column.id.sql());
    let offending = type_change::misfits(&name, old, new);
    let tried = || format!("({name}::text)::{new} IS NULL AND {name} IS NOT NULL");
    type_change::narrows(old, new).then(|| rows(context, table, condition, &offending.unwrap_or_else(tried)))
}

/// Labels of an enum that no row may have any more.
pub fn lacks_labels(context: &Context, column: &Object, table: &Id, labels: &[String]) -> RowCheck {
    let list = labels.iter().map(|l| literal(l)).collect::<Vec<_>>().join(", ");
    let name = format!("t.{}", ident(column.id.base()));
    let offending = match column.text("type").ends_with("[]") {
        true => format!("{name}::text[] && ARRAY[{list}]"),
        false => format!("{name}::text IN ({list})"),
    };
    rows(context, table, format!("no row of {} has {list} in {}", table.sql(), ident(column.id.base())), &offending)
}

/// Values of a domain that are held to something; `VALUE` in the condition is the column's.
pub fn values_fulfil(context: &Context, column: &Id, table: &Id, expression: &str) -> RowCheck {
    let from =
        format!("(SELECT {} AS k, t.{} AS value FROM {} AS t) AS v", key(context, table, "t"), ident(column.base()), table.sql());
    let condition = format!("every value of {} fulfils {expression}", column.sql());
    RowCheck::new(condition, "v.k", &from, &format!("NOT ({expression})")).evaluating()
}
