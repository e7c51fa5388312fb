//! Range types and the multirange types that come with them: `pg_range`.

use serde::Deserialize;

use super::relation::{retype_users, wait_as_text};
use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, field, reads_as};
use crate::catalog::Object;
use crate::statement::Statement;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    subtype: String,
    operator_class: Option<String>,
    collation: Option<String>,
    canonical: Option<String>,
    difference: Option<String>,
    multirange: String,
}

/// A range type cannot be changed, and the functions that make its ranges belong to the server's superuser, so that nothing can
/// be put aside: every column waits as text.
fn rebuild(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let mut statements = wait_as_text(context, &old.id);
    statements.extend(retype_users(context, &old.id, true));
    statements.extend([drop(old), create(new)]);
    statements.extend(retype_users(context, &old.id, false));
    statements
}

fn options(range: &Range) -> String {
    let mut options = vec![format!("subtype = {}", range.subtype)];
    let optional = [
        ("subtype_opclass", &range.operator_class),
        ("collation", &range.collation),
        ("canonical", &range.canonical),
        ("subtype_diff", &range.difference),
    ];
    options.extend(optional.into_iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k} = {v}"))));
    options.push(format!("multirange_type_name = {}", range.multirange));
    options.join(", ")
}

fn drop(object: &Object) -> Statement {
    Statement::new(format!("DROP TYPE {}", object.id.sql()))
}

fn create(object: &Object) -> Statement {
    Statement::new(format!("CREATE TYPE {} AS RANGE ({})", object.id.sql(), options(&object.read())))
}

const REMAKE: Cost = Cost::Remake(|_, _| true);

/// The kind.
pub static KIND: Kind = Kind {
    class: "range type",
    present: "'r' = ANY (look.types)",
    query: Some(|_| {
        Query::over(
            "pg_type",
            "t.oid",
            "n.nspname, t.typname",
            "FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace \
             JOIN pg_type m ON m.oid = r.rngmultitypid JOIN pg_namespace mn ON mn.oid = m.typnamespace \
             JOIN pg_type s ON s.oid = r.rngsubtype \
             JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace opn ON opn.oid = o.opcnamespace \
             LEFT JOIN pg_collation c ON c.oid = r.rngcollation AND c.oid <> s.typcollation \
             LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace WHERE t.oid >= 16384",
        )
        .owned("t.typowner", "t.typacl", 'T')
        .define(
            "'subtype', format_type(r.rngsubtype, NULL), \
             'operator_class', CASE WHEN NOT o.opcdefault THEN quote_ident(opn.nspname) || '.' || quote_ident(o.opcname) END, \
             'collation', quote_ident(cn.nspname) || '.' || quote_ident(c.collname), \
             'canonical', CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::text END, \
             'difference', CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::text END, \
             'multirange', quote_ident(mn.nspname) || '.' || quote_ident(m.typname)",
        )
    }),
    check: reads_as::<Range>,
    fields: &[
        field("subtype", REMAKE),
        field("operator_class", REMAKE),
        field("collation", REMAKE),
        field("canonical", REMAKE),
        field("difference", REMAKE),
        field("multirange", REMAKE),
    ],
    create: |_, o| vec![create(o)],
    alter: |context, old, new, _| rebuild(context, old, new),
    drop: |_, o| vec![drop(o)],
    spaces: &[Space::Type],
    comment: |id| format!("TYPE {}", id.sql()),
    effects: super::effects::gone,
    renaming: Renaming::Whole("TYPE", None),
    ..BASE
};
