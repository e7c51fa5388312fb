//! What the rows that stand have to be like for a statement to succeed.

use serde::{Deserialize, Serialize};

/// A condition on rows, and the query that finds those that are in the way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCheck {
    /// The condition in words: `every row of public.t has a value in name`.
    pub condition: String,
    /// Gives the number of rows that are in the way and at most three of them by their keys, as `bigint` and `text[]`. It is run read-only.
    pub query: String,
    /// Whether it works out expressions of the wanted schema. Before somebody has approved those, only what the server's own immutable
    /// functions work out is run on the live database: any other function may do anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluates: bool,
}

impl RowCheck {
    /// Rows of `from` (what follows FROM) that fulfil `offending`, by the text that `key` gives.
    pub fn new(condition: impl Into<String>, key: &str, from: &str, offending: &str) -> RowCheck {
        let query = format!(
            "SELECT count(*), coalesce(array_agg(k) FILTER (WHERE n <= 3), '{{}}')\n\
             FROM (SELECT {key} AS k, row_number() OVER () AS n FROM {from} WHERE {offending}) AS found"
        );
        RowCheck { condition: condition.into(), query, evaluates: false }
    }

    /// The same with an expression of the wanted schema in it.
    pub fn evaluating(self) -> RowCheck {
        RowCheck { evaluates: true, ..self }
    }
}
