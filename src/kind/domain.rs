//! Domains: `pg_type` with `typtype = 'd'`. Their CHECK constraints are a kind of their own.

use serde::Deserialize;
use std::collections::BTreeSet;

use super::{BASE, Context, Cost, Kind, Query, Renaming, Space, expression, field, is_remade, reads_as, row_checks};
use crate::catalog::{Catalog, Id, Object};
use crate::kind::relation::remake;
use crate::kind::type_change::narrows;
use crate::sql::ident;
use crate::statement::{LockMode, Loss, Statement};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domain {
    #[serde(rename = "type")]
    data_type: String,
    collation: Option<String>,
    default: Option<String>,
    not_null: bool,
    /// The name of the NOT NULL constraint (17), where it is not the server's choice.
    not_null_name: Option<String>,
}

/// The name of a domain's NOT NULL, the server's choice where nobody has made another one.
fn not_null_name(d: &Domain, id: &Id) -> String {
    ident(&d.not_null_name.clone().unwrap_or_else(|| format!("{}_not_null", id.base())))
}

fn create(context: &Context, object: &Object) -> Statement {
    let d: Domain = object.read();
    let mut sql = format!("CREATE DOMAIN {} AS {}", object.id.sql(), d.data_type);
    sql += &d.collation.as_ref().map_or(String::new(), |c| format!(" COLLATE {c}"));
    sql += &d.default.as_ref().map_or(String::new(), |e| format!(" DEFAULT {e}"));
    // The one that it takes the place of still has the name that the server would choose.
    let beside = d.not_null && context.live.server >= 170_000 && context.live.contains(&object.id);
    if beside || d.not_null_name.is_some() {
        sql += &format!(" CONSTRAINT {}", not_null_name(&d, &object.id));
    }
    sql += if d.not_null { " NOT NULL" } else { "" };
    sql += &context.elements(&object.id).iter().map(|e| format!(" {e}")).collect::<String>();
    Statement::new(sql)
}

/// A statement by which the values of a domain are held to something: every table with a column of it is read under a lock.
pub(super) fn held_to(context: &Context, domain: &Id, condition: &str, statement: Statement) -> Statement {
    let mut todo = vec![domain.clone()];
    let mut seen = BTreeSet::new();
    let mut columns: BTreeSet<&Id> = BTreeSet::new();
    while let Some(next) = todo.pop() {
        for (user, _) in context.live.used_by(&next) {
            match user.class() {
                "column" => drop(columns.insert(user)),
                "domain" | "composite type" | "attribute" | "range type" if seen.insert(user.clone()) => todo.push(user.clone()),
                _ => {}
            }
        }
    }
    // Columns that get another type let go of a domain before it is made anew.
    let anew = match (context.live.get(domain), context.desired.get(domain)) {
        (Some(old), Some(new)) => is_remade(context.live, old, new),
        _ => false,
    };
    let uses = |side: &Catalog, column: &Id| side.uses(column).iter().any(|(used, _)| used == domain);
    columns.retain(|column| !(anew && uses(context.live, column) && !uses(context.desired, column)));
    let tables: BTreeSet<String> = columns.iter().map(|c| c.table_sql()).collect();
    let plain = columns.iter().filter_map(|c| context.live.get(c)).filter(|c| c.text("type") == domain.sql());
    let checks = plain.filter_map(|c| Some(row_checks::values_fulfil(context, &c.id, c.parent.as_ref()?, condition)));
    let locked = |s: Statement, table: String| s.lock(table.clone(), LockMode::Share).scan(table);
    tables.into_iter().fold(statement, locked).needs(checks.collect::<Vec<_>>())
}

/// Another base type: no such form exists, so a new domain takes the name and every column moves over to it.
fn rebuild(context: &Context, old: &Object, new: &Object) -> Vec<Statement> {
    // The constraints are built up after by themselves.
    let mut statements = remake(context, "DOMAIN", new, create(&Context { absorbed: &BTreeSet::new(), ..*context }, new));
    if let Some(last) = statements.last_mut().filter(|_| narrows(old.text("type"), new.text("type"))) {
        last.losses.push(Loss::Values(new.id.to_string()));
    }
    statements
}

