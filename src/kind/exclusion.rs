//! Exclusion constraints: `pg_constraint` with `contype = 'x'`.

use serde::Deserialize;

use super::constraint::{COMMON, INDEX, add, alter_index, index_marks, query, remove};
use super::{Absorbed, BASE, Carried, Cost, Kind, Space, expression, field, on_table, reads_as};
use crate::catalog::Object;
use crate::sql::ident;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the definition text says it all; the other fields are compared")]
struct Exclusion {
    /// `EXCLUDE USING gist (...)` as `pg_get_constraintdef` gives it, deferral included.
    definition: String,
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    deferrable: bool,
    #[serde(default)]
    deferred: bool,
    #[serde(default)]
    replica_identity: bool,
    #[serde(default)]
    clustered: bool,
    #[serde(default)]
    inherited: bool,
}

fn element(object: &Object) -> String {
    format!("CONSTRAINT {} {}", ident(object.id.base()), object.read::<Exclusion>().definition)
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "exclusion",
    query: Some(|_| query('x').define(format!("'definition', pg_get_constraintdef(k.oid), {COMMON}, {INDEX}"))),
    check: reads_as::<Exclusion>,
    fields: &[
        expression("definition", Cost::Replace),
        field("options", Cost::Replace),
        field("deferrable", Cost::Replace),
        field("deferred", Cost::Replace),
        field("replica_identity", Cost::Alter),
        field("clustered", Cost::Alter),
        field("inherited", Cost::Alter),
    ],
    create: |_, o| {
        let mut statements = vec![add(o, &element(o))];
        statements.extend(index_marks(o, o.flag("clustered"), o.flag("replica_identity")));
        statements
    },
    alter: |context, old, new, changed| alter_index(context, old, new, changed),
    drop: remove,
    element: Some(|_, o| (!o.flag("clustered") && !o.flag("replica_identity")).then(|| element(o))),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint, Space::Relation],
    carried: Carried::Always,
    comment: |id| on_table("CONSTRAINT", id),
    ..BASE
};
