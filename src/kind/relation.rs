//! What tables, indexes, views and types share: storage parameters, and moving columns from one type to another.

use super::Context;
use super::column::{Column, after_retype};
use super::partition::identity_from;
use crate::catalog::{Catalog, Id, Object};
use crate::sql::{ident, literal, qualified};
use crate::statement::{LockMode, Statement};

/// A name to put something aside under while its successor takes the name.
pub fn move_aside(name: &str) -> String {
    name_beside(name, "__plumb_old")
}

/// A name made from another, never longer than 63 bytes.
pub fn name_beside(name: &str, suffix: &str) -> String {
    let mut short = name;
    while short.len() > 48 {
        short = &short[..short.char_indices().next_back().map_or(0, |(i, _)| i)];
    }
    format!("{short}{suffix}")
}

/// Storage parameters under the alias `c`, sorted: their order means nothing.
pub const SORTED_OPTIONS: &str =
    "CASE WHEN c.reloptions IS NOT NULL THEN (SELECT json_agg(o ORDER BY o) FROM unnest(c.reloptions) o) END";

/// The same with those of the TOAST table under the alias `t`, as `toast.x=y`.
pub const TOAST_SORTED_OPTIONS: &str = "CASE WHEN c.reloptions IS NOT NULL OR t.reloptions IS NOT NULL THEN \
     to_json(ARRAY(SELECT o FROM unnest(c.reloptions) o UNION ALL SELECT 'toast.' || o FROM unnest(t.reloptions) o ORDER BY 1)) END";

/// The same in the order in which they were given.
pub const TOAST_OPTIONS: &str = "CASE WHEN c.reloptions IS NOT NULL OR t.reloptions IS NOT NULL THEN \
     to_json(coalesce(c.reloptions, '{}') || ARRAY(SELECT 'toast.' || o FROM unnest(t.reloptions) o)) END";

/// The objects of a class that have fields that nobody wants, as they are without them.
pub fn without(catalog: &Catalog, class: &str, fields: &[&str]) -> Vec<Object> {
    let odd = |o: &&Object| o.id.class() == class && fields.iter().any(|field| o.definition.contains_key(*field));
    let mut all: Vec<Object> = catalog.objects().filter(odd).cloned().collect();
    all.iter_mut().for_each(|object| object.definition.retain(|name, _| !fields.contains(&name.as_str())));
    all
}

/// The storage parameters of an object in the order in which they were given.
pub fn given_options(object: &Object) -> Vec<String> {
    let given = object.detail.get("options").and_then(|o| serde_json::from_value(o.clone()).ok());
    given.unwrap_or_else(|| options(object))
}

/// ` WITH (a='1', b='2')` for storage parameters given as `a=1`, as `pg_class.reloptions` holds them; empty for none.
pub fn with_options(options: &[String]) -> String {
    if options.is_empty() { String::new() } else { format!(" WITH ({})", options_list(options)) }
}

fn option(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, "true"));
    (key.split('.').map(ident).collect::<Vec<_>>().join("."), literal(value))
}

/// `a='1', b='2'`.
pub fn options_list(options: &[String]) -> String {
    let list: Vec<String> = options.iter().map(|o| option(o)).map(|(k, v)| format!("{k}={v}")).collect();
    list.join(", ")
}

/// The SET and RESET that lead from one list of storage parameters to another.
pub fn change_options(prefix: &str, old: &[String], new: &[String]) -> Vec<String> {
    let key = |o: &String| option(o).0;
    let kept: Vec<String> = new.iter().map(key).collect();
    let gone: Vec<String> = old.iter().map(key).filter(|k| !kept.contains(k)).collect();
    let set: Vec<String> = new.iter().filter(|o| !old.contains(o)).cloned().collect();
    let mut statements = Vec::new();
    if !gone.is_empty() {
        statements.push(format!("{prefix} RESET ({})", gone.join(", ")));
    }
    if !set.is_empty() {
        statements.push(format!("{prefix} SET ({})", options_list(&set)));
    }
    statements
}

