//! Functions and window functions: `pg_proc` with `prokind` `f` and `w`. Procedures share everything but the word.

use serde::Deserialize;
use std::borrow::Cow;

use super::effects::gone;
use super::{BASE, Context, Cost, Field, Kind, Query, Renaming, Space, expression, field, reads_as};
use crate::catalog::Object;
use crate::statement::{Effect, Statement};

/// A function or procedure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Routine {
    /// `CREATE OR REPLACE ...` as `pg_get_functiondef` gives it.
    definition: String,
    #[allow(dead_code, reason = "compared as JSON")]
    arguments: Vec<String>,
    #[allow(dead_code, reason = "compared as JSON")]
    defaults: u32,
    #[allow(dead_code, reason = "compared as JSON")]
    result: Option<String>,
}

/// Rows of `pg_proc` with `prokind` in `kinds`, less those of extensions.
pub fn query(kinds: &str) -> Query {
    Query {
        args: Some("coalesce((SELECT array_agg(format_type(t.oid, NULL) ORDER BY t.n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY t(oid, n)), '{}')"),
        ..Query::over(
            "pg_proc",
            "p.oid",
            "n.nspname, p.proname",
            Cow::Owned(format!(
                "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ({kinds}) AND p.oid >= 16384 \
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))"
            )),
        )
        .owned("p.proowner", "p.proacl", 'f')
    }
    .define(
        "'definition', rtrim(pg_get_functiondef(p.oid), E'\\n'), \
         'arguments', (SELECT coalesce(json_agg(coalesce(a.mode, 'i') || ' ' || coalesce(p.proargnames[a.n], '')), '[]') \
             FROM unnest(coalesce(p.proargmodes::text[], array_fill('i'::text, ARRAY[p.pronargs::int]))) WITH ORDINALITY a(mode, n)), \
         'defaults', p.pronargdefaults, 'result', pg_get_function_result(p.oid)",
    )
    // The definition says it too, among words of the user.
    .detail(
        "'volatility', p.provolatile::text, 'security_definer', CASE WHEN p.prosecdef THEN true END, 'settings', to_json(p.proconfig)",
    )
}

/// CREATE OR REPLACE may neither rename or remove an argument's name, nor take a default away, nor change the result.
fn replaceable(old: &Object, new: &Object) -> bool {
    let (before, after): (Routine, Routine) = (old.read(), new.read());
    let names_stay = before.arguments.len() == after.arguments.len()
        && before.arguments.iter().zip(&after.arguments).all(|(b, a)| b == a || b.ends_with(' ') && a.starts_with(b.as_str()));
    names_stay && before.defaults <= after.defaults && before.result == after.result
}

/// What a change of each field of a routine costs.
pub const FIELDS: &[Field] = &[
    expression("definition", Cost::AlterOrReplace(replaceable)),
    field("arguments", Cost::AlterOrReplace(replaceable)),
    field("defaults", Cost::AlterOrReplace(replaceable)),
    field("result", Cost::Replace),
];

/// The definition itself: it is a CREATE OR REPLACE.
pub fn create(object: &Object) -> Vec<Statement> {
    vec![Statement::new(object.read::<Routine>().definition)]
}

/// With whose rights a routine runs, and whether its names mean the same for every caller.
fn rights(object: &Object) -> (bool, bool) {
    let settings = object.detail.get("settings").and_then(|s| s.as_array().cloned()).unwrap_or_default();
    let path = settings.iter().filter_map(|s| s.as_str()).any(|s| s.starts_with("search_path="));
    (object.detail.get("security_definer").is_some_and(|d| d == true), path)
}

/// What a change means for whose rights are used, and for code that calls the routine.
pub(super) fn effects(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some(after) = new else { return gone(context, old, new) };
    let (id, mut found) = (&after.id, Vec::new());
    let ((definer, path), (was_definer, had_path)) = (rights(after), old.map(rights).unwrap_or_default());
    if definer && !path && (!was_definer || had_path) {
        found.push(Effect::GivesRights(format!(
            "{id} runs with the rights of its owner and sets no search_path: whoever calls it decides what its names mean"
        )));
    } else if definer && !was_definer && old.is_some() {
        found.push(Effect::GivesRights(format!("{id} runs with the rights of its owner, no longer with the caller's")));
    } else if was_definer && !definer {
        found.push(Effect::TakesRights(format!("{id} runs with the rights of the caller, no longer with its owner's")));
    }
    if old.is_some_and(|before| !replaceable(before, after)) {
        found.push(Effect::Strains(format!("{id} takes or returns something else than before")));
    }
    found
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "function",
    query: Some(|_| query("'f', 'w'")),
    check: reads_as::<Routine>,
    fields: FIELDS,
    create: |_, o| create(o),
    alter: |_, _, new, _| create(new),
    drop: |_, o| vec![Statement::new(format!("DROP FUNCTION {}", o.id.sql()))],
    spaces: &[Space::Routine],
    only_definition: true,
    effects,
    renaming: Renaming::Whole("FUNCTION", None),
    ..BASE
};
