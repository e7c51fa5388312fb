//! Unique constraints: `pg_constraint` with `contype = 'u'`.

use super::constraint::{KEY_FIELDS, Key, alter_index, create_key, create_key_online, key_element, key_query, remove};
use super::twin::has_twin;
use super::{Absorbed, BASE, Carried, Context, Kind, NOT_ONLINE, Online, Renaming, Space, on_table, reads_as};
use crate::catalog::Object;

/// Whether another key of the table has the same columns: one CREATE TABLE makes one of two such keys.
fn twin(context: &Context, object: &Object) -> bool {
    let key = |o: &&Object| ["primary key", "unique"].contains(&o.id.class()) && o.id < object.id;
    let same = |o: &Object| o.definition.get("columns") == object.definition.get("columns");
    object.parent.as_ref().is_some_and(|t| context.desired.children(t).filter(key).any(same))
}

/// The kind.
pub static KIND: Kind = Kind {
    class: "unique",
    present: "'u' = ANY (look.constraints)",
    query: Some(|version| key_query('u', version)),
    check: reads_as::<Key>,
    fields: KEY_FIELDS,
    create: |context, o| create_key(context, o, "UNIQUE"),
    alter: |context, old, new, changed| alter_index(context, old, new, changed),
    drop: remove,
    online: Online {
        create: |context, o, name| create_key_online(context, o, "UNIQUE", name),
        beside: true,
        before: true,
        ..NOT_ONLINE
    },
    element: Some(|context, o| {
        let whole = !o.flag("clustered") && !o.flag("replica_identity") && !twin(context, o) && !has_twin(context.desired, o);
        whole.then(|| key_element(o, "UNIQUE"))
    }),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint, Space::Relation],
    carried: Carried::Always,
    comment: |id| on_table("CONSTRAINT", id),
    effects: super::effects::unidentified,
    renaming: Renaming::Part("TABLE", "CONSTRAINT", false),
    ..BASE
};
