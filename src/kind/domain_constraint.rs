//! CHECK constraints of domains: `pg_constraint` with `contypid <> 0`.

use serde::Deserialize;

use super::domain::held_to;
use super::{Absorbed, BASE, Carried, Context, Cost, Kind, Query, Renaming, Space, expression, field, reads_as};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::Statement;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    expression: String,
    validated: bool,
}

fn element(object: &Object) -> String {
    format!("CONSTRAINT {} CHECK ({})", ident(object.id.base()), object.read::<Check>().expression)
}

/// A statement that holds the values of the domain to the constraint.
fn of_values(context: &Context, object: &Object, statement: Statement) -> Statement {
    match &object.parent {
        Some(domain) => held_to(context, domain, object.text("expression"), statement),
        None => statement,
    }
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "domain constraint",
    present: "EXISTS (SELECT FROM pg_constraint WHERE contypid <> 0 AND oid >= 16384)",
    query: Some(|_| {
        Query::over(
            "pg_constraint",
            "k.oid",
            "n.nspname, t.typname, k.conname",
            "FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE k.contype = 'c' AND k.oid >= 16384",
        )
        .part_of("pg_type", "t.oid")
        .define("'expression', pg_get_expr(k.conbin, 0), 'validated', k.convalidated")
    }),
    check: reads_as::<Check>,
    fields: &[
        expression("expression", Cost::Replace),
        field("validated", Cost::AlterOrReplace(|_, new| new.read::<Check>().validated)),
    ],
    create: |context, o| {
        let validated = o.read::<Check>().validated;
        let not_valid = if validated { "" } else { " NOT VALID" };
        let added = Statement::new(format!("ALTER DOMAIN {} ADD {}{not_valid}", o.id.table_sql(), element(o)));
        vec![if validated { of_values(context, o, added) } else { added }]
    },
    alter: |context, _, new, _| {
        let (domain, name) = (new.id.table_sql(), ident(new.id.base()));
        let validated = Statement::new(format!("ALTER DOMAIN {domain} VALIDATE CONSTRAINT {name}"));
        vec![of_values(context, new, validated)]
    },
    drop: |_, o| vec![Statement::new(format!("ALTER DOMAIN {} DROP CONSTRAINT {}", o.id.table_sql(), ident(o.id.base())))],
    element: Some(|_, o| o.read::<Check>().validated.then(|| element(o))),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint],
    carried: Carried::Always,
    comment: |id| format!("CONSTRAINT {} ON DOMAIN {}", ident(id.base()), id.table_sql()),
    renaming: Renaming::Part("DOMAIN", "CONSTRAINT", false),
    ..BASE
};
