//! Writing: a run and its lease, the steps of its groups, and how it ended.

use std::collections::BTreeSet;
use std::time::Instant;
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::LedgerError;
use crate::catalog::Packed;
use crate::plan::{Group, Plan, PlanStep, write};
use crate::sql::literal;

/// How long a run is believed to be at work after it was last heard of.
const BELIEVED: &str = "interval '60 seconds'";
/// Of how many deployments the schema before and after is kept.
const KEPT: i64 = 10;

/// Who applies, as far as the database does not know it.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The user of the operating system.
    pub os_user: Option<String>,
    /// The machine.
    pub host: Option<String>,
    /// The page of the CI job.
    pub ci: Option<String>,
}

/// A step that ran.
pub struct Ran<'a> {
    /// The step.
    pub step: &'a PlanStep,
    /// When it began.
    pub began: Instant,
    /// When it was through.
    pub ended: Instant,
    /// The rows that it changed, when it changes rows.
    pub rows: Option<u64>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With all steps, and the schema is what was planned.
    Done,
    /// With all steps, and the schema is another one.
    Differs,
    /// At a step that the server refused; in one line.
    Failed(String),
    /// Because somebody wanted so.
    Interrupted(String),
}

/// The run that is being recorded, which holds the lease.
#[derive(Clone, Debug)]
pub struct Record {
    /// The deployment that it works at.
    pub deployment: i64,
    /// Its number.
    pub run: i64,
    token: i64,
    /// The last group: with it the deployment is done.
    last: u32,
}

/// Runs `work` in a transaction.
pub(super) async fn transaction<T>(
    client: &Client,
    work: impl AsyncFnOnce() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL search_path = pg_catalog").await?;
    let done = match work().await {
        Ok(result) => client.batch_execute("COMMIT").await.map(|()| result).map_err(LedgerError::from),
        Err(error) => Err(error),
    };
    if done.is_err() {
        client.batch_execute("ROLLBACK").await.ok();
    }
    done
}

/// Who holds the lease. It may seem to be ourselves: a pooler gives several clients the same session in turn.
const LEASE: &str = "SELECT r.id, l.pid, d.plan FROM plumb.lease l JOIN plumb.run r ON r.id = l.run \
     JOIN plumb.deployment d ON d.id = r.deployment \
     WHERE l.renewed > clock_timestamp() - BELIEVED AND EXISTS (SELECT FROM pg_stat_activity a \
     WHERE a.pid = l.pid AND coalesce(a.backend_start = l.backend_start, true))";

/// Closes deployments of which nothing was applied, not even a batch of rows.
const VOID: &str = "UPDATE plumb.deployment d SET state = 'void', ended = clock_timestamp() WHERE state = 'open' AND NOT EXISTS ( \
     SELECT FROM plumb.step s WHERE s.deployment = d.id AND (s.state <> 'failed' OR s.rows > 0))";

/// Makes sure that nobody else holds the lease, and that nobody takes it before this transaction ends. What has stopped without
/// saying so is closed: runs that are lost, deployments of which nothing was applied.
pub(super) async fn take_over(client: &Client) -> Result<(), LedgerError> {
    let locked = client.batch_execute("SELECT FROM plumb.lease FOR UPDATE NOWAIT").await;
    let held = locked.is_err_and(|e| e.code().is_some_and(|c| c.code() == "55P03"));
    if held {
        // The transaction is broken; who it is can be seen after it.
        client.batch_execute("ROLLBACK; BEGIN; SET LOCAL search_path = pg_catalog").await?;
    }
    let lease = LEASE.replace("BELIEVED", BELIEVED);
    if let Some(row) = client.query_opt(&lease, &[]).await? {
        return Err(LedgerError::Busy { run: row.try_get(0)?, pid: row.try_get(1)?, plan: row.try_get(2)? });
    }
    if held {
        return Err(LedgerError::Busy { run: 0, pid: 0, plan: String::new() });
    }
    client.batch_execute(&format!("UPDATE plumb.run SET outcome = 'lost' WHERE outcome IS NULL; {VOID}")).await?;
    Ok(())
}

pub(super) async fn store(client: &Client, snapshot: &Packed) -> Result<(), LedgerError> {
    let there = client.query_opt("SELECT FROM plumb.snapshot WHERE id = $1", &[&snapshot.id]).await?;
    if there.is_none() {
        let insert = "INSERT INTO plumb.snapshot (id, catalog) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&snapshot.id, &snapshot.bytes]).await?;
    }
    Ok(())
}

/// Takes the schemas away that are of no use any more.
pub(super) async fn prune(client: &Client) -> Result<(), LedgerError> {
    let delete = format!(
        "WITH kept AS (SELECT before, after FROM plumb.deployment WHERE state <> 'void' ORDER BY id DESC LIMIT {KEPT}) \
         DELETE FROM plumb.snapshot s WHERE NOT EXISTS (SELECT FROM kept WHERE s.id IN (before, after))"
    );
    client.batch_execute(&delete).await?;
    Ok(())
}

