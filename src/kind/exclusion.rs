//! Exclusion constraints: `pg_constraint` with `contype = 'x'`.

use serde::Deserialize;

use super::carried::name_of_parts;
use super::constraint::{COMMON, INDEX, add, alter_index, index_marks, query, remove};
use super::{Absorbed, BASE, Carried, Context, Cost, Kind, Renaming, Space, expression, field, on_table, reads_as, row_checks};
use crate::catalog::Object;
use crate::sql::ident;
use crate::statement::RowCheck;

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

/// Whether ATTACH makes it, or the parent table's: it takes none that a partition has for one of its own (17 and newer; before there
/// are none of partitioned tables). Only under the name that the server chooses.
fn comes_with_parents(object: &Object) -> bool {
    let plain = |key: &String| if key.contains('(') { "expr".to_owned() } else { key.replace('"', "") };
    let columns: Vec<String> = object.texts("keys").iter().map(plain).collect();
    object.flag("inherited") && name_of_parts(object, columns, "excl").is_some_and(|name| name == object.id.base())
}

/// Whether another exclusion of the table says the same, but perhaps for its storage parameters: one CREATE TABLE makes one of two
/// such constraints.
fn twin(context: &Context, object: &Object) -> bool {
    let says = |o: &Object| o.text("definition").split(" WITH (").next().map(str::to_owned);
    let first = |o: &Object| o.id.class() == "exclusion" && o.id < object.id && says(o) == says(object);
    object.parent.as_ref().is_some_and(|t| context.desired.children(t).any(first))
}

/// What it asks of the rows. A condition, an expression or an operator of the files may be anybody's code.
fn rows(context: &Context, object: &Object) -> Option<RowCheck> {
    let (keys, operators) = (object.texts("keys"), object.texts("operators"));
    row_checks::columns(context, object)?;
    let predicate = object.detail.get("predicate").and_then(|p| p.as_str());
    if keys.is_empty() {
        return None;
    }
    let plain = predicate.is_none() && keys.iter().all(|k| !k.contains('('));
    let builtin = operators.iter().all(|o| o.starts_with("OPERATOR(pg_catalog."));
    let elements: Vec<(String, String)> = keys.into_iter().zip(operators).collect();
    let says = object.text("definition");
    let check = row_checks::excludes(context, object.parent.as_ref()?, says, &elements, predicate)?;
    Some(if plain && builtin { check } else { check.evaluating() })
}

/// What is known of its elements and never compared, since the definition says it: expressions, operators, and the condition.
const ELEMENTS: &str = "'keys', (SELECT json_agg(pg_get_indexdef(k.conindid, n, false) ORDER BY n) FROM generate_series(1, i.indnkeyatts) n), \
     'operators', (SELECT json_agg(format('OPERATOR(%I.%s)', s.nspname, o.oprname) ORDER BY x.n) FROM unnest(k.conexclop) WITH ORDINALITY x(oid, n) \
         JOIN pg_operator o ON o.oid = x.oid JOIN pg_namespace s ON s.oid = o.oprnamespace), \
     'predicate', pg_get_expr(i.indpred, i.indrelid)";

/// The kind.
pub static KIND: Kind = Kind {
    class: "exclusion",
    present: "'x' = ANY (look.constraints)",
    query: Some(|_| query('x').define(format!("'definition', pg_get_constraintdef(k.oid), {COMMON}, {INDEX}")).detail(ELEMENTS)),
    check: reads_as::<Exclusion>,
    fields: &[
        expression("definition", Cost::Replace),
        field("options", Cost::Replace),
        field("deferrable", Cost::Replace),
        field("deferred", Cost::Replace),
        field("replica_identity", Cost::Alter),
        field("clustered", Cost::Alter),
        // One of the table's own goes, since ATTACH would make another beside it.
        field("inherited", Cost::AlterOrReplace(|old, _| old.flag("inherited"))),
    ],
    create: |context, o| {
        if comes_with_parents(o) {
            return Vec::new();
        }
        let added = add(o, &element(o)).needs(rows(context, o));
        let mut statements = vec![if context.live.server >= 180_000 { added.heirs() } else { added }];
        statements.extend(index_marks(o, o.flag("clustered"), o.flag("replica_identity")));
        statements
    },
    alter: |context, old, new, changed| alter_index(context, old, new, changed),
    drop: remove,
    element: Some(|context, o| {
        if comes_with_parents(o) {
            return Some(String::new());
        }
        let whole = !o.flag("clustered") && !o.flag("replica_identity") && !twin(context, o);
        whole.then(|| element(o))
    }),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint, Space::Relation],
    carried: Carried::Always,
    comment: |id| on_table("CONSTRAINT", id),
    renaming: Renaming::Part("TABLE", "CONSTRAINT", false),
    ..BASE
};
