//! Collations: `pg_collation`.

use serde::Deserialize;

use super::relation::remake;
use super::{BASE, Cost, Kind, Query, Renaming, field, reads_as};
use crate::catalog::Object;
use crate::sql::literal;
use crate::statement::Statement;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collation {
    provider: String,
    locale: Option<String>,
    lc_collate: Option<String>,
    lc_ctype: Option<String>,
    deterministic: bool,
    rules: Option<String>,
}

fn options(c: &Collation) -> String {
    let provider = match c.provider.as_str() {
        "i" => "icu",
        "b" => "builtin",
        _ => "libc",
    };
    let mut options = vec![format!("provider = {provider}")];
    match (&c.locale, &c.lc_collate, &c.lc_ctype) {
        (Some(locale), _, _) => options.push(format!("locale = {}", literal(locale))),
        (None, Some(a), Some(b)) if a == b => options.push(format!("locale = {}", literal(a))),
        (None, a, b) => {
            options.extend(a.iter().map(|a| format!("lc_collate = {}", literal(a))));
            options.extend(b.iter().map(|b| format!("lc_ctype = {}", literal(b))));
        }
    }
    if !c.deterministic {
        options.push("deterministic = false".to_owned());
    }
    options.extend(c.rules.iter().map(|r| format!("rules = {}", literal(r))));
    options.join(", ")
}

fn create(object: &Object) -> Statement {
    Statement::new(format!("CREATE COLLATION {} ({})", object.id.sql(), options(&object.read())))
}

const REMAKE: Cost = Cost::Remake(|_, _| true);

/// The kind.
pub static KIND: Kind = Kind {
    class: "collation",
    present: "EXISTS (SELECT FROM pg_collation WHERE oid >= 16384)",
    query: Some(|version| {
        let (locale, rules) = match version {
            170_000.. => ("c.colllocale", "c.collicurules"),
            160_000.. => ("c.colliculocale", "c.collicurules"),
            150_000.. => ("c.colliculocale", "NULL::text"),
            _ => ("NULL::text", "NULL::text"),
        };
        Query {
            owner: Some("c.collowner"),
            ..Query::over(
                "pg_collation",
                "c.oid",
                "n.nspname, c.collname",
                "FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid >= 16384",
            )
        }
        .define(format!(
            "'provider', c.collprovider::text, 'locale', {locale}, 'lc_collate', c.collcollate, 'lc_ctype', c.collctype, \
             'deterministic', c.collisdeterministic, 'rules', {rules}"
        ))
    }),
    check: reads_as::<Collation>,
    fields: &[
        field("provider", REMAKE),
        field("locale", REMAKE),
        field("lc_collate", REMAKE),
        field("lc_ctype", REMAKE),
        field("deterministic", REMAKE),
        field("rules", REMAKE),
    ],
    create: |_, o| vec![create(o)],
    alter: |context, old, new, _| remake(context, "COLLATION", old, create(new)),
    drop: |_, o| vec![Statement::new(format!("DROP COLLATION {}", o.id.sql()))],
    renaming: Renaming::Whole("COLLATION", None),
    ..BASE
};
