//! Columns of tables: `pg_attribute`. The default is a kind of its own, so that it can come and go by itself.

use serde::Deserialize;

use super::domain::refuses_null;
use super::effects::gone;
use super::generated::{self, uses_more};
use super::identity::{self, Identity};
use super::not_null::{self, NotNull};
use super::relation::{is_partitioned, parted};
use super::retype::retype;
use super::type_change::widens;
use super::{Absorbed, BASE, Context, Cost, Kind, NOT_ONLINE, Online, Query, Renaming, expression, field, reads_as};
use super::{analyze, exchange, fill, like, row_checks};
use crate::catalog::{Dependency, Object};
use crate::sql::{ident, qualified};
use crate::statement::{Effect, LockMode, Loss, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    #[serde(rename = "type")]
    pub(super) data_type: String,
    collation: Option<String>,
    #[serde(default)]
    pub(super) not_null: bool,
    #[allow(dead_code, reason = "read by not_null")]
    not_null_constraint: Option<NotNull>,
    pub(super) identity: Option<Identity>,
    pub(super) generated: Option<String>,
    #[serde(default)]
    pub(super) generated_virtual: bool,
    storage: Option<String>,
    pub(super) compression: Option<String>,
    statistics: Option<i64>,
    #[serde(default)]
    options: Vec<String>,
    /// It comes from the parent of a partition or of an inheriting table, and only from there.
    #[serde(default)]
    pub(super) inherited: bool,
}

impl Column {
    pub(super) fn collate(&self) -> String {
        self.collation.as_ref().map_or(String::new(), |c| format!(" COLLATE {c}"))
    }
}

fn storage_word(letter: &str) -> &'static str {
    match letter {
        "p" => "PLAIN",
        "e" => "EXTERNAL",
        "m" => "MAIN",
        _ => "EXTENDED",
    }
}

pub(super) fn compression_word(letter: &str) -> &'static str {
    if letter == "l" { "lz4" } else { "pglz" }
}

/// `name type COLLATE ... DEFAULT ... NOT NULL`.
fn words(context: &Context, object: &Object) -> String {
    let identity = object.read::<Column>().identity.map_or(String::new(), |i| format!(" {}", i.clause()));
    words_with(context, object, &(identity + &default_words(context, object)))
}

/// The same with these words in the place of identity and default.
pub(super) fn words_with(context: &Context, object: &Object, value: &str) -> String {
    let c: Column = object.read();
    let mut text = format!("{} {}", ident(object.id.base()), c.data_type);
    text += &c.compression.as_ref().map_or(String::new(), |m| format!(" COMPRESSION {}", compression_word(m)));
    text += &c.collate();
    if let Some(generated) = &c.generated {
        text += &format!(" GENERATED ALWAYS AS ({generated}) {}", if c.generated_virtual { "VIRTUAL" } else { "STORED" });
    }
    text + value + &not_null::words(context, object)
}

/// ` DEFAULT ...`, where the default is made together with the column.
fn default_words(context: &Context, object: &Object) -> String {
    fill::default_of(context, object).map_or(String::new(), |d| format!(" DEFAULT {}", d.text("expression")))
}

/// A column of a typed table: the type gives its name and type, and nothing is said where nothing is added.
fn of_type(context: &Context, object: &Object) -> String {
    let text = default_words(context, object) + &not_null::words(context, object);
    if text.is_empty() { text } else { format!("{} WITH OPTIONS{text}", ident(object.id.base())) }
}

/// What a column has beyond what its definition can say in CREATE TABLE.
pub(super) fn extras(object: &Object) -> Vec<Statement> {
    let c: Column = object.read();
    let mut actions = Vec::new();
    actions.extend(c.storage.as_ref().map(|s| format!("SET STORAGE {}", storage_word(s))));
    actions.extend(c.statistics.map(|s| format!("SET STATISTICS {s}")));
    if !c.options.is_empty() {
        actions.push(format!("SET ({})", super::relation::options_list(&c.options)));
    }
    not_null::extra(object).into_iter().chain(actions.into_iter().map(|a| on_column(object, &a))).collect()
}

pub(super) fn on_column(object: &Object, action: &str) -> Statement {
    under(object, action, LockMode::AccessExclusive)
}

/// The same for what only ANALYZE reads.
fn sample(object: &Object, action: &str) -> Statement {
    under(object, action, LockMode::ShareUpdateExclusive)
}

fn under(object: &Object, action: &str, mode: LockMode) -> Statement {
    let table = object.id.table_sql();
    Statement::new(format!("ALTER TABLE ONLY {table} ALTER COLUMN {} {action}", ident(object.id.base()))).lock(table, mode)
}

