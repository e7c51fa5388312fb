//! How long a statement of a plan may run, by what its step does to rows: what only changes the catalog under a lock that keeps others
//! out is over at once, or something is wrong.

use std::time::Duration;
use tokio_postgres::Client;

use super::run::{CANCELLED, StepFailed, failed};
use crate::plan::PlanStep;
use crate::statement::LockMode;

/// How long what only changes the catalog may take when nobody says so.
pub const BRIEF: Duration = Duration::from_secs(60);

/// A limit for each kind of step; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// What changes only the catalog, under a lock that keeps others from writing.
    pub brief: Option<Duration>,
    /// What reads all rows of a table.
    pub scan: Option<Duration>,
    /// What writes a table anew.
    pub rewrite: Option<Duration>,
    /// What runs outside of transactions, while others work.
    pub apart: Option<Duration>,
    /// One batch of rows.
    pub batch: Option<Duration>,
}

/// A limit that applies, and its name in plumb.toml.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimit {
    name: &'static str,
    /// None for as long as it takes.
    pub time: Option<Duration>,
}

impl TimeLimits {
    /// The limit of a step's statements.
    pub fn of(&self, step: &PlanStep, transactional: bool) -> TimeLimit {
        let waited_for = || step.locks.iter().any(|lock| lock.mode >= LockMode::Share);
        let (name, time) = if step.batches.is_some() {
            ("batch", self.batch)
        } else if !transactional {
            ("apart", self.apart)
        } else if !step.rewrites.is_empty() {
            ("rewrite", self.rewrite)
        } else if !step.scans.is_empty() || !step.validates.is_empty() {
            ("scan", self.scan)
        } else if waited_for() {
            ("brief", self.brief)
        } else {
            ("", None)
        };
        TimeLimit { name, time }
    }
}

impl TimeLimit {
    /// The statement that sets it, for the transaction or for the session.
    pub fn sql(&self, local: bool) -> String {
        let local = if local { "LOCAL " } else { "" };
        format!("SET {local}statement_timeout = {}", self.time.map_or(0, |time| time.as_millis()))
    }

    /// Sets it where another one is set.
    pub(super) async fn set(self, client: &Client, now: &mut TimeLimit, step: &PlanStep, local: bool) -> Result<(), StepFailed> {
        if self.time != now.time {
            client.batch_execute(&self.sql(local)).await.map_err(|e| failed(step, "SET", &e))?;
        }
        *now = self;
        Ok(())
    }

    /// What a statement that ran for so long before it failed needs to be told of it.
    pub(super) fn told(self, failure: StepFailed, took: Duration) -> StepFailed {
        match self.time {
            Some(time) if failure.code == CANCELLED && took >= time => {
                let (name, seconds) = (self.name, time.as_secs_f64());
                let message = format!(
                    "{}\nHint: it may run for {seconds} s: `{name}` of [statement_timeout] in plumb.toml.",
                    failure.message
                );
                StepFailed { message, ..failure }
            }
            _ => failure,
        }
    }
}
