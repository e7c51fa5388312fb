//! What becomes of an object when a column that it uses changes its type.

use super::{Cost, Field, is_held, is_of_type, of};
use crate::catalog::{Catalog, Id, Object};

/// How an object takes a change of type of a column that it uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The server refuses the change while the object stands.
    Never,
    /// The server rebuilds it.
    Always,
    /// The server rebuilds it as long as the new type compares with the old one.
    WithinFamily,
}

/// Types that compare with each other, so that a foreign key survives while only one of its sides has changed.
const FAMILIES: &[&[&str]] = &[
    &["smallint", "integer", "bigint"],
    &["text", "character varying", "character"],
    &["timestamp without time zone", "timestamp with time zone", "date"],
    &["real", "double precision"],
];

/// Whether an expression of the object says more than a column's name: the server writes it anew with casts when a type changes.
fn computes(object: &Object) -> bool {
    let calls = |f: &Field| object.text(f.name).matches('(').count() > usize::from(f.name == "body");
    of(&object.id).fields.iter().any(|f| f.expression && calls(f))
}

/// Whether the server, when it rebuilds the object, forgets something of it: the statistics targets of an index.
pub fn forgets(object: &Object) -> bool {
    object.id.class() == "index" && object.definition.contains_key("statistics")
}

/// Whether `dependent` survives, as it is written, that a column changes from `old` to `new`.
pub fn carries(dependent: &Object, old: &Object, new: &Object) -> bool {
    let base = |o: &Object| o.text("type").split('(').next().unwrap_or_default().to_owned();
    let (before, after) = (base(old), base(new));
    let family = before == after || FAMILIES.iter().any(|f| f.contains(&before.as_str()) && f.contains(&after.as_str()));
    match of(&dependent.id).carried {
        Carried::Never => false,
        Carried::Always => (before == after || !computes(dependent)) && !forgets(dependent),
        // Where it compares enums, arrays or ranges too, the server looks for a cast to `anyenum` and finds none.
        Carried::WithinFamily => family && !dependent.detail.contains_key("polymorphic"),
    }
}

/// Whether a type or collation is made anew under its name.
pub fn is_remade(live: &Catalog, old: &Object, new: &Object) -> bool {
    let kind = of(&old.id);
    old.changed_fields(new).iter().any(|field| match kind.field(field).map(|f| f.cost) {
        Some(Cost::Remake(must)) => must(old, new),
        Some(Cost::RetypeOrRemake(must)) => must(old, new) && is_held(live, &old.id),
        _ => false,
    })
}

/// Whether a column passes from the type `from` to another one while both are made anew: it waits as text, for neither is the
/// first.
pub fn passes_over(live: &Catalog, desired: &Catalog, column: &Id, from: &Id) -> bool {
    let (Some(old), Some(new)) = (live.get(column), desired.get(column)) else { return false };
    let remade = |id: &Id| match (live.get(id), desired.get(id)) {
        (Some(old), Some(new)) => is_remade(live, old, new),
        _ => false,
    };
    let leaves = column.class() == "column" && from.class() != "collation" && is_of_type(old, from) && !is_of_type(new, from);
    leaves && remade(from) && desired.uses(column).iter().any(|(to, _)| is_of_type(new, to) && remade(to))
}
