//! CHECK constraints of domains: `pg_constraint` with `contypid <> 0`.

use serde::Deserialize;

use super::{Absorbed, BASE, Carried, Cost, Kind, Query, Space, expression, field, reads_as};
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

/// The kind.
pub static KIND: Kind = Kind {
    class: "domain constraint",
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
    create: |_, o| {
        let not_valid = if o.read::<Check>().validated { "" } else { " NOT VALID" };
        vec![Statement::new(format!("ALTER DOMAIN {} ADD {}{not_valid}", o.id.table_sql(), element(o)))]
    },
    alter: |_, _, new, _| {
        vec![Statement::new(format!("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", new.id.table_sql(), ident(new.id.base())))]
    },
    drop: |_, o| vec![Statement::new(format!("ALTER DOMAIN {} DROP CONSTRAINT {}", o.id.table_sql(), ident(o.id.base())))],
    element: Some(|_, o| o.read::<Check>().validated.then(|| element(o))),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint],
    carried: Carried::Always,
    comment: |id| format!("CONSTRAINT {} ON DOMAIN {}", ident(id.base()), id.table_sql()),
    ..BASE
};
