//! What the constraints of tables share: `pg_constraint` and, for keys, the index that enforces them.

use serde::Deserialize;
use std::borrow::Cow;

use super::relation::{change_index, given_options, is_partitioned, with_options};
use super::twin::age;
use super::{Context, Cost, Field, Query, field, row_checks};
use crate::catalog::{Id, Object};
use crate::sql::{ident, idents, qualified};
use crate::statement::{LockMode, RowCheck, Statement};

/// A primary key or a unique constraint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub(super) columns: Vec<String>,
    #[serde(default)]
    pub(super) include: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "read through relation::options")]
    options: Vec<String>,
    #[serde(default)]
    pub(super) nulls_not_distinct: bool,
    #[serde(default)]
    pub(super) without_overlaps: bool,
    #[serde(default)]
    deferrable: bool,
    #[serde(default)]
    deferred: bool,
    #[serde(default)]
    replica_identity: bool,
    #[serde(default)]
    clustered: bool,
    #[serde(default)]
    #[allow(dead_code, reason = "read through Object::flag")]
    inherited: bool,
    /// The key of the partitioned table that a partition's belongs to.
    #[serde(default)]
    #[allow(dead_code, reason = "read through Object::text")]
    parent: Option<String>,
}

/// What a change of each field of a key costs.
pub const KEY_FIELDS: &[Field] = &[
    field("columns", Cost::Replace),
    field("include", Cost::Replace),
    field("options", Cost::Alter),
    field("nulls_not_distinct", Cost::Replace),
    field("without_overlaps", Cost::Replace),
    field("deferrable", Cost::Replace),
    field("deferred", Cost::Replace),
    field("replica_identity", Cost::Alter),
    field("clustered", Cost::Alter),
    field("inherited", Cost::Alter),
    // A key joins one, or leaves it, with its table. No statement takes it from one to another.
    field("parent", Cost::AlterOrReplace(|old, new| old.text("parent").is_empty() || new.text("parent").is_empty())),
];

/// The rows of `pg_constraint` of one `contype` over tables, each with its table.
pub fn query(contype: char) -> Query {
    Query::over(
        "pg_constraint",
        "k.oid",
        "n.nspname, c.relname, k.conname",
        Cow::Owned(format!(
            "FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
             JOIN pg_namespace n ON n.oid = c.relnamespace {} WHERE k.contype = '{contype}' AND c.oid >= 16384",
            if matches!(contype, 'p' | 'u' | 'x') {
                "JOIN pg_index i ON i.indexrelid = k.conindid JOIN pg_class ic ON ic.oid = i.indexrelid"
            } else {
                ""
            }
        )),
    )
    .part_of("pg_class", "c.oid")
}

/// JSON pairs that every constraint has.
pub const COMMON: &str = "'deferrable', CASE WHEN k.condeferrable THEN true END, 'deferred', CASE WHEN k.condeferred THEN true END, \
     'inherited', CASE WHEN k.conparentid <> 0 OR k.coninhcount > 0 AND NOT k.conislocal THEN true END";

/// JSON pairs of the index that enforces a constraint.
pub const INDEX: &str = "'options', CASE WHEN ic.reloptions IS NOT NULL THEN (SELECT json_agg(o ORDER BY o) FROM unnest(ic.reloptions) o) END, 'replica_identity', CASE WHEN i.indisreplident THEN true END, \
     'clustered', CASE WHEN i.indisclustered THEN true END";

/// The names of a relation's columns by their numbers, as JSON. Nearly all lists are of one, which needs no sort.
pub fn column_names(relation: &str, numbers: &str) -> String {
    format!(
        "CASE WHEN {numbers} IS NULL THEN NULL WHEN cardinality({numbers}) = 1 THEN (SELECT json_build_array(a.attname) FROM pg_attribute a \
             WHERE a.attrelid = {relation} AND a.attnum = ({numbers})[1]) \
         ELSE (SELECT json_agg(a.attname ORDER BY x.n) FROM unnest({numbers}) WITH ORDINALITY x(attnum, n) \
             JOIN pg_attribute a ON a.attrelid = {relation} AND a.attnum = x.attnum) END"
    )
}