/// `ALTER INDEX ... SET (...)` or RESET with its lock (`reloptions.c`): options of GIN, GiST and BRIN count for whoever scans now.
pub fn change_index(sql: String, index: &str) -> Statement {
    const STRONG: &[&str] = &["fastupdate", "gin_pending_list_limit", "buffering", "pages_per_range", "autosummarize"];
    let strong = STRONG.iter().any(|option| sql.contains(option));
    Statement::new(sql).lock(index, if strong { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive })
}

/// Whether columns of the type `id` are text for a moment while it is made anew, so that nothing on them can stay.
pub fn waits_as_text(id: &Id) -> bool {
    id.class() == "range type"
}

/// No statement changes the type or collation `old` (`TYPE`, `COLLATION`): a new one takes its name, every column moves over to
/// it, then what is made of it, and the old one goes.
pub fn remake(context: &Context, word: &str, old: &Object, create: Statement) -> Vec<Statement> {
    let aside = move_aside(old.id.base());
    let rename = Statement::new(format!("ALTER {word} {} RENAME TO {}", old.id.sql(), ident(&aside)));
    let mut statements = wait_as_text(context, &old.id);
    statements.extend([rename, create]);
    statements.extend(retype_users(context, &old.id, false));
    // What is made of the old one is the same over the new one; its own changes come after.
    let still = |over: &Id| context.desired.uses(over).iter().any(|(used, _)| *used == old.id);
    for id in super::held_over(context.live, &old.id).into_iter().filter(still) {
        if let (Some(over), Some(wanted)) = (context.live.get(&id), context.desired.get(&id)) {
            statements.extend((super::of(&id).remake)(context, over, wanted));
        }
    }
    statements.push(Statement::new(format!("DROP {word} {}", qualified(&[old.id.first(), &aside]))));
    statements
}

/// Whether a type is a domain over text afterwards, and over text of any length before: its values are the same bytes.
fn same_text(context: &Context, id: &Id) -> bool {
    let base = |c: &Catalog| c.get(id).filter(|d| !d.flag("not_null")).map(|d| d.text("type").to_owned()).unwrap_or_default();
    let (before, after) = (base(context.live), base(context.desired));
    id.class() == "domain" && after == "text" && (before == "text" || before.starts_with("character varying"))
}

/// Moves every column that uses the type or collation `id` over to the one that has taken its name, or to text.
pub fn retype_users(context: &Context, id: &Id, to_text: bool) -> Vec<Statement> {
    let (mut statements, mut kept) = (Vec::new(), Vec::new());
    for (user, _) in context.live.used_by(id) {
        let Some(column) = context.desired.get(user).filter(|c| c.id.class() == "column") else { continue };
        if !super::is_of_type(column, id) || made_anew(context, column) {
            continue;
        }
        if !to_text && let Some(old) = context.live.get(&column.id) {
            kept.extend(after_retype(old, column));
        }
        if changes_with_parent(context, column) {
            continue;
        }
        let (name, table) = (ident(column.id.base()), column.id.table_sql());
        let new_type = column.text("type");
        if id.class() == "collation" {
            let sql = format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {new_type} COLLATE {}", id.sql());
            statements.push(Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs());
            continue;
        }
        if to_text {
            statements.push(becomes_text(column));
            continue;
        }
        let through = text_like(new_type);
        // Without a word about it the column has the type's collation from then on.
        let collate = column.read::<Column>().collate();
        let value = context.using(&column.id).map_or_else(|| format!("{name}::{through}::{new_type}"), str::to_owned);
        let sql = format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {new_type}{collate} USING {value}");
        let retyped = Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs();
        statements.push(if same_text(context, id) { retyped.scan(table) } else { retyped.rewrite(table) });
    }
    statements.extend(kept);
    statements
}

/// Columns that pass from one type to another while both are made anew are text in between.
pub fn wait_as_text(context: &Context, id: &Id) -> Vec<Statement> {
    let passes = |user: &&Id| super::passes_over(context.live, context.desired, user, id);
    let users = context.live.used_by(id).iter().map(|(user, _)| user).filter(passes);
    let columns = users.filter_map(|user| context.live.get(user).zip(context.desired.get(user)));
    let own = columns.filter(|(_, new)| !changes_with_parent(context, new) && !made_anew(context, new));
    own.map(|(old, _)| becomes_text(old)).collect()
}

