//! `security-definer-without-search-path`: a function with its owner's rights and its caller's names.

use super::{Found, Rule, Schema};
use crate::catalog::Object;
use crate::report::Level;

fn find(schema: &Schema) -> Vec<Found> {
    let routines = schema.all("function").chain(schema.all("procedure"));
    let fixed = |o: &Object| o.texts("settings").iter().any(|s| s.starts_with("search_path="));
    let definer = |o: &Object| o.detail.get("security_definer").and_then(|s| s.as_bool()).unwrap_or_default();
    let open = routines.filter(|o| definer(o) && !fixed(o));
    open.map(|o| Found::new(o, format!("{} is SECURITY DEFINER and takes search_path from its caller", o.id))).collect()
}

/// The rule.
pub static RULE: Rule = Rule {
    code: "security-definer-without-search-path",
    meaning: "A SECURITY DEFINER function does not set search_path.",
    why: "It runs with the rights of its owner and looks names up where its caller says: a caller who may create objects anywhere, and \
          be it temporary ones, can have it call a function or read a table of his own. SET search_path with pg_temp at the end, or empty \
          and all names qualified.",
    bad: "CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT current_date $$;",
    good: "CREATE FUNCTION today() RETURNS date LANGUAGE sql STABLE SECURITY DEFINER\n    SET search_path = pg_catalog, pg_temp\n\
           AS $$ SELECT current_date $$;",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[("splinter", "function_search_path_mutable")],
    find,
};