/// The whole query of a key.
pub fn key_query(contype: char, version: u32) -> Query {
    let nulls = if version >= 150_000 { "CASE WHEN i.indnullsnotdistinct THEN true END" } else { "NULL::bool" };
    let overlaps = if version >= 180_000 { "CASE WHEN k.conperiod THEN true END" } else { "NULL::bool" };
    let key = column_names("k.conrelid", "k.conkey");
    let parent = "CASE WHEN k.conparentid <> 0 THEN (SELECT p.conname FROM pg_constraint p WHERE p.oid = k.conparentid) END";
    let include = "(SELECT json_agg(a.attname ORDER BY x.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY x(attnum, n) \
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.attnum WHERE x.n > i.indnkeyatts)";
    query(contype).define(format!(
        "'columns', {key}, 'include', CASE WHEN i.indnatts > i.indnkeyatts THEN {include} END, 'nulls_not_distinct', {nulls}, \
         'without_overlaps', {overlaps}, 'parent', {parent}, {COMMON}, {INDEX}"
    ))
    .detail(age("c", "k.conindid"))
}

/// ` DEFERRABLE INITIALLY DEFERRED` where it applies.
pub fn deferral(deferrable: bool, deferred: bool) -> &'static str {
    match (deferrable, deferred) {
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        _ => "",
    }
}

/// `CONSTRAINT name <words> (columns) ...`.
pub fn key_element(object: &Object, words: &str) -> String {
    let k: Key = object.read();
    let nulls = if k.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
    let overlaps = if k.without_overlaps { " WITHOUT OVERLAPS" } else { "" };
    let include = if k.include.is_empty() { String::new() } else { format!(" INCLUDE ({})", idents(&k.include)) };
    format!(
        "CONSTRAINT {} {words}{nulls} ({}{overlaps}){include}{}{}",
        ident(object.id.base()),
        idents(&k.columns),
        with_options(&given_options(object)),
        deferral(k.deferrable, k.deferred)
    )
}

/// `ALTER TABLE ... ADD <element>`.
pub fn add(object: &Object, element: &str) -> Statement {
    let table = object.id.table_sql();
    Statement::new(format!("ALTER TABLE {table} ADD {element}")).lock(table.clone(), LockMode::AccessExclusive).scan(table)
}

/// `ALTER TABLE ... DROP CONSTRAINT`.
pub fn remove(_: &Context, object: &Object) -> Vec<Statement> {
    let table = object.id.table_sql();
    let sql = format!("ALTER TABLE {table} DROP CONSTRAINT {}", ident(object.id.base()));
    vec![Statement::new(sql).lock(table, LockMode::AccessExclusive).partitions()]
}

/// What a key has beyond its definition: CLUSTER ON, REPLICA IDENTITY USING INDEX.
pub fn index_marks(object: &Object, clustered: bool, replica_identity: bool) -> Vec<Statement> {
    let (table, name) = (object.id.table_sql(), ident(object.id.base()));
    let mut statements = Vec::new();
    if clustered {
        let sql = format!("ALTER TABLE {table} CLUSTER ON {name}");
        statements.push(Statement::new(sql).lock(table.clone(), LockMode::ShareUpdateExclusive));
    }
    if replica_identity {
        let sql = format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}");
        statements.push(Statement::new(sql).lock(table, LockMode::AccessExclusive));
    }
    statements
}

/// What a key asks of the rows: values in all columns of a primary key, and no two alike.
fn rows(context: &Context, object: &Object, key: &Key, primary: bool) -> Vec<RowCheck> {
    let (Some(table), Some(columns)) = (&object.parent, row_checks::columns(context, object)) else { return Vec::new() };
    let may_be_null = |column: &&&Id| primary && context.live.get(column).is_some_and(|c| !c.flag("not_null"));
    let values = columns.iter().filter(may_be_null).filter_map(|column| row_checks::has_value(context, column, table));
    let names: Vec<String> = key.columns.iter().map(|c| ident(c)).collect();
    let alike = Some(()).filter(|()| !key.without_overlaps);
    let alike = alike.and_then(|()| row_checks::differs(context, table, &names, !primary && !key.nulls_not_distinct, None));
    let overlap = Some(()).filter(|()| key.without_overlaps).and_then(|()| {
        let operator = |n: usize| if n + 1 == names.len() { "&&" } else { "=" };
        let elements: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.clone(), operator(n).to_owned())).collect();
        let says = format!("({} WITHOUT OVERLAPS)", names.join(", "));
        row_checks::excludes(context, table, &says, &elements, None)
    });
    values.chain(alike).chain(overlap).collect()
}

