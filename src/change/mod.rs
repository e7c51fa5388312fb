//! Two catalogs -> what has to happen to each object. Pure; it knows the cost of fields and no kind.

mod compare;
mod follow;
mod partition;
mod proposal;
mod quarantine;
mod rebuild;
mod rename;
mod scope;

pub use compare::{Action, Blocked, Change, Changes, compare, replace};
pub use follow::following;
pub use proposal::{Proposal, proposals};
pub use quarantine::{Asides, asides, held};
pub use rename::{Asked, Rename, Wrong, renames};
pub use scope::Scope;
