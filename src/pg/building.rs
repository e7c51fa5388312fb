//! How far the building of an index is.

use tokio_postgres::{Client, Error};

/// What a session that builds an index is at (manual: 28.4.4 "CREATE INDEX Progress Reporting").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Building {
    /// The phase in the server's words, such as `building index: scanning table`.
    pub phase: String,
    /// Blocks, rows or sessions of this phase that are done.
    pub done: u64,
    /// How many there are; 0 in phases that count nothing.
    pub total: u64,
}

const QUERY: &str = "SELECT phase, \
            CASE WHEN blocks_total > 0 THEN blocks_done WHEN tuples_total > 0 THEN tuples_done ELSE lockers_done END, \
            CASE WHEN blocks_total > 0 THEN blocks_total WHEN tuples_total > 0 THEN tuples_total ELSE lockers_total END \
       FROM pg_catalog.pg_stat_progress_create_index WHERE pid = $1";

/// How far the session with this process id is with its index; none when it builds none.
///
/// # Errors
/// When the server cannot be asked.
pub async fn building(client: &Client, pid: i32) -> Result<Option<Building>, Error> {
    let Some(row) = client.query_opt(QUERY, &[&pid]).await? else { return Ok(None) };
    let number = |n: usize| row.try_get::<_, Option<i64>>(n).map(|v| u64::try_from(v.unwrap_or(0)).unwrap_or(0));
    Ok(Some(Building { phase: row.try_get(0)?, done: number(1)?, total: number(2)? }))
}
