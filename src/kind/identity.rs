//! Identity: the part of a column's definition that makes a sequence of its own.

use serde::Deserialize;

use super::Context;
use super::column::{on_column, words_with};
use super::relation::{is_partitioned, name_beside};
use super::sequence::{PAIRS, Sequence};
use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::sql::{ident, literal, qualified};
use crate::statement::{LockMode, Statement};

/// `GENERATED ... AS IDENTITY`.
#[derive(Deserialize, PartialEq)]
pub struct Identity {
    always: bool,
    /// As a SQL name, where it is not the server's choice.
    name: Option<String>,
    #[serde(flatten)]
    sequence: Sequence,
}

/// The JSON of it for the column `a` of the table `c`, or NULL.
pub fn pairs() -> String {
    format!(
        "CASE WHEN a.attidentity <> '' THEN (SELECT json_build_object('always', a.attidentity = 'a', {PAIRS}, \
         'name', CASE WHEN r.relname <> c.relname || '_' || a.attname || '_seq' OR r.relnamespace <> c.relnamespace THEN r.oid::regclass::text END) \
         FROM pg_depend i JOIN pg_sequence s ON s.seqrelid = i.objid JOIN pg_class r ON r.oid = i.objid \
         WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass \
         AND i.refobjid = a.attrelid AND i.refobjsubid = a.attnum AND i.deptype = 'i') END"
    )
}

impl Identity {
    fn words(&self) -> &'static str {
        if self.always { "ALWAYS" } else { "BY DEFAULT" }
    }

    /// The clause in the definition of a column.
    pub fn clause(&self) -> String {
        let name = self.name.as_ref().map_or(String::new(), |n| format!(" SEQUENCE NAME {n}"));
        let options = name + &self.sequence.options();
        let options = if options.is_empty() { String::new() } else { format!(" ({})", options.trim_start()) };
        format!("GENERATED {} AS IDENTITY{options}", self.words())
    }
}

/// The parts of the name of the column's sequence.
fn name(column: &Object) -> Option<Vec<String>> {
    serde_json::from_value(column.detail.get("sequence")?.clone()).ok()
}

/// The sequence takes the name that is wanted.
fn rename(old: &Object, new: &Object) -> Option<Statement> {
    let (before, after) = (name(old)?, name(new)?);
    let sequence = qualified(&before);
    let sql = format!("ALTER SEQUENCE {sequence} RENAME TO {}", ident(after.last()?));
    Some(Statement::new(sql).lock(sequence, LockMode::AccessExclusive))
}

fn of(column: &Object) -> Option<Identity> {
    serde_json::from_value(column.definition.get("identity")?.clone()).ok()
}

/// The sequence of a new identity goes on after the numbers that the rows have.
pub fn after_rows(column: &Object) -> Option<Statement> {
    let table = column.id.table_sql();
    let sequence = format!("pg_catalog.pg_get_serial_sequence({}, {})", literal(&table), literal(column.id.base()));
    let identity = of(column)?.sequence;
    Some(identity.after_rows(&sequence, &identity.start.to_string(), &table, &ident(column.id.base())))
}

/// Where the column's sequence is: a SELECT of one row.
pub fn position(column: &Object) -> Option<String> {
    let sequence = qualified(&name(column)?);
    Some(format!("SELECT {} AS of_column, last_value, is_called FROM {sequence}", literal(column.id.base())))
}

/// The sequence of an identity that is made anew goes on from where the old one was (a row of `positions`), if it may be there.
pub fn at_position(column: &Object, positions: &str) -> Option<Statement> {
    let (sequence, of_column) = (literal(&qualified(&name(column)?)), literal(column.id.base()));
    let (min, max) = of(column)?.sequence.bounds();
    Some(Statement::new(format!(
        "SELECT pg_catalog.setval({sequence}, last_value, is_called) FROM {positions} \
         WHERE of_column = {of_column} AND last_value BETWEEN {min} AND {max}"
    )))
}

/// The identity of a column that another one takes the place of, which has the name `to` until then: what makes its sequence, where
/// the numbers go on, and what gives that sequence its name when the old one is gone.
pub fn pass(old: &Object, column: &Object, to: &str) -> (Vec<Statement>, Option<Statement>) {
    let (Some(mut identity), Some(before), Some(sequence)) = (of(column), name(old), name(column)) else {
        return (Vec::new(), None);
    };
    let (Some(schema), Some(own)) = (sequence.first(), sequence.last()) else { return (Vec::new(), None) };
    let table = column.id.table_sql();
    let beside = qualified(&[schema, &name_beside(own, "__plumb_new")]);
    identity.name = Some(beside.clone());
    let sql = format!("ALTER TABLE {table} ALTER COLUMN {} ADD {}", ident(to), identity.clause());
    let added = Statement::new(sql).lock(table, LockMode::AccessExclusive);
    let (min, max) = identity.sequence.bounds();
    let position = format!(
        "SELECT pg_catalog.setval({}, last_value, is_called) FROM {} WHERE last_value BETWEEN {min} AND {max}",
        literal(&beside),
        qualified(&before)
    );
    let renamed = format!("ALTER SEQUENCE {beside} RENAME TO {}", ident(own));
    (vec![added, Statement::new(position)], Some(Statement::new(renamed)))
}

