//! The change of a column's type or collation: its statement, and what the server makes again for it.

use super::column::Column;
use super::relation::is_enum;
use super::type_change::{base, narrows, rewrites, widens};
use super::{Context, carries, forgets, row_checks};
use crate::catalog::{Id, Object};
use crate::sql::ident;
use crate::statement::{LockMode, Loss, RowCheck, Statement};

/// The expression that makes a value of the new type; none where an assignment does.
pub fn conversion(context: &Context, old: &Object, new: &Object) -> Option<String> {
    let (before, after) = (old.text("type"), new.text("type"));
    if let Some(told) = context.using(&new.id) {
        return Some(told.to_owned());
    }
    if base(before) == base(after) {
        return None;
    }
    let through_text = is_enum(context.live, old) || is_enum(context.desired, new);
    let array = if before.ends_with("[]") { "[]" } else { "" };
    let text = if through_text && !before.starts_with("text") { format!("::text{array}") } else { String::new() };
    Some(format!("{}{text}::{after}", ident(new.id.base())))
}

/// Whether the change may cut, round or refuse values.
pub fn loses(old: &Object, new: &Object) -> bool {
    let (before, after) = (old.text("type"), new.text("type"));
    !widens(before, after) && narrows(before, after)
}

/// Whether the server writes every row anew for the change.
pub fn is_rewritten(context: &Context, old: &Object, new: &Object) -> bool {
    let told = context.using(&new.id).is_some_and(|e| e != ident(new.id.base()));
    rewrites(old.text("type"), new.text("type")) || told
}

/// What every value has to be like for the change to succeed.
pub fn converts(context: &Context, old: &Object, new: &Object) -> Option<RowCheck> {
    let table = new.parent.as_ref()?;
    match context.using(&new.id) {
        Some(expression) => row_checks::converts(context, new, table, expression),
        None => row_checks::fits(context, old, table, new.text("type")),
    }
}

/// A new type, with the default taken off and put back where it could not be cast by itself.
pub fn retype(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let (before, after): (Column, Column) = (old.read(), new.read());
    let (table, name) = (new.id.table_sql(), ident(new.id.base()));
    let same_base = base(&before.data_type) == base(&after.data_type);
    let using = conversion(context, old, new).map_or(String::new(), |expression| format!(" USING {expression}"));
    let default_id = new.id.as_class("default");
    let default = context.live.get(&default_id).filter(|_| !same_base);
    let mut actions = Vec::new();
    if default.is_some() {
        actions.push(format!("ALTER COLUMN {name} DROP DEFAULT"));
    }
    actions.push(format!("ALTER COLUMN {name} TYPE {}{}{using}", after.data_type, after.collate()));
    if let Some(wanted) = default.and_then(|_| context.desired.get(&default_id)) {
        actions.push(format!("ALTER COLUMN {name} SET DEFAULT {}", wanted.text("expression")));
    }
    let mut statement = Statement::new(format!("ALTER TABLE {table} {}", actions.join(", ")))
        .lock(table.clone(), LockMode::AccessExclusive)
        .heirs();
    if loses(old, new) {
        statement = statement.loses(Loss::Values(new.id.sql()));
    }
    statement = statement.needs(converts(context, old, new));
    if is_rewritten(context, old, new) {
        statement = statement.rewrite(table);
    } else if rests_on(context, &old.id) {
        statement = statement.scan(table);
    }
    for (table, read) in keys_on(context, &old.id) {
        statement = statement.lock(table.clone(), LockMode::AccessExclusive);
        statement = if read { statement.scan(table) } else { statement };
    }
    vec![statement]
}

/// Whether checks or indexes are made again for a column's new type or collation.
fn rests_on(context: &Context, column: &Id) -> bool {
    const READING: &[&str] = &["check", "index", "primary key", "unique", "exclusion"];
    context.live.used_by(column).iter().any(|(user, _)| READING.contains(&user.class()))
}

/// The tables at the other end of the foreign keys that are made again for a column's new type, and whether they are the ones that
/// refer, which are read.
fn keys_on(context: &Context, column: &Id) -> Vec<(String, bool)> {
    let keys = context.live.used_by(column).iter().filter(|(user, _)| user.class() == "foreign key");
    let (old, new) = (context.live.get(column), context.desired.get(column));
    // Those that the server cannot rebuild have gone before.
    let carried = |key: &Object| old.zip(new).is_some_and(|(old, new)| carries(key, old, new));
    let same = |key: &&Object| context.desired.get(&key.id).is_some_and(|wanted| wanted.definition == key.definition);
    let stay = keys
        .filter_map(|(key, _)| context.live.get(key))
        .filter(|key| same(key) && carried(key) && !rests_on_rebuilt(context, key));
    let ends = stay.map(|key| (key.id.table_sql(), key.text("referenced").to_owned()));
    let own = column.table_sql();
    ends.map(|(from, to)| if from == own { (to, false) } else { (from, true) }).collect()
}

/// Whether a foreign key goes and comes back with the key that it rests on: the server would forget something of that.
fn rests_on_rebuilt(context: &Context, foreign: &Object) -> bool {
    let used = |o: &Object| context.live.uses(&o.id).iter().filter_map(|(used, _)| context.live.get(used));
    let changes = |column: &Object| {
        let wanted = context.desired.get(&column.id).filter(|_| column.id.class() == "column");
        wanted.is_some_and(|new| ["type", "collation"].iter().any(|field| new.text(field) != column.text(field)))
    };
    used(foreign).any(|key| forgets(context.live, key) && used(key).any(changes))
}

impl<'a> Context<'a> {
    /// The USING expression that a directive gives for a column's type change.
    pub(super) fn using(&self, column: &Id) -> Option<&'a str> {
        self.desired.get(column)?.detail.get("using")?.as_str()
    }
}