fn alter(context: &Context, old: &Object, new: &Object, changed: &[String]) -> Vec<Statement> {
    if changed.iter().any(|c| c == "type" || c == "collation") {
        return rebuild(context, old, new);
    }
    let d: Domain = new.read();
    let action = |field: &str| match field {
        "not_null_name" => {
            let before: Domain = old.read();
            format!("RENAME CONSTRAINT {} TO {}", not_null_name(&before, &old.id), not_null_name(&d, &new.id))
        }
        "not_null" if d.not_null && d.not_null_name.is_some() => {
            format!("ADD CONSTRAINT {} NOT NULL", not_null_name(&d, &new.id))
        }
        "default" => d.default.as_ref().map_or("DROP DEFAULT".to_owned(), |e| format!("SET DEFAULT {e}")),
        _ => if d.not_null { "SET NOT NULL" } else { "DROP NOT NULL" }.to_owned(),
    };
    let named = |f: &&String| *f != "not_null_name" || !changed.iter().any(|c| c == "not_null");
    let one = |field: &String| {
        let statement = Statement::new(format!("ALTER DOMAIN {} {}", new.id.sql(), action(field)));
        if field == "not_null" && d.not_null { held_to(context, &new.id, "VALUE IS NOT NULL", statement) } else { statement }
    };
    changed.iter().filter(named).map(one).collect()
}

/// The domain that is the type of a column.
fn of_column<'c>(context: &Context<'c>, column: &Object) -> Option<&'c Object> {
    let mut domains = context.desired.uses(&column.id).iter().map(|(id, _)| id).filter(|id| id.class() == "domain");
    domains.find(|id| column.text("type") == id.sql()).and_then(|id| context.desired.get(id))
}

/// Whether the type of a column is a domain that refuses some values.
pub fn is_constrained(context: &Context, column: &Object) -> bool {
    let checks = |d: &Object| context.desired.children(&d.id).any(|c| c.id.class() == "domain constraint");
    of_column(context, column).is_some_and(|d| d.flag("not_null") || checks(d))
}

/// Whether the type of a column is a domain that refuses one without a value, and gives none.
pub fn refuses_null(context: &Context, column: &Object) -> bool {
    of_column(context, column).is_some_and(|d| d.flag("not_null") && !d.definition.contains_key("default"))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "domain",
    present: "'d' = ANY (look.types)",
    query: Some(|version| {
        let name = if version >= 170_000 {
            "(SELECT k.conname FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n' AND k.conname <> t.typname || '_not_null')"
        } else {
            "NULL::text"
        };
        Query::over(
            "pg_type",
            "t.oid",
            "n.nspname, t.typname",
            "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype \
             LEFT JOIN pg_collation c ON c.oid = t.typcollation AND c.oid <> b.typcollation \
             LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace WHERE t.typtype = 'd' AND t.oid >= 16384",
        )
        .owned("t.typowner", "t.typacl", 'T')
        .define(format!(
            "'type', format_type(t.typbasetype, t.typtypmod), \
             'collation', quote_ident(cn.nspname) || '.' || quote_ident(c.collname), \
             'default', coalesce(pg_get_expr(t.typdefaultbin, 'pg_catalog.pg_class'::regclass), quote_literal(t.typdefault)), \
             'not_null', t.typnotnull, 'not_null_name', {name}"
        ))
    }),
    check: reads_as::<Domain>,
    fields: &[
        field("type", Cost::Remake(|_, _| true)),
        field("collation", Cost::Remake(|_, _| true)),
        expression("default", Cost::Alter),
        field("not_null", Cost::Alter),
        field("not_null_name", Cost::Alter),
    ],
    create: |context, o| vec![create(context, o)],
    alter: |context, old, new, changed| alter(context, old, new, changed),
    remake: rebuild,
    drop: |_, o| vec![Statement::new(format!("DROP DOMAIN {}", o.id.sql()))],
    spaces: &[Space::Type],
    effects: super::effects::gone,
    renaming: Renaming::Whole("DOMAIN", None),
    ..BASE
};
