//! The names that an object occupies.

use super::of;
use crate::catalog::Object;

/// The names that two objects cannot share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Space {
    /// `pg_class`: schema and name.
    Relation,
    /// `pg_type`: schema and name.
    Type,
    /// `pg_proc`: schema, name and argument types.
    Routine,
    /// `pg_constraint`: table and name.
    Constraint,
    /// The one primary key of a table.
    PrimaryKey,
    /// The bounds of the partitions of one table.
    Bounds,
}

/// The names and other places that an object occupies.
pub fn names(object: &Object) -> Vec<(Space, Vec<String>)> {
    let id = &object.id;
    let schema_and_name = || vec![id.first().to_owned(), id.base().to_owned()];
    // The sequence of an identity column.
    let sequence = object.detail.get("sequence").and_then(|s| serde_json::from_value(s.clone()).ok());
    let own = of(id).spaces.iter().map(|space| match space {
        Space::Relation | Space::Type => (*space, schema_and_name()),
        Space::Routine => (*space, schema_and_name().into_iter().chain(id.args().iter().cloned()).collect()),
        Space::Constraint => (*space, id.name().to_vec()),
        Space::PrimaryKey => (*space, id.name().split_last().map_or(Vec::new(), |(_, table)| table.to_vec())),
        Space::Bounds => (*space, vec![object.text("parent").to_owned()]),
    });
    // The NOT NULL of a column, where somebody has named it.
    let not_null = object.definition.get("not_null_constraint").and_then(|n| n.get("name")?.as_str());
    let not_null = not_null.and_then(|name| Some([id.name().split_last()?.1, &[name.to_owned()]].concat()));
    own.chain(sequence.map(|s| (Space::Relation, s))).chain(not_null.map(|n| (Space::Constraint, n))).collect()
}
