//! Values for the rows that stand: those of a new column that a directive or a default works out for each of them, and of a column
//! that becomes NOT NULL. Where others are at work meanwhile the rows are filled in batches, and a constraint that is always true
//! marks the column until the last one has its value: whoever finds it there knows that the work was broken off.

use super::column::{Column, comes_from_parent, extras, words_with};
use super::domain::{is_constrained, refuses_null};
use super::relation::{is_partitioned, name_beside};
use super::{Context, not_null, row_checks};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{BATCH, Batches, LockMode, Statement};

/// What the constraint is called that marks a column as not filled to the end.
const MARK: &str = "__plumb_fill";

/// The expression that a directive gives for the rows that stand.
fn told(column: &Object) -> Option<&str> {
    column.detail.get("backfill")?.as_str()
}

/// Functions of PostgreSQL that give another value each time and that people use in defaults.
const VOLATILE: &[&str] = &[
    "nextval",
    "gen_random_uuid",
    "gen_random_bytes",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v",
    "random",
    "clock_timestamp",
    "timeofday",
];

/// Whether a default seems to give another value each time: what the server has built in and what extensions bring is known by name,
/// everything else by what it says of itself. What was seen on a copy counts more.
pub fn is_volatile(context: &Context, default: &Object) -> bool {
    let expression = default.text("expression");
    let functions = context.desired.uses(&default.id).iter().map(|(id, _)| id).filter(|id| id.class() == "function");
    let mut own = functions.filter_map(|id| context.desired.get(id));
    VOLATILE.iter().any(|f| expression.contains(f) && expression.contains('('))
        || own.any(|f| f.detail.get("volatility").is_some_and(|v| v == "v"))
}

/// The default that is made together with a new column.
pub fn default_of<'c>(context: &Context<'c>, column: &Object) -> Option<&'c Object> {
    context.desired.get(&column.id.as_class("default")).filter(|d| context.absorbed.contains(&d.id))
}

/// Whether a new column's value has to be worked out for every row that stands.
pub fn rewrites(context: &Context, object: &Object) -> bool {
    let column: Column = object.read();
    let stored = column.generated.is_some() && !column.generated_virtual;
    let volatile = || default_of(context, object).is_some_and(|d| is_volatile(context, d));
    column.identity.is_some() || stored || volatile() || is_constrained(context, object)
}

/// Whether rows can be given values of it after it was added: no part of a parent table's, and no value that the server makes.
fn is_plain(context: &Context, object: &Object) -> bool {
    let column: Column = object.read();
    let made = column.identity.is_some() || column.generated.is_some() || column.inherited;
    let stands =
        object.parent.as_ref().is_some_and(|t| context.live.contains(t) && !super::relation::table_made_anew(context, t));
    stands && !made && !refuses_null(context, object)
}

/// The same of a column that is not there yet.
fn is_new(context: &Context, object: &Object) -> bool {
    !context.live.contains(&object.id) && is_plain(context, object)
}

/// The rows without a value get one.
fn update(context: &Context, column: &Object, value: &str) -> Statement {
    let key = key_of(context, column);
    // Without an order of rows they are gone through until none is left: those that stay without a value do not count.
    let stays_null = key.is_empty() && told(column).is_some() && !column.flag("not_null");
    rows(context, column, value, key, stays_null)
}

/// The rows of the new column of an exchange; some may stay without a value.
pub fn exchanged(context: &Context, column: &Object, value: &str) -> Statement {
    rows(context, column, value, key_of(context, column), true).own()
}

fn rows(context: &Context, column: &Object, value: &str, key: Vec<String>, stays_null: bool) -> Statement {
    let (table, name) = (column.id.table_sql(), ident(column.id.base()));
    let left = stays_null.then(|| format!("{name} IS NULL AND {value} IS NOT NULL"));
    let batches = Batches { table: table.clone(), column: name.clone(), key, size: BATCH, left };
    let sql = format!("UPDATE {table} SET {name} = {value} WHERE {}", batches.left());
    let filled = Statement::new(sql).lock(table.clone(), LockMode::RowExclusive).heirs().scan(table).batches(batches);
    Statement { warnings: warnings(context, column), ..filled }
}