/// Text, or an array of texts for an array.
fn text_like(data_type: &str) -> &'static str {
    if data_type.ends_with("[]") { "text[]" } else { "text" }
}

/// A column of a type that cannot stay is text until it is there again.
fn becomes_text(column: &Object) -> Statement {
    let (name, table, text) = (ident(column.id.base()), column.id.table_sql(), text_like(column.text("type")));
    Statement::new(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {text} USING {name}::{text}"))
        .lock(table.clone(), LockMode::AccessExclusive)
        .heirs()
        .rewrite(table)
}

/// Whether a statement on the parent table's column changes this one too: it came from there, and the two tables stay together.
fn changes_with_parent(context: &Context, column: &Object) -> bool {
    let before = context.live.get(&column.id).is_some_and(|old| old.flag("inherited"));
    before && column.flag("inherited") && !parted(context, column)
}

/// Whether it is a partitioned table.
pub fn is_partitioned(catalog: &Catalog, table: &Id) -> bool {
    catalog.get(table).is_some_and(|t| t.definition.contains_key("partition_key"))
}

/// Whether a table is dropped and made again, for no statement changes how it is partitioned.
pub fn table_made_anew(context: &Context, table: &Id) -> bool {
    let key = |c: &Catalog| c.get(table).map(|t| ["partition_key", "partition_key_types"].map(|f| t.definition.get(f).cloned()));
    key(context.live) != key(context.desired)
}

/// The same of the table of a column or constraint.
pub fn made_anew(context: &Context, member: &Object) -> bool {
    member.parent.as_ref().is_some_and(|t| table_made_anew(context, t))
}

/// Whether a member's table comes to another parent table, or to its own again; then their members do not change as one.
pub fn parted(context: &Context, member: &Object) -> bool {
    let Some(table) = &member.parent else { return false };
    let partition = table.as_class("partition");
    let inherits = |c: &Catalog| c.get(table).and_then(|t| t.definition.get("inherits").cloned());
    inherits(context.live) != inherits(context.desired) || attached_anew(context, &partition)
}

/// Whether a partition is not the same part of the same table before and after, or is attached again for the identities that it gets
/// from above one that is not.
pub fn attached_anew(context: &Context, partition: &Id) -> bool {
    let alone = |partition: &Id| {
        let bound = |c: &Catalog| c.get(partition).map(|p| p.definition.clone());
        let mut parents = context.live.uses(partition).iter().map(|(id, _)| id).filter(|id| id.class() == "table");
        bound(context.live) != bound(context.desired) || parents.any(|p| table_made_anew(context, p))
    };
    alone(partition) || identity_from(context.desired, partition).is_some_and(|(_, between)| between.iter().any(alone))
}

/// Whether some index of the table is wanted as the one to CLUSTER ON: marking it takes the mark off the others.
pub fn has_clustered(context: &Context, table: Option<&Id>) -> bool {
    table.is_some_and(|t| context.desired.children(t).any(|c| c.flag("clustered")))
}

/// Whether a column's type is an enum or an array of one: enums cast to nothing but text.
pub fn is_enum(catalog: &Catalog, column: &Object) -> bool {
    let bare = column.text("type").trim_end_matches("[]");
    catalog.uses(&column.id).iter().any(|(used, _)| used.class() == "enum" && used.sql() == bare)
}

/// The storage parameters of a definition.
pub fn options(object: &Object) -> Vec<String> {
    object.texts("options")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_put_aside_stay_short() {
        assert!(move_aside(&"é".repeat(31)).len() <= 63);
        assert_eq!(move_aside("mood"), "mood__plumb_old");
    }

    #[test]
    fn options_are_set_and_reset() {
        let old = ["fillfactor=70".to_owned(), "toast.autovacuum_enabled=false".to_owned()];
        let new = ["fillfactor=80".to_owned()];
        assert_eq!(
            change_options("ALTER TABLE t", &old, &new),
            ["ALTER TABLE t RESET (toast.autovacuum_enabled)", "ALTER TABLE t SET (fillfactor='80')"]
        );
    }
}
