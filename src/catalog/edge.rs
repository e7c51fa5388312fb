//! What depends on what: the rows of `pg_depend`, joined in memory to addresses.

use serde::{Deserialize, Serialize};

use super::Id;

/// How one object depends on another (`pg_depend.deptype`, manual chapter 52.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dependency {
    /// The dependent must be dropped first.
    Normal,
    /// The dependent goes away together with what it rests on (`a`, `i`, `P`, `S`).
    Auto,
    /// A member that a child table has from its parent: made, altered and dropped through the parent.
    Inherited,
}

/// `dependent` needs `referenced`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The object that needs the other.
    pub dependent: Id,
    /// The object that is needed.
    pub referenced: Id,
    /// How.
    pub dependency: Dependency,
}