/// The columns of the primary key that stands before and after: rows are taken in its order. One of a table that others inherit
/// from does not order theirs, and where a key ends has to be said as text: types of extensions compare by operators that are not
/// found without their schemas, and not every text of a float is the whole of it.
fn key_of(context: &Context, column: &Object) -> Vec<String> {
    let Some(table) = &column.parent else { return Vec::new() };
    let heirs = || context.live.used_by(table).iter().any(|(id, _)| id.class() == "table");
    let same = |k: &&Object| context.desired.get(&k.id).is_some_and(|wanted| wanted.definition == k.definition);
    let primary = context.live.children(table).find(|c| c.id.class() == "primary key").filter(same);
    let primary = primary.filter(|k| !k.flag("without_overlaps") && (is_partitioned(context.live, table) || !heirs()));
    let said = |column: &str| {
        let data_type = context.live.get(&table.part("column", column)).map(|c| c.text("type")).unwrap_or_default();
        !data_type.is_empty()
            && !data_type.contains('.')
            && !["real", "double precision"].iter().any(|f| data_type.starts_with(f))
    };
    let columns = primary.map(|k| k.texts("columns")).filter(|columns| columns.iter().all(|c| said(c)));
    columns.unwrap_or_default().iter().map(|c| ident(c)).collect()
}

/// What else happens to rows that are updated, and which of them may be hidden.
fn warnings(context: &Context, column: &Object) -> Vec<String> {
    let Some(table) = &column.parent else { return Vec::new() };
    let sides = [context.live, context.desired];
    let fires = |t: &&Object| {
        let events = t.text("definition").split(" ON ").next().unwrap_or_default();
        let of_others = events.contains(" UPDATE OF ") && !events.contains(&ident(column.id.base()));
        t.id.class() == "trigger" && events.contains(" UPDATE") && !of_others && !["D", "R"].contains(&t.text("enabled"))
    };
    let names: Vec<String> = context.live.children(table).filter(fires).map(|t| ident(t.id.base())).collect();
    let mut warnings = Vec::new();
    if !names.is_empty() {
        let (what, fires) = if names.len() == 1 { ("trigger", "fires") } else { ("triggers", "fire") };
        let list = names.join(", ");
        warnings.push(format!("filling {} updates rows that stand: {what} {list} {fires} for them", column.id));
    }
    if sides.iter().any(|c| c.get(table).is_some_and(|t| t.flag("force_row_security"))) {
        let table = table.sql();
        warnings.push(format!(
            "row security of {table} is forced on its owner: filling {} fails unless the role that applies the plan has BYPASSRLS, \
             since rows could be hidden from it",
            column.id
        ));
    }
    warnings
}

/// A column as it is added first: without default and NOT NULL.
fn bare(context: &Context, object: &Object) -> Vec<Statement> {
    let (table, name) = (object.id.table_sql(), ident(object.id.base()));
    let mut nullable = object.clone();
    nullable.definition.retain(|field, _| field != "not_null" && field != "not_null_constraint");
    let change = |sql: String| Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs();
    let added = change(format!("ALTER TABLE {table} ADD COLUMN {}", words_with(context, &nullable, "")));
    let added = added.back(format!("ALTER TABLE {table} DROP COLUMN {name}"));
    let added = if is_constrained(context, object) { added.rewrite(table.clone()) } else { added };
    let default = default_of(context, object).map(|d| d.text("expression"));
    let default = default.map(|e| change(format!("ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {e}")));
    [added].into_iter().chain(default).chain(extras(&nullable)).collect()
}

/// A new column whose rows get the values that a directive works out, in one go.
pub fn add(context: &Context, object: &Object) -> Option<Vec<Statement>> {
    let value = told(object).filter(|_| is_new(context, object))?;
    let mut statements = bare(context, object);
    statements.push(update(context, object, value).needs(gives(context, object, value)));
    statements.extend(object.flag("not_null").then(|| not_null::add(context, object, false)));
    Some(statements)
}

