//! Who holds the lock that a session waits for.

use std::fmt;
use tokio_postgres::{Error, GenericClient};

/// A session that another one waits for. A role without `pg_read_all_stats` sees only the pid and the role of other roles'
/// sessions.
#[derive(Debug, Clone, PartialEq)]
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
            true => write!(f, "{}", self.pid),
            false => write!(f, "{} ({})", self.pid, known.join(", ")),
        }
    }
}

const QUERY: &str = "SELECT b.pid, a.usename::text, nullif(a.application_name, ''), \
            coalesce(a.state, nullif(a.backend_type, 'client backend')), \
            extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start))::float8 \
       FROM (SELECT DISTINCT unnest(pg_catalog.pg_blocking_pids($1)) AS pid) b \
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY 5 DESC NULLS LAST, 1";

/// The sessions that the one with this process id waits for now, the oldest transaction first.
///
/// # Errors
/// When the server cannot be asked.
pub async fn blockers(client: &impl GenericClient, pid: i32) -> Result<Vec<Blocker>, Error> {
    let rows = client.query(QUERY, &[&pid]).await?;
    let blocker = |row: &tokio_postgres::Row| {
        Ok(Blocker {
            pid: row.try_get(0)?,
            user: row.try_get(1)?,
            application: row.try_get(2)?,
            state: row.try_get(3)?,
            seconds: row.try_get(4)?,
        })
    };
    rows.iter().map(blocker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocker_reads_as_a_sentence_part() {
        let mut blocker = Blocker { pid: 4711, user: None, application: None, state: None, seconds: None };
        assert_eq!(blocker.to_string(), "4711");
        blocker.user = Some("app_user".into());
        blocker.state = Some("idle in transaction".into());
        blocker.seconds = Some(41.2);
        assert_eq!(blocker.to_string(), "4711 (app_user, \"idle in transaction\", 41 s)");
        assert!(Blocker { pid: 0, ..blocker }.to_string().contains("prepared"));
    }
}
