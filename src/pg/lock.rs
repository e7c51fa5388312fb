//! The advisory lock of a database: one plumb at a time changes it.
//!
//! A session-level lock (manual: 13.3.5 "Advisory Locks"), so the server lets go of it when the session ends, however it
//! ends. Behind a pooler in transaction mode it protects nothing; the apply ledger has a lease for that.

use std::fmt;
use std::time::Duration;
use tokio::time::sleep;
use tokio_postgres::{Client, Error};

/// The first half of the lock's key: the ASCII letters `plum`. The second half is the database's oid.
pub const KEY: i32 = i32::from_be_bytes(*b"plum");

/// The oid of the current database as the signed integer that the lock functions take.
const DATABASE_OID: &str =
    "(SELECT oid::bigint::bit(32)::int FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

/// Takes the lock of the current database for this session. False when another session holds it.
///
/// # Errors
/// When the server cannot be asked.
pub async fn try_lock(client: &Client) -> Result<bool, Error> {
    let row = client.query_one(&format!("SELECT pg_catalog.pg_try_advisory_lock({KEY}, {DATABASE_OID})"), &[]).await?;
    row.try_get(0)
}

/// Lets go of the lock. False when this session did not hold it.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unlock(client: &Client) -> Result<bool, Error> {
    let row = client.query_one(&format!("SELECT pg_catalog.pg_advisory_unlock({KEY}, {DATABASE_OID})"), &[]).await?;
    row.try_get(0)
}

/// How long the rest of what a client sends in one piece may take at least before nobody believes in it.
const PIECE: Duration = Duration::from_secs(1);
/// How long the lock of a session that was ended may take to be free.
const FREED: Duration = Duration::from_secs(5);

/// The first half of the key by which a session that holds the lock says after how many seconds of silence it is gone: the second half.
const SILENT: i32 = i32::from_be_bytes(*b"hush");

/// Says that nothing is heard of this session for `silent` only when whoever uses it is gone, for [`take_from_silent`].
///
/// # Errors
/// When the server cannot be asked.
pub async fn is_heard_of(client: &Client, silent: Duration) -> Result<(), Error> {
    let seconds = silent.as_secs();
    client.batch_execute(&format!("SELECT pg_catalog.pg_advisory_lock_shared({SILENT}, {seconds})")).await
}

/// Takes the lock from a session that will never do anything any more: the server has got the beginning of what a client sends in
/// one piece, and long after that still waits for its end. For such a session it has no limit of its own, whatever it says of it
/// (manual: 55.2.3 "Extended Query", `Sync`). One that is idle may be a person's who thinks, unless it was to be heard of; what is under way is
/// waited for as long as it says itself, else for `silent`. Its process id, when it was ended and the lock is held by this session now.
///
/// # Errors
/// When the server cannot be asked, or the role may not end that session.
pub async fn take_from_silent(client: &Client, silent: Duration) -> Result<Option<i32>, Error> {
    let stuck = format!(
        "SELECT a.pid, (CASE a.state WHEN 'active' THEN a.query_start ELSE a.state_change END)::text AS since \
         FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_locks s ON s.pid = a.pid AND s.locktype = 'advisory' AND s.granted \
         AND s.objsubid = 2 AND s.classid = {SILENT} \
         WHERE a.pid IN (SELECT l.pid FROM pg_catalog.pg_locks l WHERE {}) AND a.wait_event = 'ClientRead' \
         AND CASE WHEN a.state = 'active' THEN a.query_start + interval '1 second' * coalesce(s.objid::bigint, {}) \
              WHEN a.state LIKE 'idle in transaction%' THEN a.state_change + interval '1 second' * s.objid::bigint \
              WHEN a.state = 'idle' THEN a.state_change + interval '2 seconds' * s.objid::bigint END < pg_catalog.clock_timestamp()",
        held(),
        silent.as_secs()
    );
    let Some(row) = client.query_opt(&stuck, &[]).await? else { return Ok(None) };
    let (pid, since): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    // Where a statement has only just come to its end, what follows it is there already.
    sleep(PIECE).await;
    let end = format!("SELECT pg_catalog.pg_terminate_backend(pid) FROM ({stuck}) s WHERE pid = $1 AND since = $2");
    if client.query_opt(&end, &[&pid, &since]).await?.is_none() {
        return Ok(None);
    }
    let mut waited = Duration::ZERO;
    while waited < FREED {
        if try_lock(client).await? {
            return Ok(Some(pid));
        }
        waited += FREED / 50;
        sleep(FREED / 50).await;
    }
    Ok(None)
}

/// The lock of the current database among `pg_locks l`.
fn held() -> String {
    format!(
        "l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = {KEY} \
         AND l.objid::bigint::bit(32)::int = {DATABASE_OID} \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
    )
}

/// Who holds the lock, as `pg_stat_activity` shows it. A role without `pg_read_all_stats` sees only the pid and the
/// application of other roles' sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id of the server process.
    pub pid: i32,
    /// Role of the session, when it may be seen.
    pub user: Option<String>,
    /// `application_name` of the session.
    pub application: Option<String>,
    /// Start of the session in UTC, when it may be seen. The server does not record when a lock was taken.
    pub since: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.application.as_deref().unwrap_or("a session"), self.pid)?;
        if let Some(user) = &self.user {
            write!(f, " as {user}")?;
        }
        match &self.since {
            Some(since) => write!(f, ", connected since {since}"),
            None => Ok(()),
        }
    }
}

/// The session that holds the lock of the current database now, if any does.
///
/// # Errors
/// When the server cannot be asked.
pub async fn holder(client: &Client) -> Result<Option<Holder>, Error> {
    let query = format!(
        "SELECT l.pid, a.usename::text, nullif(a.application_name, ''), \
                to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' \
           FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE {}",
        held()
    );
    let Some(row) = client.query_opt(&query, &[]).await? else { return Ok(None) };
    Ok(Some(Holder { pid: row.try_get(0)?, user: row.try_get(1)?, application: row.try_get(2)?, since: row.try_get(3)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_reads_as_a_sentence_part() {
        let mut holder = Holder { pid: 4711, user: None, application: Some("plumb".into()), since: None };
        assert_eq!(holder.to_string(), "plumb (pid 4711)");
        holder.user = Some("deploy".into());
        holder.since = Some("2026-01-02 03:04:05 UTC".into());
        assert_eq!(holder.to_string(), "plumb (pid 4711) as deploy, connected since 2026-01-02 03:04:05 UTC");
    }
}
