//! Poolers that give each transaction another session of the server (PgBouncer's `pool_mode = transaction`). plumb pins what its
//! session reads and takes locks in it; there the settings would stay behind for whoever comes next, and the locks would be
//! anybody's. So such a line is refused before anything is set.
//!
//! A session of one's own has the setting that was asked for when it began. Poolers refuse that request, or forget it; only then
//! it is found out in which way they pool.

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// The setting that a session of our own has, and its value.
pub(super) const MARK: (&str, &str) = ("plumb.session", "own");

/// SQLSTATEs of poolers that take no options of a session: protocol violation, feature not supported.
const REFUSALS: &[&str] = &["08P01", "0A000"];

/// How often it is tried whether somebody else gets our session.
const TRIES: usize = 5;

/// Whether what answered does not take settings for the session that begins.
pub(super) fn refuses_settings(error: &Error) -> bool {
    error.code().is_some_and(|code| REFUSALS.contains(&code.code()))
}

/// Whether the second client, while it is in a transaction, has the server's session that the first one had, or takes it from it.
///
/// # Errors
/// When the line is lost.
pub(super) async fn shares(first: &Client, second: &Client) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let before = pid(first, "SELECT pg_catalog.pg_backend_pid()").await?;
        let other = pid(second, "BEGIN; SELECT pg_catalog.pg_backend_pid()").await?;
        let after = pid(first, "SELECT pg_catalog.pg_backend_pid()").await?;
        second.batch_execute("ROLLBACK").await?;
        if other == before || after != before {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn pid(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    let answer = client.simple_query(sql).await?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { row.get(0).map(str::to_owned) } else { None };
    Ok(answer.into_iter().find_map(row))
}