fn create(context: &Context, object: &Object) -> Vec<Statement> {
    if let Some(filled) = fill::add(context, object) {
        return filled;
    }
    let c: Column = object.read();
    let table = object.id.table_sql();
    let mut statements = Vec::new();
    // A table that comes to its parent later has to have the parent's columns then.
    let comes = object.parent.as_ref().is_some_and(|t| context.live.contains(t)) && parted(context, object);
    if c.identity.is_some() && identity::has_heirs(context, object) {
        statements.extend(identity::add_with_heirs(context, object));
    } else if !c.inherited || comes {
        let sql = format!("ALTER TABLE {table} ADD COLUMN {}", words(context, object));
        let add = Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive).heirs();
        let given = c.identity.is_some() || c.generated.is_some() || !default_words(context, object).is_empty();
        let bare = (c.not_null || refuses_null(context, object)) && !given;
        let empty = object.parent.as_ref().filter(|_| bare).and_then(|table| row_checks::is_empty(context, &object.id, table));
        let add = add.needs(empty);
        statements.push(match fill::rewrites(context, object) {
            true => add.rewrite(table),
            false if bare => add.scan(table),
            false => add,
        });
    }
    statements.extend(extras(object));
    statements
}

/// A column that changes its type or collation, by itself or with its parent table's, forgets how its values are stored. What
/// differs is changed by itself.
pub(super) fn after_retype(old: &Object, new: &Object) -> Vec<Statement> {
    let (before, after): (Column, Column) = (old.read(), new.read());
    let storage = after.storage.filter(|s| before.storage.as_ref() == Some(s));
    let compression = after.compression.filter(|c| before.compression.as_ref() == Some(c));
    let storage = storage.map(|s| format!("SET STORAGE {}", storage_word(&s)));
    let compression = compression.map(|c| format!("SET COMPRESSION {}", compression_word(&c)));
    storage.into_iter().chain(compression).map(|action| on_column(new, &action)).collect()
}

