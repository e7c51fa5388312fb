//! The standbys that follow a server, and what a plan means for those who read on them: an ACCESS EXCLUSIVE lock is replayed there, and
//! waits for the queries that are in its way, or ends them.

use std::collections::BTreeSet;
use tokio_postgres::{Client, Error};

use crate::plan::{Group, count, thousands};
use crate::statement::LockMode;

/// Replay that is so far behind is held up by something, seconds.
const BEHIND: f64 = 30.0;

/// Transactions that a reader is behind, from which on he has read for long.
const LONG: i64 = 10_000;

/// One standby (`pg_stat_replication`; what the role may not see of it is none).
#[derive(Clone, Debug, PartialEq)]
pub struct Standby {
    /// `application_name`.
    pub name: Option<String>,
    /// How far replay is behind, seconds.
    pub behind: Option<f64>,
    /// How many transactions ago the oldest of its readers began, where it tells (`hot_standby_feedback`).
    pub reading_since: Option<i64>,
}

/// Those that are connected: physical ones, since what follows logically replays no locks.
///
/// # Errors
/// When the server cannot be asked.
pub async fn standbys(client: &Client) -> Result<Vec<Standby>, Error> {
    let query = "SELECT nullif(r.application_name, '')::text, extract(epoch FROM r.replay_lag)::float8, age(r.backend_xmin)::int8 \
         FROM pg_catalog.pg_stat_replication r JOIN pg_catalog.pg_stat_activity a USING (pid) \
         WHERE a.datid IS NULL AND coalesce(r.state, '') <> 'backup' ORDER BY 1";
    let rows = client.query(query, &[]).await?;
    Ok(rows.iter().map(|r| Standby { name: r.get(0), behind: r.get(1), reading_since: r.get(2) }).collect())
}

/// What groups of a plan mean for those who read on the standbys; none where it is nothing.
pub fn conflicts(groups: &[Group], standbys: &[Standby]) -> Option<String> {
    let steps = || groups.iter().flat_map(|g| &g.steps);
    let locked = steps().flat_map(|s| &s.locks).filter(|lock| lock.mode == LockMode::AccessExclusive);
    let relations: BTreeSet<&str> = locked.map(|lock| lock.relation.as_str()).collect();
    let first = relations.first().filter(|_| !standbys.is_empty())?;
    let others = match relations.len() - 1 {
        0 => String::new(),
        n => format!(" and {}", count(n, "other relation")),
    };
    let names: Vec<&str> = standbys.iter().filter_map(|s| s.name.as_deref()).collect();
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let follow = if standbys.len() == 1 { "follows" } else { "follow" };
    let mut text = format!(
        "{}{names} {follow} this server, and what is locked ACCESS EXCLUSIVE here is so there: whoever reads {first}{others} there holds replay \
         up, or is ended after max_standby_streaming_delay.",
        count(standbys.len(), "standby"),
    );
    for standby in standbys {
        let name = standby.name.as_deref().unwrap_or("One of them");
        if let Some(age) = standby.reading_since.filter(|age| *age >= LONG) {
            text += &format!(" {name} tells of somebody who has read for {} transactions.", thousands(age.unsigned_abs()));
        }
        if let Some(seconds) = standby.behind.filter(|seconds| *seconds >= BEHIND) {
            text += &format!(" {name} is {seconds:.0} s behind already.");
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_standby_or_no_lock_is_not_worth_a_word() {
        let one = Standby { name: None, behind: None, reading_since: None };
        assert_eq!(conflicts(&[], &[one]), None);
        assert_eq!(conflicts(&[], &[]), None);
    }
}