async fn begin_run(client: &Client, deployment: i64, who: &Who) -> Result<i64, LedgerError> {
    let insert = "INSERT INTO plumb.run (deployment, os_user, host, ci, plumb) VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let version = env!("CARGO_PKG_VERSION");
    let row = client.query_one(insert, &[&deployment, &who.os_user, &who.host, &who.ci, &version]).await?;
    Ok(row.try_get(0)?)
}

impl Record {
    /// Begins a run of a plan: of a new deployment from the schema `before`, or of one that was broken off.
    ///
    /// # Errors
    /// When somebody else holds the lease, or the server refuses.
    pub async fn begin(
        client: &Client,
        plan: &Plan,
        before: Option<&Packed>,
        resumed: Option<i64>,
        who: &Who,
    ) -> Result<Record, LedgerError> {
        transaction(client, async || {
            take_over(client).await?;
            let deployment = match resumed {
                Some(deployment) => deployment,
                None => deploy(client, plan, before).await?,
            };
            let run = begin_run(client, deployment, who).await?;
            let take = "UPDATE plumb.lease SET token = token + 1, run = $1, pid = pg_backend_pid(), renewed = clock_timestamp(), \
                 backend_start = (SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()) RETURNING token";
            let token = client.query_one(take, &[&run]).await?.try_get(0)?;
            let last = plan.groups.last().map_or(0, |g| g.id);
            Ok(Record { deployment, run, token, last })
        })
        .await
    }

    /// What each transaction of the plan begins with: it fails when somebody else has taken the lease, and keeps everybody from
    /// taking it until it ends.
    ///
    /// # Errors
    /// When the lease is lost, or the server refuses.
    pub async fn enter(&self, client: &Client) -> Result<(), LedgerError> {
        let answer = client.simple_query(&self.renewal()).await?;
        match answer.iter().any(|m| matches!(m, SimpleQueryMessage::Row(_))) {
            true => Ok(()),
            false => Err(LedgerError::Overtaken),
        }
    }

    fn renewal(&self) -> String {
        format!("UPDATE plumb.lease SET renewed = pg_catalog.clock_timestamp() WHERE token = {} RETURNING token", self.token)
    }