/// Changes the identity of a column. Since 17 partitions have that of their table, and ONLY is refused.
fn on_all(context: &Context, column: &Object, action: &str) -> Statement {
    let table = column.parent.as_ref().filter(|table| context.live.server >= 170_000 && is_partitioned(context.live, table));
    let Some(table) = table.map(Id::sql) else { return on_column(column, action) };
    let sql = format!("ALTER TABLE {table} ALTER COLUMN {} {action}", ident(column.id.base()));
    Statement::new(sql).lock(table, LockMode::AccessExclusive).heirs()
}

/// From one column's identity to another's.
pub fn alter(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    match (of(old), of(new)) {
        (None, Some(identity)) => {
            let added = on_all(context, new, &format!("ADD {}", identity.clause()));
            std::iter::once(added).chain(after_rows(new)).collect()
        }
        (Some(_), None) => {
            let dropped = on_all(context, new, "DROP IDENTITY");
            let sequence = name(old).map(|name| qualified(&name));
            vec![sequence.into_iter().fold(dropped, |s, name| s.lock(name, LockMode::AccessExclusive))]
        }
        (Some(before), Some(after)) => {
            let renamed = if before.name == after.name { None } else { rename(old, new) };
            let mut action =
                if before.always == after.always { String::new() } else { format!("SET GENERATED {} ", after.words()) };
            action += after.sequence.changes(&before.sequence, "SET ").replace("SET ", " SET ").trim_start();
            let sequence = name(new).map_or(String::new(), |name| qualified(&name));
            // The sequence is locked even where nothing of it changes.
            let on_both = |s: Statement| s.lock(sequence.clone(), LockMode::ShareRowExclusive);
            let changed = Some(action.trim()).filter(|a| !a.is_empty()).map(|a| on_both(on_all(context, new, a)));
            let alter = format!("ALTER SEQUENCE {sequence}");
            let within = after.sequence.within(&before.sequence, &sequence, &alter, " ");
            renamed.into_iter().chain(within).chain(changed).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// Whether tables stand that get the column from this one and no identity with it (before 17 also partitions): then ADD COLUMN
/// refuses the identity.
pub fn has_heirs(context: &Context, column: &Object) -> bool {
    let Some(table) = &column.parent else { return false };
    let heirs = context.desired.used_by(&column.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    let heirs = heirs.filter_map(|(c, _)| context.desired.get(c)?.parent.as_ref());
    let from_table = |c: &Catalog, id: &Id| c.uses(id).iter().any(|(used, _)| used == table);
    // A new heir may stand before the column comes; a new partition is attached after.
    let stands = |heir: &Id| match context.live.contains(heir) {
        true => from_table(context.live, heir) || from_table(context.live, &heir.as_class("partition")),
        false => from_table(context.desired, heir),
    };
    let refused = context.live.server < 170_000 || !is_partitioned(context.desired, table);
    refused && heirs.into_iter().any(stands)
}

/// A new column for the rows that stand here and in the tables that inherit it, numbered as the identity would: another sequence
/// does that, and the identity goes on after it.
pub fn add_with_heirs(context: &Context, column: &Object) -> Vec<Statement> {
    let (Some(identity), Some(parent)) = (of(column), &column.parent) else { return Vec::new() };
    let (name, table) = (ident(column.id.base()), parent.sql());
    let numbers = qualified(&[parent.first(), &name_beside(column.id.base(), "__plumb_fill")]);
    let default = format!(" DEFAULT pg_catalog.nextval({})", literal(&numbers));
    let on_table =
        |action: String| Statement::new(format!("ALTER TABLE {table} {action}")).lock(&table, LockMode::AccessExclusive).heirs();
    let steps = vec![
        Statement::new(format!("CREATE SEQUENCE {numbers} AS {}{}", column.text("type"), identity.sequence.options())),
        on_table(format!("ADD COLUMN {}", words_with(context, column, &default))).rewrite(&table),
        on_table(format!("ALTER COLUMN {name} DROP DEFAULT")),
        Statement::new(format!("DROP SEQUENCE {numbers}")),
        on_all(context, column, &format!("ADD {}", identity.clause())),
    ];
    steps.into_iter().chain(after_rows(column)).collect()
}
