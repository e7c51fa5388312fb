//! Stand-alone composite types: `pg_type` with `typtype = 'c'` over a `pg_class` row of kind `c`.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::relation::remake;
use super::type_change::narrows;
use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, field, is_remade, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::{LockMode, Loss, Statement};

#[derive(Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Attribute {
    #[serde(rename = "type")]
    data_type: String,
    collation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Composite {
    /// By name: the order is known (`detail`) and, as for columns, never planned.
    attributes: BTreeMap<String, Attribute>,
}

fn element(name: &str, a: &Attribute) -> String {
    let collation = a.collation.as_ref().map_or(String::new(), |c| format!(" COLLATE {c}"));
    format!("{} {}{collation}", ident(name), a.data_type)
}

/// The type with those of its attributes that `wanted` names, or all, in the order that they have in `order`.
fn create(object: &Object, order: &Object, wanted: impl Fn(&str) -> bool) -> Statement {
    let order: Vec<String> = order.detail.get("order").and_then(|o| serde_json::from_value(o.clone()).ok()).unwrap_or_default();
    let composite: Composite = object.read();
    let mut attributes: Vec<_> = composite.attributes.iter().filter(|(name, _)| wanted(name)).collect();
    attributes.sort_by_key(|(name, _)| order.iter().position(|o| o == *name));
    let list: Vec<String> = attributes.into_iter().map(|(n, a)| element(n, a)).collect();
    Statement::new(format!("CREATE TYPE {} AS ({})", object.id.sql(), list.join(", ")))
}

/// Whether an attribute that stays changes its type or collation: the server refuses that while columns hold values.
fn retypes(old: &Object, new: &Object) -> bool {
    let after = new.read::<Composite>().attributes;
    old.read::<Composite>().attributes.iter().any(|(name, a)| after.get(name).is_some_and(|b| a != b))
}

fn alter(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    let remade = is_remade(context.live, old, new);
    let name = new.id.sql();
    let (before, after) = (old.read::<Composite>().attributes, new.read::<Composite>().attributes);
    let change =
        |action: String| Statement::new(format!("ALTER TYPE {name} {action}")).lock(name.clone(), LockMode::AccessExclusive);
    let mut statements = Vec::new();
    for attribute in before.keys().filter(|k| !after.contains_key(*k)) {
        let loss = Loss::Values(format!("{name}.{}", ident(attribute)));
        statements.push(change(format!("DROP ATTRIBUTE {}", ident(attribute))).loses(loss));
    }
    let narrowed =
        |name: &String| after.get(name).zip(before.get(name)).is_some_and(|(a, b)| narrows(&b.data_type, &a.data_type));
    let cut = |name: &String| Loss::Values(format!("{}.{}", new.id.sql(), ident(name)));
    if remade {
        // Values move as text, attribute by attribute in their order: what both have.
        statements.extend(remake(context, "TYPE", old, create(new, old, |name| before.contains_key(name))));
        if let Some(last) = statements.last_mut() {
            last.losses.extend(before.keys().filter(|n| narrowed(n)).map(cut));
        }
    }
    for (attribute, a) in &after {
        match before.get(attribute) {
            None => statements.push(change(format!("ADD ATTRIBUTE {}", element(attribute, a)))),
            Some(b) if b != a && !remade => {
                let collation = a.collation.as_ref().map_or(String::new(), |c| format!(" COLLATE {c}"));
                let altered = change(format!("ALTER ATTRIBUTE {} TYPE {}{collation}", ident(attribute), a.data_type));
                statements.push(if narrowed(attribute) { altered.loses(cut(attribute)) } else { altered });
            }
            Some(_) => {}
        }
    }
    statements
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "composite type",
    present: "'c' = ANY (look.relations)",
    query: Some(|_| {
        Query::over(
            "pg_type",
            "t.oid",
            "n.nspname, t.typname",
            "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' \
             CROSS JOIN LATERAL (SELECT json_object_agg(a.attname, json_strip_nulls(json_build_object( \
                 'type', format_type(a.atttypid, a.atttypmod), \
                 'collation', CASE WHEN a.attcollation NOT IN (0, ty.typcollation) THEN (SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) \
                     FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END))) AS attributes, \
                 json_agg(a.attname ORDER BY a.attnum) AS names \
               FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid \
               WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x \
             WHERE t.typtype = 'c' AND t.oid >= 16384",
        )
        .owned("t.typowner", "t.typacl", 'T')
        .define("'attributes', coalesce(x.attributes, '{}')")
        .detail("'order', coalesce(x.names, '[]')")
    }),
    check: reads_as::<Composite>,
    fields: &[field("attributes", Cost::RetypeOrRemake(retypes))],
    create: |_, o| vec![create(o, o, |_| true)],
    alter: |context, old, new, _| alter(context, old, new),
    remake: |context, old, _| remake(context, "TYPE", old, create(old, old, |_| true)),
    drop: |_, o| vec![Statement::new(format!("DROP TYPE {}", o.id.sql()))],
    spaces: &[Space::Type, Space::Relation],
    comment: |id| format!("TYPE {}", id.sql()),
    effects: super::effects::gone,
    renaming: Renaming::Whole("TYPE", None),
    ..BASE
};
