//! Reading: what is unfinished, what was applied last, and everything that ever ran.

use serde::Serialize;
use std::collections::BTreeSet;
use tokio_postgres::Client;

use super::LedgerError;
use crate::catalog::{Catalog, unpack};
use crate::plan::{Plan, read};

/// A deployment that was broken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: i64,
    /// The id of its plan.
    pub plan: String,
    /// How many steps the plan has.
    pub steps: u32,
    /// Those that are done.
    pub done: BTreeSet<u32>,
    /// Those that began outside a transaction, and of which it is not known how they ended.
    pub in_doubt: BTreeSet<u32>,
    /// Rows that have got their values from a step which is not done.
    pub filled: u64,
    /// The schema that it began with, when that is kept.
    pub before: Option<String>,
}

impl Deployment {
    /// The first step that is not done.
    pub fn next(&self) -> u32 {
        (1..=self.steps).find(|step| !self.done.contains(step)).unwrap_or(self.steps)
    }
}

/// The deployment that is open, if anything of it was applied.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unfinished(client: &Client) -> Result<Option<Deployment>, LedgerError> {
    let query = "SELECT d.id, d.plan, d.steps, d.before, \
         ARRAY(SELECT s.number FROM plumb.step s WHERE s.deployment = d.id AND s.state = 'done'), \
         ARRAY(SELECT s.number FROM plumb.step s WHERE s.deployment = d.id AND s.state = 'started'), \
         (SELECT coalesce(sum(s.rows), 0)::bigint FROM plumb.step s WHERE s.deployment = d.id AND s.state <> 'done') \
         FROM plumb.deployment d WHERE d.state = 'open'";
    let Some(row) = client.query_opt(query, &[]).await? else { return Ok(None) };
    let numbers = |at: usize| -> Result<BTreeSet<u32>, LedgerError> {
        Ok(row.try_get::<_, Vec<i32>>(at)?.into_iter().filter_map(|n| u32::try_from(n).ok()).collect())
    };
    let steps = u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or_default();
    let (done, in_doubt) = (numbers(4)?, numbers(5)?);
    let filled = u64::try_from(row.try_get::<_, i64>(6)?).unwrap_or_default();
    // A step that failed after some of its batches has done something, too.
    let begun = !done.is_empty() || !in_doubt.is_empty() || filled > 0;
    let (id, plan, before) = (row.try_get(0)?, row.try_get(1)?, row.try_get(3)?);
    Ok(begun.then_some(Deployment { id, plan, steps, done, in_doubt, filled, before }))
}

/// Whether a run was heard of within the last minute and has not ended: what a standby can know.
///
/// # Errors
/// When the server cannot be asked.
pub async fn running(client: &Client) -> Result<Option<String>, LedgerError> {
    let query = "SELECT d.plan FROM plumb.lease l JOIN plumb.run r ON r.id = l.run JOIN plumb.deployment d ON d.id = r.deployment \
         WHERE r.outcome IS NULL AND l.renewed > pg_catalog.clock_timestamp() - interval '60 seconds'";
    Ok(client.query_opt(query, &[]).await?.map(|row| row.try_get(0)).transpose()?)
}

/// The number of the last run, whether it is at work, has ended, or was lost.
///
/// # Errors
/// When the server cannot be asked.
pub async fn last_run(client: &Client) -> Result<Option<i64>, LedgerError> {
    Ok(client.query_one("SELECT max(id) FROM plumb.run", &[]).await?.try_get(0)?)
}

/// The document of a plan.
///
/// # Errors
/// When it is not there, or cannot be read.
pub async fn document(client: &Client, plan: &str) -> Result<Plan, LedgerError> {
    let row = client.query_one("SELECT document::text FROM plumb.plan WHERE id = $1", &[&plan]).await?;
    read(row.try_get(0)?).map_err(|e| LedgerError::Unreadable { what: "a plan", why: e.to_string() })
}

/// A schema that is kept.
///
/// # Errors
/// When it cannot be read.
pub async fn snapshot(client: &Client, id: &str) -> Result<Option<Catalog>, LedgerError> {
    let row = client.query_opt("SELECT catalog FROM plumb.snapshot WHERE id = $1", &[&id]).await?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = |why: String| LedgerError::Unreadable { what: "a snapshot", why };
    unpack(row.try_get(0)?).map(Some).map_err(unreadable)
}

