//! Who holds the lock that a session waits for.

use serde::Serialize;
use std::fmt;
use tokio_postgres::{Client, Error};

/// A session that another one waits for. A role without `pg_read_all_stats` sees only the pid and the role of other roles'
/// sessions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blocker {
    /// Process id of the server process; 0 for a prepared transaction.
    pub pid: i32,
    /// Its role.
    pub user: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// What it does: `idle in transaction`, `active`, or what sort of process it is.
    pub state: Option<String>,
    /// The age of its transaction in seconds.
    pub seconds: Option<f64>,
    /// The beginning of what it runs, or ran last, in one line.
    pub query: Option<String>,
}

impl Blocker {
    /// Whether it holds a transaction open and does nothing.
    pub fn is_idle(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.starts_with("idle in transaction"))
    }

    /// Whether it is an autovacuum that does not give way, since transaction ids are running out (manual: 24.1.5).
    pub fn is_against_wraparound(&self) -> bool {
        self.query.as_ref().is_some_and(|q| q.starts_with("autovacuum:") && q.ends_with("(to prevent wraparound)"))
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("a prepared transaction (see pg_prepared_xacts)");
        }
        let state = self.state.as_ref().map(|state| format!("\"{state}\""));
        let age = self.seconds.map(|seconds| format!("{seconds:.0} s"));
        let known: Vec<String> = [self.user.clone(), self.application.clone(), state, age].into_iter().flatten().collect();
        match known.is_empty() {
            true => write!(f, "{}", self.pid)?,
            false => write!(f, "{} ({})", self.pid, known.join(", "))?,
        }
        match &self.query {
            Some(_) if self.is_against_wraparound() => f.write_str(", which prevents wraparound and does not give way"),
            Some(query) => write!(f, ": {query}"),
            None => Ok(()),
        }
    }
}

/// How much of a query is shown.
const SHOWN: usize = 60;

const QUERY: &str = "SELECT b.pid, a.usename::text, nullif(a.application_name, ''), \
            coalesce(a.state, nullif(a.backend_type, 'client backend')), \
            extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start))::float8, \
            nullif(regexp_replace(a.query, '\\s+', ' ', 'g'), '<insufficient privilege>') \
       FROM (SELECT DISTINCT unnest(pg_catalog.pg_blocking_pids($1)) AS pid) b \
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY 5 DESC NULLS LAST, 1";

/// The sessions that the one with this process id waits for now, the oldest transaction first.
///
/// # Errors
/// When the server cannot be asked.
pub async fn blockers(client: &Client, pid: i32) -> Result<Vec<Blocker>, Error> {
    let rows = client.query(QUERY, &[&pid]).await?;
    let blocker = |row: &tokio_postgres::Row| {
        Ok(Blocker {
            pid: row.try_get(0)?,
            user: row.try_get(1)?,
            application: row.try_get(2)?,
            state: row.try_get(3)?,
            seconds: row.try_get(4)?,
            query: row.try_get::<_, Option<String>>(5)?.as_deref().and_then(shown),
        })
    };
    rows.iter().map(blocker).collect()
}

/// The beginning of a query; a comment of autovacuum's to its end, by which it is known.
fn shown(query: &str) -> Option<String> {
    let query = query.trim();
    let whole = query.chars().count() <= SHOWN || query.starts_with("autovacuum:");
    let text = if whole { query.to_owned() } else { query.chars().take(SHOWN).chain("...".chars()).collect() };
    Some(text).filter(|text| !text.is_empty())
}

/// Ends a session.
///
/// # Errors
/// When this role may not.
pub async fn end_session(client: &Client, pid: i32) -> Result<(), Error> {
    client.query_one("SELECT pg_catalog.pg_terminate_backend($1)", &[&pid]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocker_reads_as_a_sentence_part() {
        let mut blocker = Blocker { pid: 4711, user: None, application: None, state: None, seconds: None, query: None };
        assert_eq!(blocker.to_string(), "4711");
        blocker.user = Some("app_user".into());
        blocker.state = Some("idle in transaction".into());
        blocker.seconds = Some(41.2);
        assert_eq!(blocker.to_string(), "4711 (app_user, \"idle in transaction\", 41 s)");
        blocker.query = shown(" SELECT 1 ");
        assert_eq!(blocker.to_string(), "4711 (app_user, \"idle in transaction\", 41 s): SELECT 1");
        blocker.query = shown("autovacuum: VACUUM public.a_table_with_a_long_name_that_is_not_cut (to prevent wraparound)");
        assert!(blocker.to_string().ends_with("41 s), which prevents wraparound and does not give way"));
        assert_eq!(shown(&"x".repeat(100)).unwrap().len(), SHOWN + 3);
        assert!(Blocker { pid: 0, ..blocker }.to_string().contains("prepared"));
    }
}
