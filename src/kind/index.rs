//! Indexes that no constraint made: `pg_index`.

use serde::Deserialize;

use super::relation::{
    SORTED_OPTIONS, change_index, change_options, given_options, has_clustered, is_partitioned, options, with_options, without,
};
use super::twin::age;
use super::{
    BASE, Carried, Context, Cost, Kind, NOT_ONLINE, Online, Query, Renaming, Space, analyze, expression, field, reads_as,
    row_checks,
};
use crate::catalog::{Catalog, Object};
use crate::sql::{ident, qualified};
use crate::statement::{LockMode, RowCheck, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "some fields are read through Object::flag")]
struct Index {
    /// The table or materialized view, as a SQL name.
    table: String,
    #[serde(default)]
    unique: bool,
    /// Everything from USING on, without WITH.
    body: String,
    /// What follows WITH in the definition: the WHERE clause.
    predicate: Option<String>,
    #[serde(default)]
    options: Vec<String>,
    /// Statistics targets of expression columns, `number=target`.
    #[serde(default)]
    statistics: Vec<String>,
    /// The parent's index of a partitioned table, that has no partition's index behind it (`ON ONLY`) and is not valid.
    #[serde(default)]
    invalid: bool,
    /// Any other index that is not valid: it was not built to its end.
    #[serde(default)]
    #[allow(dead_code, reason = "read through Object::flag")]
    unfinished: bool,
    #[serde(default)]
    replica_identity: bool,
    #[serde(default)]
    clustered: bool,
    #[serde(default)]
    inherited: bool,
}

impl Index {
    /// Whether it may have expressions, of which the server has no statistics until it is told to look.
    fn computes(&self) -> bool {
        self.body.matches('(').count() > 1 + self.body.matches(" INCLUDE (").count()
    }
}

/// What a unique index asks of the rows; its keys are expressions as `pg_get_indexdef` gives them.
fn rows(context: &Context, object: &Object, index: &Index) -> Option<RowCheck> {
    let keys = Some(object.texts("keys")).filter(|keys| !keys.is_empty())?;
    row_checks::columns(context, object)?;
    let nulls_differ = !index.body.contains(" NULLS NOT DISTINCT");
    let plain = index.predicate.is_none() && keys.iter().all(|k| !k.contains('('));
    let check = row_checks::differs(context, object.parent.as_ref()?, &keys, nulls_differ, index.predicate.as_deref())?;
    Some(if plain { check } else { check.evaluating() })
}

/// `CREATE INDEX`, with `how` before the name.
fn text(object: &Object, i: &Index, how: &str, name: &str) -> String {
    let unique = if i.unique { "UNIQUE " } else { "" };
    let only = if i.invalid { "ONLY " } else { "" };
    let predicate = i.predicate.as_ref().map_or(String::new(), |p| format!(" WHERE {p}"));
    let options = with_options(&given_options(object));
    format!("CREATE {unique}INDEX {how}{} ON {only}{} {}{options}{predicate}", ident(name), i.table, i.body)
}

/// Built while others write, and put in the place of the one that it replaces.
fn create_online(context: &Context, object: &Object, name: &str) -> Vec<Statement> {
    let i: Index = object.read();
    if object.parent.as_ref().is_none_or(|t| is_partitioned(context.desired, t)) {
        return Vec::new();
    }
    let built = qualified(&[object.id.first(), name]);
    let mut statements = vec![
        Statement::new(text(object, &i, "CONCURRENTLY ", name))
            .alone()
            .lock(i.table.clone(), LockMode::ShareUpdateExclusive)
            .scan(i.table.clone())
            .needs(rows(context, object, &i))
            .back(format!("DROP INDEX IF EXISTS {built}")),
    ];
    if name != object.id.base() {
        let rename = format!("ALTER INDEX {built} RENAME TO {}", ident(object.id.base()));
        let back = format!("ALTER INDEX {} RENAME TO {}", object.id.sql(), ident(name));
        statements.push(Statement::new(rename).back(back));
    }
    statements.extend(marks(object, i.clustered, i.replica_identity));
    statements.extend(statistics(object, &i.statistics));
    statements.extend(i.computes().then(|| analyze::table(&i.table)));
    statements
}

fn drop_online(context: &Context, object: &Object) -> Vec<Statement> {
    let partitioned = object.parent.as_ref().is_none_or(|t| is_partitioned(context.live, t));
    if partitioned || object.flag("inherited") {
        return Vec::new();
    }
    let sql = format!("DROP INDEX CONCURRENTLY {}", qualified(object.id.name()));
    vec![Statement::new(sql).alone().lock(object.text("table"), LockMode::ShareUpdateExclusive)]
}