/// What was applied last: to its end, or as far as it came before it was abandoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The deployment's number.
    pub id: i64,
    /// The id of its plan.
    pub plan: String,
    /// Whether it was abandoned.
    pub abandoned: bool,
    /// The schema before it, when that is kept.
    pub before: Option<String>,
    /// The schema after it, when that is kept.
    pub after: Option<String>,
    /// When it ended, in UTC.
    pub ended: String,
}

/// What was applied last.
///
/// # Errors
/// When the server cannot be asked.
pub async fn last_applied(client: &Client) -> Result<Option<Applied>, LedgerError> {
    let query = format!(
        "SELECT d.id, d.plan, d.state = 'abandoned', d.before, d.after, {} FROM plumb.deployment d \
         WHERE d.state IN ('done', 'abandoned') ORDER BY d.id DESC LIMIT 1",
        utc("d.ended")
    );
    let Some(row) = client.query_opt(&query, &[]).await? else { return Ok(None) };
    Ok(Some(Applied {
        id: row.try_get(0)?,
        plan: row.try_get(1)?,
        abandoned: row.try_get(2)?,
        before: row.try_get(3)?,
        after: row.try_get(4)?,
        ended: row.try_get(5)?,
    }))
}

/// A time as text, in UTC.
fn utc(column: &str) -> String {
    format!("pg_catalog.to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'")
}

/// One run, as `plumb history` tells of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its number.
    pub run: i64,
    /// The deployment that it worked at.
    pub deployment: i64,
    /// The id of the plan.
    pub plan: String,
    /// How the deployment stands: `open`, `done`, `void` or `abandoned`.
    pub state: String,
    /// How the run ended; nothing while it runs.
    pub outcome: Option<String>,
    /// What stopped it.
    pub message: Option<String>,
    /// The steps that this run has done.
    pub steps_done: i64,
    /// All steps of the deployment that are done.
    pub steps_done_in_all: i64,
    /// The steps of the plan.
    pub steps: i32,
    /// The rows that its steps have changed.
    pub rows: Option<i64>,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC; nothing when it runs or was killed.
    pub ended: Option<String>,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// The role that it worked as.
    pub role: String,
    /// The role that it logged in as.
    pub login: String,
    /// The user of the operating system.
    pub os_user: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The page of the CI job.
    pub ci: Option<String>,
    /// The version of plumb.
    pub plumb: String,
}

/// The last runs, the newest first.
///
/// # Errors
/// When the server cannot be asked.
pub async fn entries(client: &Client, most: i64) -> Result<Vec<Entry>, LedgerError> {
    let query = format!(
        "SELECT r.id, d.id, d.plan, d.state, r.outcome, r.message, \
         (SELECT count(*) FROM plumb.step s WHERE s.run = r.id AND s.state = 'done'), \
         (SELECT count(*) FROM plumb.step s WHERE s.deployment = d.id AND s.state = 'done'), d.steps, \
         (SELECT sum(s.rows)::bigint FROM plumb.step s WHERE s.run = r.id), {}, {}, \
         extract(epoch FROM r.ended - r.started)::float8, r.role, r.login, r.os_user, r.host, r.ci, r.plumb \
         FROM plumb.run r JOIN plumb.deployment d ON d.id = r.deployment ORDER BY r.id DESC LIMIT $1",
        utc("r.started"),
        utc("r.ended")
    );
    let rows = client.query(&query, &[&most]).await?;
    let entry = |row: &tokio_postgres::Row| -> Result<Entry, tokio_postgres::Error> {
        Ok(Entry {
            run: row.try_get(0)?,
            deployment: row.try_get(1)?,
            plan: row.try_get(2)?,
            state: row.try_get(3)?,
            outcome: row.try_get(4)?,
            message: row.try_get(5)?,
            steps_done: row.try_get(6)?,
            steps_done_in_all: row.try_get(7)?,
            steps: row.try_get(8)?,
            rows: row.try_get(9)?,
            started: row.try_get(10)?,
            ended: row.try_get(11)?,
            seconds: row.try_get(12)?,
            role: row.try_get(13)?,
            login: row.try_get(14)?,
            os_user: row.try_get(15)?,
            host: row.try_get(16)?,
            ci: row.try_get(17)?,
            plumb: row.try_get(18)?,
        })
    };
    Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
}
