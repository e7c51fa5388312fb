//! Primary keys: `pg_constraint` with `contype = 'p'`.

use super::constraint::{KEY_FIELDS, Key, alter_index, create_key, create_key_online, key_element, key_query, remove};
use super::twin::has_twin;
use super::{Absorbed, BASE, Carried, Kind, NOT_ONLINE, Online, Renaming, Space, on_table, reads_as};

/// The kind.
pub static KIND: Kind = Kind {
    class: "primary key",
    query: Some(|version| key_query('p', version)),
    check: reads_as::<Key>,
    fields: KEY_FIELDS,
    create: |context, o| create_key(context, o, "PRIMARY KEY"),
    alter: |context, old, new, changed| alter_index(context, old, new, changed),
    drop: remove,
    online: Online {
        create: |context, o, name| create_key_online(context, o, "PRIMARY KEY", name),
        beside: true,
        before: true,
        ..NOT_ONLINE
    },
    element: Some(|context, o| {
        let whole = !o.flag("clustered") && !o.flag("replica_identity") && !has_twin(context.desired, o);
        whole.then(|| key_element(o, "PRIMARY KEY"))
    }),
    absorbed: Absorbed::Inside,
    spaces: &[Space::Constraint, Space::Relation, Space::PrimaryKey],
    carried: Carried::Always,
    comment: |id| on_table("CONSTRAINT", id),
    effects: super::effects::unidentified,
    renaming: Renaming::Part("TABLE", "CONSTRAINT", false),
    ..BASE
};
