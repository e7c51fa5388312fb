//! The rows of a table that is made anew: put aside before, given back after.

use super::relation::{is_enum, name_beside};
use super::{Context, identity, is_made_of_types};
use crate::catalog::{Id, Object};
use crate::sql::{ident, qualified};
use crate::statement::{LockMode, Loss, Statement};

/// What the table is called in which rows are put aside, after the name of theirs.
pub const ASIDE: &str = "__plumb_rows";

/// Text whose collation is nobody's own.
const PLAIN: &str = " COLLATE pg_catalog.\"default\"";

/// The statements that carry rows over.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Before anything of the old table goes.
    pub save: Vec<Statement>,
    /// When the new table and its partitions stand.
    pub restore: Vec<Statement>,
}

/// Carries over what the columns hold that both the old and the new table have. `from` are the relations that hold the rows: the
/// table itself, or those of its partitions that go.
pub fn keep(context: &Context, table: &Id, from: &[Id]) -> Option<Kept> {
    let stored = |o: &&Object| o.id.class() == "column" && !o.definition.contains_key("generated");
    let mut columns: Vec<&Object> = context.desired.children(table).filter(stored).collect();
    columns.retain(|c| context.live.get(&c.id).is_some_and(|old| stored(&old)));
    if columns.is_empty() || from.is_empty() {
        return None;
    }
    columns.sort_by_key(|c| c.detail.get("position").and_then(serde_json::Value::as_i64));
    let aside = name_beside(table.base(), ASIDE);
    let holder = qualified(&[table.first(), &aside]);
    let names: Vec<String> = columns.iter().map(|c| ident(c.id.base())).collect();
    let lost = context.live.children(table).filter(stored).filter(|c| !columns.iter().any(|k| k.id == c.id));
    let as_text: Vec<bool> = columns.iter().map(|c| type_changes(context, &c.id) || becomes_enum(context, c)).collect();
    // Text keeps the collation of what it was read from.
    let plain =
        |c: &Object| if context.live.get(&c.id).is_some_and(|old| old.definition.contains_key("collation")) { PLAIN } else { "" };
    let taken = columns
        .iter()
        .zip(&names)
        .zip(&as_text)
        .map(|((c, name), text)| if *text { format!("{name}::text{} AS {name}", plain(c)) } else { name.clone() });
    let mut save = save(&holder, &taken.collect::<Vec<_>>(), from);
    save[1].losses = lost.map(|c| Loss::Values(c.id.sql())).collect();
    let values = columns.iter().zip(&names).zip(&as_text).map(|((c, name), text)| {
        let retyped = context.live.get(&c.id).is_some_and(|old| old.text("type") != c.text("type"));
        if retyped || *text { format!("{name}::{}", c.text("type")) } else { name.clone() }
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let sql = format!("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {holder}", table.sql(), names.join(", "));
    let mut restore = vec![Statement::new(sql).rewrite(table.sql()), Statement::new(format!("DROP TABLE {holder}"))];
    let positions = qualified(&[table.first(), &name_beside(table.base(), "__plumb_at")]);
    let numbered = |c: &&&Object| context.live.get(&c.id).is_some_and(|old| old.definition.contains_key("identity"));
    let (stand, new): (Vec<&Object>, Vec<&Object>) = columns.iter().partition(numbered);
    let found = stand.iter().filter_map(|c| identity::position(context.live.get(&c.id)?)).collect::<Vec<_>>();
    let back = stand.iter().filter_map(|c| identity::at_position(c, &positions)).collect::<Vec<_>>();
    if !back.is_empty() {
        save.push(Statement::new(format!("CREATE TABLE {positions} AS {}", found.join(" UNION ALL "))));
        restore.extend(back);
        restore.push(Statement::new(format!("DROP TABLE {positions}")));
    }
    restore.extend(new.iter().filter_map(|c| identity::after_rows(c)));
    Some(Kept { save, restore })
}

/// Whether a type that the column uses, or one that it is made of, is changed or goes: what waits for the new table must not hold it.
fn type_changes(context: &Context, column: &Id) -> bool {
    let kept = |id: &Id| match (context.live.get(id), context.desired.get(id)) {
        (Some(old), Some(new)) => old.definition == new.definition,
        _ => false,
    };
    let types = |id: &Id| context.live.uses(id).iter().map(|(used, _)| used).filter(|used| used.class() != "column").collect();
    let mut todo: Vec<&Id> = types(column);
    while let Some(id) = todo.pop() {
        if !kept(id) {
            return true;
        }
        if is_made_of_types(id) {
            todo.extend(types(id));
        }
    }
    false
}

/// Whether a column passes from an enum, or to one: enums cast to nothing but text.
fn becomes_enum(context: &Context, column: &Object) -> bool {
    let old = context.live.get(&column.id).filter(|old| old.text("type") != column.text("type"));
    old.is_some_and(|old| is_enum(context.live, old) || is_enum(context.desired, column))
}

fn save(holder: &str, names: &[String], from: &[Id]) -> Vec<Statement> {
    let relations: Vec<String> = from.iter().map(Id::sql).collect();
    let rows: Vec<String> = relations.iter().map(|r| format!("SELECT {} FROM ONLY {r}", names.join(", "))).collect();
    let mut lock = Statement::new(format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", relations.join(", ")));
    let mut copy = Statement::new(format!("CREATE TABLE {holder} AS {}", rows.join(" UNION ALL ")));
    for relation in relations {
        lock = lock.lock(relation.clone(), LockMode::AccessExclusive);
        copy = copy.scan(relation);
    }
    vec![lock, copy]
}