/// Whether the parent's NOT NULL is this column's too: making that one makes this one, under its name. Not before the table has come
/// to its parent.
pub(super) fn comes_from_parent(context: &Context, column: &Object) -> bool {
    if parted(context, column) {
        return false;
    }
    let parents = context.desired.uses(&column.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    parents.filter_map(|(p, _)| context.desired.get(p)).any(|p| p.flag("not_null"))
}

fn alter_field(context: &Context, old: &Object, new: &Object, name: &str) -> Vec<Statement> {
    let (before, after): (Column, Column) = (old.read(), new.read());
    let one = |action: String| vec![on_column(new, &action)];
    match name {
        "generated" if before.inherited && after.inherited && !parted(context, new) => Vec::new(),
        "type" | "collation" if before.inherited && after.inherited && !parted(context, new) => after_retype(old, new),
        "type" | "collation" => retype(context, old, new).into_iter().chain(after_retype(old, new)).collect(),
        "not_null" if after.not_null => fill::set_not_null(context, new),
        "not_null" => not_null::remove(context, new),
        "not_null_constraint" if before.not_null && after.not_null => not_null::alter(context, old, new),
        "identity" => identity::alter(context, old, new),
        "inherited" => not_null::after_leaving(context, old, new).into_iter().collect(),
        // Child tables lose theirs in the same statement.
        "generated" | "generated_virtual" => {
            let table = new.id.table_sql();
            let sql = format!("ALTER TABLE {table} ALTER COLUMN {} DROP EXPRESSION", ident(new.id.base()));
            vec![Statement::new(sql).lock(table, LockMode::AccessExclusive).heirs()]
        }
        "storage" => {
            match after.storage.or_else(|| new.detail.get("storage")?.as_str().map(str::to_owned)) {
                Some(storage) => one(format!("SET STORAGE {}", storage_word(&storage))),
                // With another type comes that type's own, of which a plain column says nothing.
                None if old.text("type") != new.text("type") => Vec::new(),
                None => one("SET STORAGE EXTENDED".to_owned()),
            }
        }
        "compression" => one(format!("SET COMPRESSION {}", after.compression.as_deref().map_or("default", compression_word))),
        "statistics" => vec![sample(new, &format!("SET STATISTICS {}", after.statistics.unwrap_or(-1)))],
        "options" => super::relation::change_options("", &before.options, &after.options)
            .into_iter()
            .map(|a| sample(new, a.trim()))
            .collect(),
        _ => Vec::new(),
    }
}

/// The order in which fields are changed: what a column must lose before its type changes comes first.
const ORDER: &[&str] = &[
    "generated",
    "collation",
    "type",
    "not_null",
    "inherited",
    "not_null_constraint",
    "identity",
    "storage",
    "compression",
    "statistics",
    "options",
];

fn alter(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let has = |f: &str| changed.iter().any(|c| c == f);
    // NOT NULL must stand before an identity is added, and may go only after one is dropped.
    let mut order = ORDER.to_vec();
    if !new.definition.contains_key("identity") {
        order.sort_by_key(|f| *f != "identity");
    }
    let fields = order.iter().filter(|f| has(f) && !(**f == "collation" && has("type")));
    let mut statements: Vec<Statement> = fields.flat_map(|f| alter_field(context, old, new, f)).collect();
    if let Some(first) = statements.first_mut() {
        first.warnings.extend(exchange::refused(context, old, new, changed));
    }
    statements
}

/// NOT NULL alone has an online form, since what else is changed with it locks the table anyway. With the type the statistics go.
fn alter_online(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let has = |f: &str| changed.iter().any(|c| c == f);
    if has("type") || has("collation") {
        let silent = old.flag("inherited") && new.flag("inherited") && !parted(context, new);
        if let Some(exchanged) = exchange::exchange(context, old, new, changed) {
            return exchanged;
        }
        let retyped = if silent { Vec::new() } else { alter(context, old, new, changed) };
        let analyzed = (!retyped.is_empty()).then(|| analyze::column(context, old));
        return retyped.into_iter().chain(analyzed).collect();
    }
    let alone = changed.iter().all(|f| f == "not_null" || f == "not_null_constraint");
    if !alone || !new.flag("not_null") || !has("not_null") || not_null::is_not_valid(new) || comes_from_parent(context, new) {
        return Vec::new();
    }
    fill::set_not_null_online(context, new)
}

/// Columns of child tables go along, but for those that are wanted as the child's own.
fn drop(context: &Context, object: &Object) -> Vec<Statement> {
    let children = context.live.used_by(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    let children: Vec<&Object> = children.filter_map(|(c, _)| context.live.get(c)).filter(|c| c.flag("inherited")).collect();
    let partitioned = object.parent.as_ref().is_some_and(|t| is_partitioned(context.live, t));
    let kept = |c: &&Object| context.desired.get(&c.id).is_some_and(|c| !c.flag("inherited"));
    if partitioned || !children.iter().any(kept) {
        return vec![drop_column(context, object, "")];
    }
    let gone = children.iter().filter(|c| !kept(c) && !context.desired.contains(&c.id));
    std::iter::once(drop_column(context, object, "ONLY ")).chain(gone.map(|c| drop_column(context, c, ""))).collect()
}

pub(super) fn drop_column(context: &Context, object: &Object, only: &str) -> Statement {
    let table = object.id.table_sql();
    let sql = format!("ALTER TABLE {only}{table} DROP COLUMN {}", ident(object.id.base()));
    let mut dropped = Statement::new(sql).lock(table, LockMode::AccessExclusive).heirs();
    for sequence in context.live.children(&object.id).filter(|o| o.id.class() == "identity sequence") {
        dropped = dropped.lock(qualified(sequence.id.name()), LockMode::AccessExclusive);
    }
    if object.definition.contains_key("generated") { dropped } else { dropped.loses(Loss::Values(object.id.sql())) }
}

/// What a change means for code that runs.
fn effects(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some(after) = new else { return gone(context, old, new) };
    let id = &after.id;
    let mut found = Vec::new();
    if let Some(before) = old
        && (before.text("type"), before.text("collation")) != (after.text("type"), after.text("collation"))
        && !widens(before.text("type"), after.text("type"))
    {
        let words = if before.text("type") == after.text("type") {
            format!("{id} sorts and compares in another way")
        } else {
            format!("{id} is {} and was {}", after.text("type"), before.text("type"))
        };
        found.push(Effect::Strains(words));
    }
    let stands = after.parent.as_ref().is_some_and(|t| context.live.contains(t));
    let given = context.desired.contains(&id.as_class("default"))
        || ["identity", "generated"].iter().any(|f| after.definition.contains_key(*f));
    if stands && after.flag("not_null") && !old.is_some_and(|o| o.flag("not_null")) && !given {
        found.push(Effect::Strains(format!("what writes to {} without a value for {} fails", id.table_sql(), ident(id.base()))));
    }
    found
}

fn query(version: u32) -> Query {
    let statistics = if version >= 170_000 { "a.attstattarget" } else { "nullif(a.attstattarget, -1)" };
    let virtual_column = if version >= 180_000 { "CASE WHEN a.attgenerated = 'v' THEN true END" } else { "NULL::bool" };
    let (not_null, identity) = (not_null::pairs(version), identity::pairs());
    // Nothing but a type, and where NOT NULL is no constraint of its own, that.
    let not_null_says_all = if version >= 180_000 { "NOT a.attnotnull AND " } else { "" };
    let plain = format!(
        "{not_null_says_all}a.attcollation IN (0, t.typcollation) AND a.attidentity = '' AND a.attgenerated = '' AND a.attstorage = t.typstorage \
         AND a.attcompression = '' AND {statistics} IS NULL AND a.attoptions IS NULL AND (a.attinhcount = 0 OR a.attislocal)"
    );
    Query {
        sub: "a.attnum",
        acl: Some(("a.attacl", 'c')),
        plain: Some((plain.into(), "'type', format_type(a.atttypid, a.atttypmod), 'not_null', CASE WHEN a.attnotnull THEN true END")),
        // What is PLAIN by its type cannot be stored otherwise, and EXTENDED is what is taken when nothing is said.
        plain_detail: Some((generated::nothing_more(version), "'position', a.attnum")),
        ..Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname, a.attname",
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid \
             LEFT JOIN pg_attrdef d ON a.attgenerated <> '' AND d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped",
        )
    }
    .part_of("pg_class", "c.oid")
    .define(format!(
        "'type', format_type(a.atttypid, a.atttypmod), \
         'collation', CASE WHEN a.attcollation <> t.typcollation AND a.attcollation <> 0 THEN (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) \
             FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END, \
         'not_null', CASE WHEN a.attnotnull THEN true END, 'not_null_constraint', {not_null}, \
         'identity', {identity}, \
         'generated', pg_get_expr(d.adbin, d.adrelid), 'generated_virtual', {virtual_column}, \
         'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END, \
         'compression', CASE WHEN a.attcompression <> '' THEN a.attcompression::text END, \
         'statistics', {statistics}, 'options', CASE WHEN a.attoptions IS NOT NULL THEN (SELECT json_agg(o ORDER BY o) FROM unnest(a.attoptions) o) END, \
         'inherited', CASE WHEN a.attinhcount > 0 AND NOT a.attislocal THEN true END"
    ))
    .detail(format!(
        "'position', a.attnum, 'storage', t.typstorage::text, 'not_null_name', {}, 'expression_uses_more', {}, \
         'sequence', CASE WHEN a.attidentity <> '' THEN (SELECT json_build_array(sn.nspname, s.relname) FROM pg_depend i \
             JOIN pg_class s ON s.oid = i.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace \
             WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass AND i.refobjid = a.attrelid \
             AND i.refobjsubid = a.attnum AND i.deptype = 'i') END",
        not_null::inherited_name(version),
        uses_more(version)
    ))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "column",
    query: Some(query),
    check: reads_as::<Column>,
    fields: &[
        field("type", generated::TYPE),
        field("collation", generated::TYPE),
        field("not_null", Cost::Alter),
        field("not_null_constraint", Cost::Alter),
        field("identity", Cost::Alter),
        expression("generated", generated::EXPRESSION),
        field("generated_virtual", generated::EXPRESSION),
        field("storage", Cost::Alter),
        field("compression", Cost::Alter),
        field("statistics", Cost::Alter),
        field("options", Cost::Alter),
        field("inherited", Cost::Alter),
    ],
    create,
    alter,
    drop,
    online: Online { create: |context, o, _| fill::add_online(context, o), alter: alter_online, ..NOT_ONLINE },
    element: Some(|context, o| {
        let table = context.desired.get(o.parent.as_ref()?)?;
        if like::source(context, &table.id).is_some() {
            return Some(String::new());
        }
        if table.definition.contains_key("of_type") {
            return Some(of_type(context, o));
        }
        let from_inheritance = o.flag("inherited") && table.definition.contains_key("inherits");
        (!from_inheritance).then(|| words(context, o))
    }),
    beyond_element: extras,
    absorbed: Absorbed::Inside,
    inherited: Some(
        "SELECT 'pg_class'::regclass::oid, a.attrelid, a.attnum::int4, 'pg_class'::regclass::oid, p.attrelid, p.attnum::int4 \
         FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhrelid AND a.attinhcount > 0 AND NOT a.attislocal AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_attribute p ON p.attrelid = i.inhparent AND p.attname = a.attname AND p.attnum > 0",
    ),
    made_by_parent: true,
    effects,
    renaming: Renaming::Part("TABLE", "COLUMN", true),
    ..BASE
};
