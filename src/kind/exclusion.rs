//! Exclusion constraints: `pg_constraint` with `contype = 'x'`.

use serde::Deserialize;

use super::constraint::{COMMON, INDEX, add, alter_index, index_marks, query, remove};
use super::{Absorbed, BASE, Carried, Context, Cost, Kind, Space, expression, field, on_table, reads_as};
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

/// Whether another exclusion of the table says the same, but perhaps for its storage parameters: one CREATE TABLE makes one of two
/// such constraints.
fn twin(context: &Context, object: &Object) -> bool {
    let says = |o: &Object| o.text("definition").split(" WITH (").next().map(str::to_owned);
    let first = |o: &Object| o.id.class() == "exclusion" && o.id < object.id && says(o) == says(object);
    object.parent.as_ref().is_some_and(|t| context.desired.children(t).any(first))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "exclusion",
    present: "'x' = ANY (look.constraints)",
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
    element: Some(|context, o| {
        let whole = !o.flag("clustered") && !o.flag("replica_identity") && !twin(context, o);
        whole.then(|| element(o))
    }),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint, Space::Relation],
    carried: Carried::Always,
    comment: |id| on_table("CONSTRAINT", id),
    ..BASE
};
