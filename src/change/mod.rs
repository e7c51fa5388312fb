//! Two catalogs -> what has to happen to each object. Pure; it knows the cost of fields and no kind.

mod compare;
mod partition;
mod rebuild;
mod scope;

pub use compare::{Action, Blocked, Change, Changes, compare, replace};
pub use scope::Scope;