/// Makes a key by itself.
pub fn create_key(context: &Context, object: &Object, words: &str) -> Vec<Statement> {
    let k: Key = object.read();
    let table = object.id.table_sql();
    let added = add(object, &key_element(object, words));
    // Since 18 the tables below are looked into for columns that may be NULL, whatever the key is.
    let added = if context.live.server >= 180_000 { added.heirs() } else { added.partitions_in(table, LockMode::Share) };
    let mut statements = vec![added.needs(rows(context, object, &k, words == "PRIMARY KEY"))];
    statements.extend(index_marks(object, k.clustered, k.replica_identity));
    statements
}

/// Makes a key over an index that is built before, while others write, under `name`.
pub fn create_key_online(context: &Context, object: &Object, words: &str, name: &str) -> Vec<Statement> {
    let k: Key = object.read();
    let table = object.id.table_sql();
    if k.without_overlaps || object.parent.as_ref().is_none_or(|t| is_partitioned(context.desired, t)) {
        return Vec::new();
    }
    let nulls = if k.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
    let include = if k.include.is_empty() { String::new() } else { format!(" INCLUDE ({})", idents(&k.include)) };
    let options = with_options(&given_options(object));
    let columns = idents(&k.columns);
    let sql =
        format!("CREATE UNIQUE INDEX CONCURRENTLY {} ON {table} USING btree ({columns}){include}{nulls}{options}", ident(name));
    let build = Statement::new(sql)
        .alone()
        .lock(table.clone(), LockMode::ShareUpdateExclusive)
        .scan(table.clone())
        .needs(rows(context, object, &k, words == "PRIMARY KEY"))
        .back(format!("DROP INDEX IF EXISTS {}", qualified(&[object.id.first(), name])));
    let constraint = ident(object.id.base());
    let deferral = deferral(k.deferrable, k.deferred);
    let sql = format!("ALTER TABLE {table} ADD CONSTRAINT {constraint} {words} USING INDEX {}{deferral}", ident(name));
    let add = Statement::new(sql).lock(table.clone(), LockMode::AccessExclusive);
    let add = add.back(format!("ALTER TABLE {table} DROP CONSTRAINT {constraint}"));
    [build, add].into_iter().chain(index_marks(object, k.clustered, k.replica_identity)).collect()
}

/// A foreign key or check in two steps: held to by new rows at once, and by those that stand after a transaction of its own.
pub fn in_two(
    object: &Object,
    add: impl Fn(&Object) -> Vec<Statement>,
    validate: impl Fn(&Object) -> Vec<Statement>,
) -> Vec<Statement> {
    let mut unchecked = object.clone();
    unchecked.definition.insert("not_valid".to_owned(), true.into());
    let drop = format!("ALTER TABLE {} DROP CONSTRAINT {}", object.id.table_sql(), ident(object.id.base()));
    let added = add(&unchecked).into_iter().map(|s| s.back(drop.clone()));
    added.chain(validate(object).into_iter().map(Statement::own)).collect()
}

/// Changes what can be changed of a key in place: storage parameters and marks of its index.
pub fn alter_index(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let index = qualified(&[new.id.first(), new.id.base()]);
    let has = |f: &str| changed.iter().any(|c| c == f);
    let mut statements = Vec::new();
    if has("options") {
        let (before, after) = (super::relation::options(old), super::relation::options(new));
        let sql = super::relation::change_options(&format!("ALTER INDEX {index}"), &before, &after);
        statements.extend(sql.into_iter().map(|s| change_index(s, &index)));
    }
    statements.extend(index_marks(
        new,
        has("clustered") && new.flag("clustered"),
        has("replica_identity") && new.flag("replica_identity"),
    ));
    if has("clustered") && !new.flag("clustered") && !super::relation::has_clustered(context, new.parent.as_ref()) {
        let table = new.id.table_sql();
        let sql = format!("ALTER TABLE {table} SET WITHOUT CLUSTER");
        statements.push(Statement::new(sql).lock(table, LockMode::ShareUpdateExclusive));
    }
    statements
}
