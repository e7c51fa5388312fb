//! Materialized views: `pg_class` with `relkind = 'm'`.
//!
//! Whether one is populated is state, like the rows of a table, and not compared: files are loaded WITH NO DATA, and
//! `pg_dump --schema-only` says it of all of them.

use serde::Deserialize;

use super::relation::{TOAST_OPTIONS, TOAST_SORTED_OPTIONS, change_options, given_options, options, with_options};
use super::view::{BODY, COLUMNS};
use super::{BASE, Cost, Kind, Query, Renaming, Space, expression, field, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "columns are compared")]
struct MaterializedView {
    query: String,
    columns: Vec<String>,
    #[serde(default)]
    options: Vec<String>,
    access_method: Option<String>,
    #[serde(default)]
    settings: Vec<Setting>,
}

/// A setting of a column: its name, the words of ALTER COLUMN, and their value.
type Setting = (String, String, String);

/// Settings of columns, from `pg_attribute`. The order of storage parameters of one column means nothing.
const SETTINGS: &str = "(SELECT json_agg(json_build_array(a.attname, x.words, x.value) ORDER BY a.attnum, x.n) FROM pg_attribute a \
     JOIN pg_type ty ON ty.oid = a.atttypid CROSS JOIN LATERAL (VALUES \
         (1, 'STATISTICS', nullif(a.attstattarget, -1)::text), \
         (2, 'STORAGE', CASE WHEN a.attstorage <> ty.typstorage THEN \
             CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END), \
         (3, 'COMPRESSION', CASE a.attcompression WHEN 'l' THEN 'lz4' WHEN 'p' THEN 'pglz' END), \
         (4, 'options', (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions) o))) x(n, words, value) \
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND x.value IS NOT NULL)";

fn on_column(object: &Object, (column, words, value): &Setting) -> Statement {
    let action = if words == "options" { format!("({value})") } else { format!("{words} {value}") };
    let name = object.id.sql();
    Statement::new(format!("ALTER MATERIALIZED VIEW {name} ALTER COLUMN {} SET {action}", ident(column)))
        .lock(name, LockMode::AccessExclusive)
}

/// What takes a setting back; storage has no word for it before 16.
fn unset(object: &Object, (column, words, value): &Setting) -> Statement {
    let back = match words.as_str() {
        "STATISTICS" => "SET STATISTICS -1".to_owned(),
        "COMPRESSION" => "SET COMPRESSION default".to_owned(),
        _ => {
            let names: Vec<&str> = value.split(", ").filter_map(|o| o.split('=').next()).collect();
            format!("RESET ({})", names.join(", "))
        }
    };
    let name = object.id.sql();
    Statement::new(format!("ALTER MATERIALIZED VIEW {name} ALTER COLUMN {} {back}", ident(column)))
        .lock(name, LockMode::AccessExclusive)
}

/// Settings of `a` whose column and words `b` has not.
fn without<'a>(a: &'a [Setting], b: &[Setting]) -> impl Iterator<Item = &'a Setting> {
    let kept: Vec<(String, String)> = b.iter().map(|(c, w, _)| (c.clone(), w.clone())).collect();
    a.iter().filter(move |(c, w, _)| !kept.contains(&(c.clone(), w.clone())))
}

fn settable(old: &Object, new: &Object) -> bool {
    let (before, after): (MaterializedView, MaterializedView) = (old.read(), new.read());
    without(&before.settings, &after.settings).all(|(_, words, _)| words != "STORAGE")
}

fn create(object: &Object) -> Vec<Statement> {
    let m: MaterializedView = object.read();
    let method = m.access_method.map_or(String::new(), |a| format!(" USING {}", ident(&a)));
    let options = with_options(&given_options(object));
    let sql = format!("CREATE MATERIALIZED VIEW {}{method}{options} AS\n{}", object.id.sql(), m.query);
    let settings = m.settings.iter().map(|s| Statement { locks: Vec::new(), ..on_column(object, s) });
    std::iter::once(Statement::new(sql)).chain(settings).collect()
}

fn alter(old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let name = new.id.sql();
    let mut statements = Vec::new();
    if changed.iter().any(|c| c == "options") {
        let sql = change_options(&format!("ALTER MATERIALIZED VIEW {name}"), &options(old), &options(new));
        statements.extend(sql.into_iter().map(|sql| Statement::new(sql).lock(name.clone(), LockMode::ShareUpdateExclusive)));
    }
    let (before, after): (MaterializedView, MaterializedView) = (old.read(), new.read());
    statements.extend(without(&before.settings, &after.settings).map(|s| unset(new, s)));
    for setting in after.settings.iter().filter(|s| !before.settings.contains(s)) {
        // What is no longer among a column's storage parameters goes first.
        let replaced = before.settings.iter().find(|(c, w, _)| (c, w) == (&setting.0, &setting.1) && w == "options");
        statements.extend(replaced.map(|s| unset(new, s)));
        statements.push(on_column(new, setting));
    }
    statements
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "materialized view",
    present: "'m' = ANY (look.relations)",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam \
             LEFT JOIN pg_class t ON t.oid = c.reltoastrelid \
             WHERE c.relkind = 'm' AND c.oid >= 16384",
        )
        .owned("c.relowner", "c.relacl", 'r')
        .define(format!(
            "'query', {BODY}, 'columns', {COLUMNS}, 'options', {TOAST_SORTED_OPTIONS}, 'settings', {SETTINGS}, \
             'access_method', CASE WHEN am.amname <> 'heap' THEN am.amname END"
        ))
        .detail(format!("'populated', c.relispopulated, 'options', {TOAST_OPTIONS}"))
    }),
    check: reads_as::<MaterializedView>,
    fields: &[
        expression("query", Cost::Replace),
        field("columns", Cost::Replace),
        field("options", Cost::Alter),
        field("access_method", Cost::Replace),
        field("settings", Cost::AlterOrReplace(settable)),
    ],
    create: |_, o| create(o),
    alter: |_, old, new, changed| alter(old, new, changed),
    drop: |_, o| {
        let name = o.id.sql();
        vec![Statement::new(format!("DROP MATERIALIZED VIEW {name}")).lock(name, LockMode::AccessExclusive)]
    },
    spaces: &[Space::Relation, Space::Type],
    effects: super::view::effects,
    renaming: Renaming::Whole("MATERIALIZED VIEW", Some(LockMode::AccessExclusive)),
    ..BASE
};
