//! What a statement does beyond its text.

use serde::{Deserialize, Serialize};

/// How a statement stands to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transaction {
    /// It runs together with others.
    Inside,
    /// It runs inside a transaction, but later statements see it only after the commit.
    CommitAfter,
    /// It runs in a transaction of its own: it takes its time, and nothing else should be locked meanwhile.
    Own,
    /// It cannot run inside a transaction block.
    Alone,
}

/// How far a statement on a relation goes beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// To its DEFAULT partition.
    Default,
    /// To its partitions, and theirs.
    Partitions,
    /// To its partitions and to all that inherits from it.
    Heirs,
}

/// What a change means for people and programs beyond the object itself; `kind` says it from the definitions on both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Somebody may see or do more than before: a sentence.
    GivesRights(String),
    /// Somebody may see or do less than before: a sentence.
    TakesRights(String),
    /// A name that code may use goes away.
    Gone(String),
    /// What code relies on is another: a sentence.
    Strains(String),
    /// Subscribers can no longer tell rows of this table apart.
    Unidentified(String),
}

/// What running the reverse would not bring back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "loses", content = "of", rename_all = "kebab-case")]
pub enum Loss {
    /// All rows of a relation.
    Rows(String),
    /// The values of a column, or parts of them.
    Values(String),
    /// The position of a sequence.
    Position(String),
    /// Whatever an extension keeps.
    Extension(String),
}
