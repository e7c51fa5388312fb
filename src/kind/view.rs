//! Views: `pg_class` with `relkind = 'v'`.

use serde::Deserialize;

use super::effects::gone;
use super::relation::{SORTED_OPTIONS, change_options, given_options, options, with_options};
use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, expression, field, reads_as};
use crate::catalog::Object;
use crate::statement::{Effect, LockMode, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    query: String,
    /// `name type collation`, in order.
    columns: Vec<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "read through relation::options")]
    options: Vec<String>,
}

/// The columns of a view or materialized view under the alias `c`, in order.
pub const COLUMNS: &str = "(SELECT coalesce(json_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || coalesce(' ' || nullif(a.attcollation, 0)::regcollation::text, '') \
     ORDER BY a.attnum), '[]') FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";

/// The query text without the closing semicolon that `pg_get_viewdef` adds.
pub const BODY: &str = "rtrim(pg_get_viewdef(c.oid), ';')";

fn create(object: &Object, words: &str) -> Statement {
    let v: View = object.read();
    Statement::new(format!("{words} {}{} AS\n{}", object.id.sql(), with_options(&given_options(object)), v.query))
}

/// CREATE OR REPLACE VIEW may only add columns at the end.
fn replaceable(old: &Object, new: &Object) -> bool {
    let (before, after): (View, View) = (old.read(), new.read());
    after.columns.starts_with(&before.columns)
}

fn alter(old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    let name = new.id.sql();
    if changed.iter().any(|c| c != "options") {
        return vec![create(new, "CREATE OR REPLACE VIEW").lock(name, LockMode::AccessExclusive)];
    }
    change_options(&format!("ALTER VIEW {name}"), &options(old), &options(new))
        .into_iter()
        .map(|sql| Statement::new(sql).lock(name.clone(), LockMode::AccessExclusive))
        .collect()
}

/// Whether a boolean storage parameter is on, in any of the ways in which PostgreSQL takes it.
fn is_on(object: &Object, name: &str) -> bool {
    let value = options(object).into_iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('=').map(str::to_lowercase));
    value.is_some_and(|v| ["true", "yes", "on", "1"].iter().any(|on| !v.is_empty() && on.starts_with(&v) && v != "o"))
}

/// What a change means for who sees rows, and for code that reads the view.
pub(super) fn effects(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let (Some(before), Some(after)) = (old, new) else { return gone(context, old, new) };
    let (name, mut found) = (&after.id, Vec::new());
    match (is_on(before, "security_invoker"), is_on(after, "security_invoker")) {
        (true, false) => found.push(Effect::GivesRights(format!(
            "{name} loses security_invoker: its readers see what its owner may see, past the policies and grants that are for them"
        ))),
        (false, true) => found.push(Effect::TakesRights(format!("{name} takes the rights of whoever reads it, not its owner's"))),
        _ => {}
    }
    if is_on(before, "security_barrier") && !is_on(after, "security_barrier") {
        found.push(Effect::GivesRights(format!(
            "{name} loses security_barrier: functions in a query may see rows that it filters out"
        )));
    }
    let columns = |o: &Object| o.definition.get("columns").and_then(|c| serde_json::from_value::<Vec<String>>(c.clone()).ok());
    let (had, has) = (columns(before).unwrap_or_default(), columns(after).unwrap_or_default());
    let lost: Vec<String> = had.into_iter().filter(|c| !has.contains(c)).collect();
    if !lost.is_empty() {
        found.push(Effect::Strains(format!("{name} no longer has {}, or has it as something else", lost.join(", "))));
    }
    found
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "view",
    query: Some(|_| {
        Query::over(
            "pg_class",
            "c.oid",
            "n.nspname, c.relname",
            "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND c.oid >= 16384 \
             AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')",
        )
        .owned("c.relowner", "c.relacl", 'r')
        .define(format!("'query', {BODY}, 'columns', {COLUMNS}, 'options', {SORTED_OPTIONS}")).detail("'options', to_json(c.reloptions)")
    }),
    check: reads_as::<View>,
    fields: &[
        expression("query", Cost::AlterOrReplace(replaceable)),
        field("columns", Cost::AlterOrReplace(replaceable)),
        field("options", Cost::Alter),
    ],
    create: |_, o| vec![create(o, "CREATE VIEW")],
    alter: |_, old, new, changed| alter(old, new, changed),
    drop: |_, o| {
        let name = o.id.sql();
        vec![Statement::new(format!("DROP VIEW {name}")).lock(name, LockMode::AccessExclusive)]
    },
    spaces: &[Space::Relation, Space::Type],
    only_definition: true,
    effects,
    renaming: Renaming::Whole("VIEW", Some(LockMode::AccessExclusive)),
    ..BASE
};
