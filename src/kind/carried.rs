//! What becomes of an object when a column that it uses changes its type.

use super::{Field, of};
use crate::catalog::Object;

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
    &["smallint", "integer", "bigint", "numeric"],
    &["text", "character varying", "character"],
    &["timestamp without time zone", "timestamp with time zone", "date"],
    &["real", "double precision"],
];

/// Whether an expression of the object says more than a column's name: the server writes it anew with casts when a type changes.
fn computes(object: &Object) -> bool {
    let calls = |f: &Field| object.text(f.name).matches('(').count() > usize::from(f.name == "body");
    of(&object.id).fields.iter().any(|f| f.expression && calls(f))
}

/// Whether `dependent` survives, as it is written, that a column changes from `old` to `new`.
pub fn carries(dependent: &Object, old: &Object, new: &Object) -> bool {
    let base = |o: &Object| o.text("type").split('(').next().unwrap_or_default().to_owned();
    let (before, after) = (base(old), base(new));
    let family = before == after || FAMILIES.iter().any(|f| f.contains(&before.as_str()) && f.contains(&after.as_str()));
    match of(&dependent.id).carried {
        Carried::Never => false,
        Carried::Always => before == after || !computes(dependent),
        Carried::WithinFamily => family,
    }
}
