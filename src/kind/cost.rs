//! The fields of a kind's definition, and what a change of each costs.

use crate::catalog::Object;

/// What a change of one field costs.
#[derive(Clone, Copy)]
pub enum Cost {
    /// `alter` writes it in place.
    Alter,
    /// `alter` writes it in place, but what cannot be carried along (views, policies, triggers, ...) is taken down before
    /// and built up after.
    Retype,
    /// Like `Retype` where the function says so, else drop and create.
    RetypeOrReplace(fn(old: &Object, new: &Object) -> bool),
    /// Drop and create.
    Replace,
    /// In place where the function says so, else drop and create.
    AlterOrReplace(fn(old: &Object, new: &Object) -> bool),
    /// Where the function says so, `alter` makes a type anew under its name and moves the columns over to it, with what rests
    /// on them taken down before and built up after; else in place.
    Remake(fn(old: &Object, new: &Object) -> bool),
    /// Like `Retype`; like `Remake` where the function says so and columns of tables hold values of the type.
    RetypeOrRemake(fn(old: &Object, new: &Object) -> bool),
}

/// A field of a kind's definition.
pub struct Field {
    /// The key in the definition.
    pub name: &'static str,
    /// What a change of it costs.
    pub cost: Cost,
    /// Whether it is SQL that the server deparses: two texts of it may mean the same.
    pub expression: bool,
}

/// A field whose change costs `cost`.
pub const fn field(name: &'static str, cost: Cost) -> Field {
    Field { name, cost, expression: false }
}

/// A field that holds deparsed SQL.
pub const fn expression(name: &'static str, cost: Cost) -> Field {
    Field { name, cost, expression: true }
}