/// The same, and that of a column with a volatile default, in batches while others are at work.
pub fn add_online(context: &Context, object: &Object) -> Vec<Statement> {
    let default = default_of(context, object);
    let volatile = default.filter(|d| is_volatile(context, d) && !is_constrained(context, object));
    let value = told(object).or_else(|| volatile.map(|d| d.text("expression")));
    let Some(value) = value.filter(|_| is_new(context, object) && !not_null::is_not_valid(object)) else { return Vec::new() };
    let (table, name) = (object.id.table_sql(), ident(object.id.base()));
    let change = |action: String| {
        Statement::new(format!("ALTER TABLE {table} {action}")).lock(table.clone(), LockMode::AccessExclusive).heirs()
    };
    let mark = ident(&name_beside(object.id.base(), MARK));
    let mut statements = bare(context, object);
    statements.push(change(format!("ADD CONSTRAINT {mark} CHECK (({name} IS NULL) IS NOT NULL) NOT VALID")));
    statements.push(update(context, object, value).needs(gives(context, object, value)).own());
    statements.push(change(format!("DROP CONSTRAINT {mark}")));
    if object.flag("not_null") {
        let more = default.is_none().then(|| update(context, object, value));
        statements.extend(not_null_online(context, object, more));
    }
    statements
}

/// NOT NULL in its online form. Rows that came without a value while the others were filled are filled once more when none can
/// come any longer.
fn not_null_online(context: &Context, object: &Object, more: Option<Statement>) -> Vec<Statement> {
    let needs = if more.is_none() { has_value(context, object) } else { None };
    let mut statements = not_null::add_online(context, object, needs);
    if let Some(more) = more {
        statements.insert(1, Statement { warnings: Vec::new(), ..more }.own());
    }
    statements
}

/// That the expression gives a value for every row, where none may be without.
fn gives(context: &Context, object: &Object, value: &str) -> Option<crate::statement::RowCheck> {
    let table = object.parent.as_ref().filter(|_| object.flag("not_null"))?;
    row_checks::gives(context, object, table, value)
}

/// That rows have values: not asked of a column that an earlier step of the plan fills.
fn has_value(context: &Context, object: &Object) -> Option<crate::statement::RowCheck> {
    let table = object.parent.as_ref().filter(|_| !is_marked(context, object))?;
    row_checks::has_value(context, &object.id, table)
}

/// The rows of a column that becomes NOT NULL, as a directive says.
fn before_not_null(context: &Context, object: &Object) -> Option<Statement> {
    let value = told(object).filter(|_| is_plain(context, object))?;
    Some(update(context, object, value).needs(gives(context, object, value)))
}

/// A column that stands becomes NOT NULL.
pub fn set_not_null(context: &Context, object: &Object) -> Vec<Statement> {
    let added = not_null::add(context, object, comes_from_parent(context, object));
    if added.scans.is_empty() {
        return vec![added];
    }
    match before_not_null(context, object) {
        Some(filled) => vec![filled, added],
        None => vec![added.needs(has_value(context, object))],
    }
}

/// The same while others are at work.
pub fn set_not_null_online(context: &Context, object: &Object) -> Vec<Statement> {
    match before_not_null(context, object) {
        Some(filled) => {
            let first = Some(filled.clone().own()).filter(|_| !is_marked(context, object));
            first.into_iter().chain(not_null_online(context, object, Some(Statement { needs: Vec::new(), ..filled }))).collect()
        }
        None => not_null_online(context, object, None),
    }
}

/// Whether the live column has the mark of one that was not filled to the end.
fn is_marked(context: &Context, column: &Object) -> bool {
    let mark = column.parent.as_ref().map(|t| t.part("check", &name_beside(column.id.base(), MARK)));
    mark.and_then(|id| context.live.get(&id)).is_some_and(|check| marked(context, check).is_some())
}

/// The column that a check marks as not filled to the end, as it is wanted.
fn marked<'c>(context: &Context<'c>, check: &Object) -> Option<&'c Object> {
    let base = check.id.base().strip_suffix(MARK)?;
    let uses = || context.live.uses(&check.id).iter().map(|(id, _)| id);
    let column = uses().find(|id| id.class() == "column" && id.base().starts_with(base))?;
    let is_mark = check.text("expression").contains(&format!("({} IS NULL) IS NOT NULL", ident(column.base())));
    context.desired.get(column).filter(|_| is_mark && !check.flag("inherited"))
}

/// What is left to be done before a mark may go: its column is filled, as the directive says or with its default.
pub fn unfinished(context: &Context, check: &Object) -> Option<Statement> {
    let column = marked(context, check)?;
    let default = || context.desired.get(&column.id.as_class("default")).map(|d| d.text("expression"));
    let value = told(column).or_else(default)?;
    Some(update(context, column, value).needs(gives(context, column, value)))
}
