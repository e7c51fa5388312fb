//! `[statement_timeout]`: how long a statement of a plan may run.

use serde::Deserialize;
use std::time::Duration;

use super::durations::optional_duration;

/// A duration for each kind of step; `0s` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementTimeout {
    /// What changes only the catalog, under a lock that keeps others from writing: a minute when nobody says so.
    #[serde(default, deserialize_with = "optional_duration")]
    pub brief: Option<Duration>,
    /// What reads all rows of a table.
    #[serde(default, deserialize_with = "optional_duration")]
    pub scan: Option<Duration>,
    /// What writes a table anew.
    #[serde(default, deserialize_with = "optional_duration")]
    pub rewrite: Option<Duration>,
    /// What runs outside of transactions: `CREATE INDEX CONCURRENTLY`.
    #[serde(default, deserialize_with = "optional_duration")]
    pub apart: Option<Duration>,
    /// One batch of rows that are given their values.
    #[serde(default, deserialize_with = "optional_duration")]
    pub batch: Option<Duration>,
}