fn create(context: &Context, object: &Object) -> Vec<Statement> {
    let i: Index = object.read();
    let sql = text(object, &i, "", object.id.base());
    let made = Statement::new(sql).lock(i.table.clone(), LockMode::Share);
    let mut statements =
        vec![if i.invalid { made } else { made.partitions().scan(i.table.clone()).needs(rows(context, object, &i)) }];
    statements.extend(marks(object, i.clustered, i.replica_identity));
    statements.extend(statistics(object, &i.statistics));
    statements
}

fn statistics(object: &Object, targets: &[String]) -> Vec<Statement> {
    let name = object.id.sql();
    targets
        .iter()
        .filter_map(|t| t.split_once('='))
        .map(|(column, target)| Statement::new(format!("ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}")))
        .map(|s| s.lock(name.clone(), LockMode::ShareUpdateExclusive))
        .collect()
}

fn marks(object: &Object, clustered: bool, replica_identity: bool) -> Vec<Statement> {
    let (table, name) = (object.text("table").to_owned(), ident(object.id.base()));
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

fn alter(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let has = |f: &str| changed.iter().any(|c| c == f);
    let (table, name) = (new.text("table").to_owned(), new.id.sql());
    let mut statements = Vec::new();
    if has("options") {
        let sql = change_options(&format!("ALTER INDEX {name}"), &options(old), &options(new));
        statements.extend(sql.into_iter().map(|s| change_index(s, &name)));
    }
    if has("statistics") {
        let (before, after): (Index, Index) = (old.read(), new.read());
        let column = |t: &String| t.split('=').next().unwrap_or_default().to_owned();
        let kept: Vec<String> = after.statistics.iter().map(column).collect();
        let reset = before.statistics.iter().map(column).filter(|c| !kept.contains(c)).map(|c| format!("{c}=-1"));
        statements.extend(statistics(new, &reset.chain(after.statistics.iter().cloned()).collect::<Vec<_>>()));
    }
    statements.extend(marks(
        new,
        has("clustered") && new.flag("clustered"),
        has("replica_identity") && new.flag("replica_identity"),
    ));
    if has("clustered") && !new.flag("clustered") && !has_clustered(context, new.parent.as_ref()) {
        let sql = format!("ALTER TABLE {table} SET WITHOUT CLUSTER");
        statements.push(Statement::new(sql).lock(table.clone(), LockMode::ShareUpdateExclusive));
    }
    statements
}

/// `WITH (...)` as `pg_get_indexdef` writes it, to be cut out of its text.
const WITH: &str = "coalesce(' WITH (' || (SELECT string_agg(quote_ident(split_part(o, '=', 1)) || '=' || CASE WHEN quote_ident(substr(o, strpos(o, '=') + 1)) \
     = substr(o, strpos(o, '=') + 1) THEN substr(o, strpos(o, '=') + 1) ELSE quote_literal(substr(o, strpos(o, '=') + 1)) END, ', ') FROM unnest(c.reloptions) o) || ')', '')";

/// Operator classes with the types for which nobody has to name them. A type that has none of its own takes the one of what it is
/// in binary form.
const UNNAMED: &str = "SELECT o.oid, o.opcintype FROM pg_opclass o WHERE o.opcdefault AND o.oid < 16384 \
     UNION ALL SELECT o.oid, t.oid FROM pg_opclass o JOIN pg_type t ON o.opcintype = 'anyenum'::regtype AND t.typtype = 'e' \
         OR o.opcintype = 'text'::regtype AND t.oid = 'varchar'::regtype WHERE o.opcdefault AND o.oid < 16384 \
         AND NOT EXISTS (SELECT FROM pg_opclass own WHERE own.opcdefault AND own.opcmethod = o.opcmethod AND own.opcintype = t.oid)";

/// The most columns that an index has whose body is put together from them.
const FEW: usize = 3;

/// What `pg_get_indexdef` says after the table's name of a B-tree index over a few columns in their own order: deparsing takes many
/// times as long. NULL for every other index, and where an operator class or a collation has to be named.
fn plain(version: u32) -> String {
    let column = |n: usize| {
        format!(
            "(SELECT CASE WHEN i.indcollation[{n}] = a.attcollation AND (i.indclass[{n}], a.atttypid) IN ({UNNAMED}) THEN quote_ident(a.attname) \
                 || CASE i.indoption[{n}] WHEN 0 THEN '' WHEN 3 THEN ' DESC' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' END END \
             FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[{n}])"
        )
    };
    let more: String =
        (1..FEW).map(|n| format!(" || CASE WHEN i.indnatts > {n} THEN ', ' || {} ELSE '' END", column(n))).collect();
    let nulls =
        if version >= 150_000 { " || CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END" } else { "" };
    format!(
        "CASE WHEN c.relam = (SELECT m.oid FROM pg_am m WHERE m.amname = 'btree') AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts \
         AND i.indnatts <= {FEW} THEN 'USING btree (' || {}{more} || ')'{nulls} END",
        column(0)
    )
}

/// The field of an index that a CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY has left behind when it failed.
const UNFINISHED: &str = "unfinished";

/// The unfinished indexes as they are when they are built to their end: no statement makes one, and nobody wants one, so that what is
/// wanted and copies have them so.
pub fn finished(catalog: &Catalog) -> Vec<Object> {
    without(catalog, "index", &[UNFINISHED])
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "index",
    query: Some(|version| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            format!(
                "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_class t ON t.oid = i.indrelid AND t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't' \
                 CROSS JOIN LATERAL (SELECT quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS name) rel \
                 CROSS JOIN LATERAL (SELECT CASE WHEN c.reloptions IS NOT NULL THEN {WITH} ELSE '' END AS text) opts \
                 CROSS JOIN LATERAL (SELECT {} AS text, pg_get_expr(i.indpred, i.indrelid) AS pred OFFSET 0) plain \
                 CROSS JOIN LATERAL (SELECT CASE WHEN plain.text IS NULL THEN substr(pg_get_indexdef(c.oid), \
                     length('CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname) || ' ON ' \
                     || CASE WHEN c.relkind = 'I' THEN 'ONLY ' ELSE '' END || rel.name || ' ') + 1) END AS text OFFSET 0) tail \
                 CROSS JOIN LATERAL (SELECT coalesce(plain.text, replace(left(tail.text, \
                     length(tail.text) - length(coalesce(' WHERE ' || plain.pred, ''))), opts.text, '')) AS text) body \
                 WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))",
                plain(version)
            ),
        )
        .part_of("pg_class", "i.indrelid")
        .define(format!(
            "'table', rel.name, 'unique', CASE WHEN i.indisunique THEN true END, 'body', body.text, \
             'predicate', plain.pred, 'options', {SORTED_OPTIONS}, \
             'statistics', CASE WHEN i.indexprs IS NOT NULL THEN (SELECT json_agg(a.attnum || '=' || a.attstattarget ORDER BY a.attnum) \
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) END, \
             'invalid', CASE WHEN NOT i.indisvalid AND c.relkind = 'I' THEN true END, \
             'unfinished', CASE WHEN NOT i.indisvalid AND c.relkind = 'i' THEN true END, \
             'replica_identity', CASE WHEN i.indisreplident THEN true END, 'clustered', CASE WHEN i.indisclustered THEN true END, \
             'inherited', CASE WHEN c.relispartition THEN true END"
        ))
        .detail(format!(
            "'options', to_json(c.reloptions), 'keys', CASE WHEN i.indisunique THEN \
             (SELECT json_agg(pg_get_indexdef(c.oid, n, false) ORDER BY n) FROM generate_series(1, i.indnkeyatts) n) END, {}",
            age("t", "c.oid")
        ))
    }),
    check: reads_as::<Index>,
    fields: &[
        field("table", Cost::Replace),
        field("unique", Cost::Replace),
        expression("body", Cost::Replace),
        expression("predicate", Cost::Replace),
        field("options", Cost::Alter),
        field("statistics", Cost::Alter),
        // Valid it becomes by itself, with the last partition's index that is attached.
        field("invalid", Cost::AlterOrReplace(|_, new| !new.flag("invalid"))),
        field(UNFINISHED, Cost::Replace),
        field("replica_identity", Cost::Alter),
        field("clustered", Cost::Alter),
        field("inherited", Cost::Alter),
    ],
    create: |context, o| create(context, o),
    alter: |context, old, new, changed| alter(context, old, new, changed),
    drop: |_, o| {
        let (name, table) = (qualified(o.id.name()), o.text("table").to_owned());
        vec![Statement::new(format!("DROP INDEX {name}")).lock(table, LockMode::AccessExclusive).partitions()]
    },
    online: Online { create: create_online, beside: true, before: true, drop: drop_online, ..NOT_ONLINE },
    spaces: &[Space::Relation],
    carried: Carried::Always,
    effects: super::effects::unidentified,
    renaming: Renaming::Whole("INDEX", Some(LockMode::ShareUpdateExclusive)),
    ..BASE
};
