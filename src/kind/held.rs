//! Whose values the columns of tables hold: what has to be carried over when a type is made anew.

use super::waits_as_text;
use crate::catalog::{Catalog, Id, Object};

/// Whether columns of tables hold values of this type, or of one that is made of it.
pub fn is_held(catalog: &Catalog, id: &Id) -> bool {
    let column = |user: &Id| user.class() == "column" && catalog.get(user).is_some_and(|c| is_of_type(c, id));
    catalog.used_by(id).iter().any(|(user, _)| column(user)) || !held_over(catalog, id).is_empty()
}

/// The types that are made of this type or collation and whose values columns hold: they are made anew with it.
pub fn held_over(catalog: &Catalog, id: &Id) -> Vec<Id> {
    // A range type leaves nothing behind that its successor could be made beside.
    let users = catalog.used_by(id).iter().map(|(user, _)| user).filter(|user| !waits_as_text(id) && is_made_of_types(user));
    users.filter(|user| is_held(catalog, user)).cloned().collect()
}

/// Whether it is a type that can be made of others.
pub fn is_made_of_types(id: &Id) -> bool {
    ["composite type", "domain"].contains(&id.class())
}

/// Whether a column's values are of this type, or arrays of it, or sorted by this collation.
pub fn is_of_type(column: &Object, id: &Id) -> bool {
    let field = if id.class() == "collation" { "collation" } else { "type" };
    !column.definition.contains_key("generated") && column.text(field).trim_end_matches("[]") == id.sql()
}