    /// Says from another session that this run is at work; while a transaction of the plan runs that is known anyway.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn renew(&self, other: &Client) -> Result<(), LedgerError> {
        let renew = format!(
            "UPDATE plumb.lease SET renewed = pg_catalog.clock_timestamp() WHERE token IN ( \
             SELECT token FROM plumb.lease WHERE token = {} FOR UPDATE SKIP LOCKED)",
            self.token
        );
        other.batch_execute(&renew).await?;
        Ok(())
    }

    /// What the transaction of a group ends with.
    pub fn leave(&self, group: &Group, ran: &[Ran]) -> String {
        let mut sql: String = ran.iter().map(|ran| self.ran(ran)).collect();
        if group.id == self.last {
            sql += &format!(
                "UPDATE plumb.deployment SET state = 'done', ended = pg_catalog.clock_timestamp() WHERE id = {}; ",
                self.deployment
            );
        }
        sql
    }

    fn ran(&self, ran: &Ran) -> String {
        let now = Instant::now();
        let ago = |at: Instant| {
            format!("pg_catalog.clock_timestamp() - interval '{} microseconds'", now.saturating_duration_since(at).as_micros())
        };
        let rows = ran.rows.map_or("NULL".to_owned(), |n| n.to_string());
        self.step(ran.step, "done", [&ago(ran.began), &ago(ran.ended), &rows, "NULL"])
    }

    /// A row of a step, in the place of one that is there.
    fn step(&self, step: &PlanStep, state: &str, [started, ended, rows, message]: [&str; 4]) -> String {
        format!(
            "INSERT INTO plumb.step (deployment, number, run, object, state, started, ended, rows, message) \
             VALUES ({}, {}, {}, {}, '{state}', {started}, {ended}, {rows}, {message}) ON CONFLICT (deployment, number) \
             DO UPDATE SET run = excluded.run, state = excluded.state, \
             started = coalesce(excluded.started, step.started), ended = excluded.ended, \
             rows = coalesce(excluded.rows, step.rows), message = excluded.message; ",
            self.deployment,
            step.id,
            self.run,
            literal(&step.object.to_string()),
        )
    }

    /// Records that a step begins which runs outside a transaction.
    ///
    /// # Errors
    /// When the lease is lost, or the server refuses.
    pub async fn started(&self, client: &Client, step: &PlanStep) -> Result<(), LedgerError> {
        let now = "pg_catalog.clock_timestamp()";
        let started = self.step(step, "started", [now, "NULL", "NULL", "NULL"]);
        transaction(client, async || {
            self.enter(client).await?;
            Ok(client.batch_execute(&started).await?)
        })
        .await
    }

    /// What the transaction of a batch ends with: so many more rows of a step that has started have their values.
    pub fn filled(&self, step: &PlanStep, rows: u64) -> String {
        format!(
            "UPDATE plumb.step SET rows = coalesce(rows, 0) + {rows} WHERE deployment = {} AND number = {}; ",
            self.deployment, step.id
        )
    }

    /// Records in a transaction of its own that steps are done: those that ran outside of one, or were found done.
    ///
    /// # Errors
    /// When the lease is lost, or the server refuses.
    pub async fn finished(&self, client: &Client, group: &Group, ran: &[Ran<'_>]) -> Result<(), LedgerError> {
        transaction(client, async || {
            self.enter(client).await?;
            Ok(client.batch_execute(&self.leave(group, ran)).await?)
        })
        .await
    }

    /// Records that the server refused a step, and why, in one line.
    ///
    /// # Errors
    /// When the lease is lost, or the server refuses.
    pub async fn failed(&self, client: &Client, step: &PlanStep, why: &str) -> Result<(), LedgerError> {
        let now = "pg_catalog.clock_timestamp()";
        let failed = self.step(step, "failed", ["NULL", now, "NULL", &literal(why)]);
        transaction(client, async || {
            self.enter(client).await?;
            Ok(client.batch_execute(&failed).await?)
        })
        .await
    }

    /// The steps of the deployment that are done.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn done(&self, client: &Client) -> Result<BTreeSet<u32>, LedgerError> {
        let query = "SELECT number FROM plumb.step WHERE deployment = $1 AND state = 'done'";
        let rows = client.query(query, &[&self.deployment]).await?;
        let numbers = rows.iter().map(|row| row.try_get::<_, i32>(0)).collect::<Result<Vec<_>, _>>()?;
        Ok(numbers.into_iter().filter_map(|n| u32::try_from(n).ok()).collect())
    }

    /// Ends the run and gives the lease back. A deployment of which nothing was applied, not even a batch of rows, is void; one that is done gets the schema
    /// that it has led to.
    ///
    /// # Errors
    /// When the lease is lost, or the server refuses.
    pub async fn end(&self, client: &Client, ended: &Ended, after: Option<&Packed>) -> Result<(), LedgerError> {
        let (outcome, message) = match ended {
            Ended::Done => ("done", None),
            Ended::Differs => ("differs", None),
            Ended::Failed(why) => ("failed", Some(why)),
            Ended::Interrupted(why) => ("interrupted", Some(why)),
        };
        transaction(client, async || {
            self.enter(client).await?;
            let run = "UPDATE plumb.run SET ended = clock_timestamp(), outcome = $2, message = $3 WHERE id = $1";
            client.execute(run, &[&self.run, &outcome, &message]).await?;
            if let Some(after) = after {
                store(client, after).await?;
                client.execute("UPDATE plumb.deployment SET after = $2 WHERE id = $1", &[&self.deployment, &after.id]).await?;
            }
            client.execute(&format!("{VOID} AND id = $1"), &[&self.deployment]).await?;
            prune(client).await?;
            client.batch_execute("UPDATE plumb.lease SET run = NULL, pid = NULL, backend_start = NULL").await?;
            Ok(())
        })
        .await
    }
}

/// A new deployment; an older one that is open has been closed by now, or it stands in the way.
async fn deploy(client: &Client, plan: &Plan, before: Option<&Packed>) -> Result<i64, LedgerError> {
    let document = write(plan);
    client
        .execute(
            "INSERT INTO plumb.plan (id, document) VALUES ($1, $2::text::json) ON CONFLICT DO NOTHING",
            &[&plan.id, &document],
        )
        .await?;
    if let Some(before) = before {
        store(client, before).await?;
    }
    let steps = i32::try_from(plan.steps().count()).unwrap_or(i32::MAX);
    let row: Row = client
        .query_one(
            "INSERT INTO plumb.deployment (plan, state, steps, before) VALUES ($1, 'open', $2, $3) RETURNING id",
            &[&plan.id, &steps, &before.map(|b| &b.id)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Closes a deployment that is not to be gone on with, at the schema that is there.
///
/// # Errors
/// When somebody else holds the lease, or the server refuses.
pub async fn abandon(client: &Client, deployment: i64, after: &Packed, who: &Who) -> Result<(), LedgerError> {
    transaction(client, async || {
        take_over(client).await?;
        let run = begin_run(client, deployment, who).await?;
        store(client, after).await?;
        let close = "UPDATE plumb.deployment SET state = 'abandoned', ended = clock_timestamp(), after = $2 WHERE id = $1";
        client.execute(close, &[&deployment, &after.id]).await?;
        let end = "UPDATE plumb.run SET ended = clock_timestamp(), outcome = 'abandoned' WHERE id = $1";
        client.execute(end, &[&run]).await?;
        // Whoever still believes to hold it finds out before it changes anything.
        client.batch_execute("UPDATE plumb.lease SET token = token + 1, run = NULL, pid = NULL, backend_start = NULL").await?;
        Ok(())
    })
    .await
}
