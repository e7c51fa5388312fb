//! How a statement that gives rows their values is cut, so that no transaction holds many rows for long.

use serde::{Deserialize, Serialize};

/// Rows of a batch when nobody says otherwise.
pub const BATCH: u32 = 1000;

/// An UPDATE of all rows of a table that have no value yet in a column, and how they are taken in turn. The statement by itself does
/// all of them at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// The table as a SQL name.
    pub table: String,
    /// The column as a SQL name: rows in which it is NULL are still to be done, unless `left` says more.
    pub column: String,
    /// The columns of the primary key as SQL names, in whose order rows are taken; without them, by their places in the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// How many rows are done in one transaction.
    pub size: u32,
    /// The condition of the rows that are still to be done, where some may stay without a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

impl Batches {
    /// The condition of the rows that are still to be done, as SQL.
    pub fn left(&self) -> String {
        self.left.clone().unwrap_or_else(|| format!("{} IS NULL", self.column))
    }
}
