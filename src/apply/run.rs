//! Groups of steps as transactions: what apply does to the live database, and what the proof does to a copy.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::assertion::holds;
use super::batches::{Filled, run_batches};
use super::detaching::{self, Standing};
use super::ledger::{LedgerError, Ran, Record};
use super::patience::Patience;
use super::time_limit::{TimeLimit, TimeLimits};
use crate::plan::sql::SETTINGS;
use crate::plan::{Group, PlanStep, reaches_all_rows};
use crate::sql::literal;

/// A step that the server refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("step {step} ({object}) failed: {message}")]
pub struct StepFailed {
    /// The step's number.
    pub step: u32,
    /// Its object.
    pub object: String,
    /// The statement.
    pub sql: String,
    /// The server's message, with detail and hint.
    pub message: String,
    /// The SQLSTATE; empty when the connection broke.
    pub code: String,
    /// Whether something of it is there and unfinished, or may be there to its end.
    pub unfinished: bool,
}

impl StepFailed {
    /// At a statement of a step; nothing unfinished is left of it.
    pub fn new(step: &PlanStep, sql: &str, message: String, code: String) -> StepFailed {
        StepFailed { step: step.id, object: step.object.to_string(), sql: sql.to_owned(), message, code, unfinished: false }
    }

    /// Whether a lock was not to be had, so that another try may help.
    pub fn gives_way(&self) -> bool {
        [NO_LOCK, DEADLOCK].contains(&self.code.as_str())
    }
}

/// The SQLSTATE of a lock that was not to be had.
pub const NO_LOCK: &str = "55P03";
/// The SQLSTATE of a deadlock.
const DEADLOCK: &str = "40P01";

/// The SQLSTATE of a statement that was cancelled, by whomever or for its time (`query_canceled`).
pub const CANCELLED: &str = "57014";

/// What the server says, in full.
pub fn server_message(error: &tokio_postgres::Error) -> (String, String) {
    match error.as_db_error() {
        Some(e) => {
            let mut text = e.message().to_owned();
            text += &e.detail().map_or(String::new(), |d| format!("\n{d}"));
            text += &e.hint().map_or(String::new(), |h| format!("\nHint: {h}"));
            (text, e.code().code().to_owned())
        }
        None => (error.to_string(), String::new()),
    }
}

/// In the place of a statement: the end of a transaction.
pub const COMMIT: &str = "COMMIT";
/// In the place of a statement: what is written into the ledger.
pub const LEDGER: &str = "-- the ledger";
/// In the place of a SQLSTATE: another plumb holds the lease.
pub const OVERTAKEN: &str = "lease";

/// In the place of a SQLSTATE: what has to be true before the step is not.
pub const ASSERTED: &str = "assertion";

/// In the place of a SQLSTATE: somebody wanted the run to stop after the step.
pub const STOPPED: &str = "stopped";

/// Whether this SQLSTATE says that the connection is gone; what is none comes from the client.
pub fn is_lost(code: &str) -> bool {
    code.is_empty() || code.starts_with("57P") || code.starts_with("08")
}

/// Between half of a pause and the whole: two that wait for each other do not meet again.
pub fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + f64::from(chance() % 1000) / 2000.0)
}

/// Another number each time, as good as the clock's.
pub(super) fn chance() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.subsec_nanos())
}

/// What is told how far a step is, and says whether the next batch is wanted.
pub type Telling<'a> = dyn Fn(&PlanStep, Filled) -> ControlFlow<()> + 'a;

/// How statements run.
#[derive(Clone, Copy, Default)]
pub struct Settings<'a> {
    /// How long a statement may wait for a lock; none for a private copy.
    pub lock_timeout: Option<Duration>,
    /// How long a statement may run.
    pub limits: TimeLimits,
    /// How long locks are tried for altogether: for each group, and for each batch of rows.
    pub wait: Duration,
    /// The pause after a batch of rows; a share of the time that it took when nobody says how long.
    pub pause: Option<Duration>,
    /// Whether rows that a policy hides stop what has to reach all of them, instead of being left out. On a copy there are none.
    pub all_rows: bool,
    /// Whether what steps assert is asked. On a copy there are no rows that could answer.
    pub asserts: bool,
    /// Is told how far a step with batches is.
    pub tell: Option<&'a Telling<'a>>,
    /// The short id of the plan, for what notes by which plan it was put aside.
    pub plan: Option<&'a str>,
}

/// What makes the server refuse a statement from whose view a policy hides rows.
pub(super) const ALL_ROWS: &str = "; SET LOCAL row_security = off";

/// The settings of every transaction of a plan: names in plans are qualified, bodies are checked by the proof.
pub(super) fn preamble(settings: Settings) -> String {
    let timeout = settings.lock_timeout.map_or(0, |t| t.as_millis());
    let all: String = SETTINGS.iter().map(|(name, value)| format!("SET LOCAL {name} = {value}; ")).collect();
    let plan = settings.plan.map_or(String::new(), |id| format!("; SET LOCAL plumb.plan = {}", literal(id)));
    format!("{all}SET LOCAL lock_timeout = {timeout}{plan}")
}

pub(super) fn failed(step: &PlanStep, sql: &str, error: &tokio_postgres::Error) -> StepFailed {
    let (message, code) = server_message(error);
    StepFailed::new(step, sql, message, code)
}

/// What could not be recorded; the step is where it happened.
pub(super) fn unrecorded(step: &PlanStep, error: &LedgerError) -> StepFailed {
    let code = match error {
        LedgerError::Server(e) => server_message(e).1,
        _ => OVERTAKEN.to_owned(),
    };
    StepFailed::new(step, LEDGER, error.to_string(), code)
}

/// The step may be there: who goes on has to look.
fn in_doubt(failure: StepFailed) -> StepFailed {
    StepFailed { unfinished: true, ..failure }
}

/// Somebody wanted it to stop: after this step, between two of its batches, or before anything of it.
pub fn stopped(step: &PlanStep) -> StepFailed {
    StepFailed::new(step, "", "it was broken off".to_owned(), STOPPED.to_owned())
}

/// Runs one group; `done` is called after each step, and says whether the next one is to run. A transactional group leaves nothing
/// behind when it fails. What it does is recorded with it: in its own transaction, or before and after what runs outside of one or in
/// batches.
///
/// # Errors
/// The step that failed and the server's words.
pub async fn run_group(
    client: &Client,
    group: &Group,
    settings: Settings<'_>,
    record: Option<&Record>,
    mut done: impl FnMut(&PlanStep) -> ControlFlow<()>,
) -> Result<(), StepFailed> {
    let Some(first) = group.steps.first() else { return Ok(()) };
    if !group.transactional {
        let set: String = SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value}; ")).collect();
        let reset: String = SETTINGS.iter().map(|(name, _)| format!("RESET {name}; ")).collect();
        // What waits for all others, as these do, never comes to an end within the time that others may be kept waiting.
        client.batch_execute(&format!("{set}SET lock_timeout = 0")).await.map_err(|e| failed(first, "SET", &e))?;
        let outcome = alone(client, group, settings, record, done).await;
        client.batch_execute(&format!("{reset}RESET lock_timeout")).await.ok();
        return outcome;
    }
    if let Some(batches) = &first.batches {
        asserted(client, first, settings, false).await?;
        if let Some(record) = record {
            record.started(client, first).await.map_err(|e| unrecorded(first, &e))?;
        }
        let ran = run_batches(client, first, batches, settings, record).await?;
        if let Some(record) = record {
            record.finished(client, group, &[ran]).await.map_err(|e| in_doubt(unrecorded(first, &e)))?;
        }
        // It is the only step of its group.
        let _ = done(first);
        return Ok(());
    }
    let all_rows = settings.all_rows && group.steps.iter().any(reaches_all_rows);
    let begin = format!("BEGIN; {}{}", preamble(settings), if all_rows { ALL_ROWS } else { "" });
    client.batch_execute(&begin).await.map_err(|e| failed(first, "BEGIN", &e))?;
    let ran = match inside(client, group, settings, record, &mut done).await {
        Ok(ran) => ran,
        Err(failure) => {
            client.batch_execute("ROLLBACK").await.ok();
            return Err(failure);
        }
    };
    let last = group.steps.last().unwrap_or(first);
    let commit = format!("{}COMMIT", record.map_or(String::new(), |r| r.leave(group, &ran)));
    if let Err(error) = client.batch_execute(&commit).await {
        let failure = failed(last, COMMIT, &error);
        client.batch_execute("ROLLBACK").await.ok();
        return Err(failure);
    }
    Ok(())
}

/// The steps of a group, in a transaction that has begun.
async fn inside<'a>(
    client: &Client,
    group: &'a Group,
    settings: Settings<'_>,
    record: Option<&Record>,
    done: &mut impl FnMut(&PlanStep) -> ControlFlow<()>,
) -> Result<Vec<Ran<'a>>, StepFailed> {
    if let (Some(record), Some(first)) = (record, group.steps.first()) {
        record.enter(client).await.map_err(|e| unrecorded(first, &e))?;
    }
    let mut patience = Patience::begin(client, group, settings).await?;
    let mut ran = Vec::with_capacity(group.steps.len());
    let mut limit = TimeLimit::default();
    for step in &group.steps {
        settings.limits.of(step, true).set(client, &mut limit, step, true).await?;
        asserted(client, step, settings, true).await?;
        ran.push(execute(client, step, limit, &mut patience).await?);
        if done(step).is_break() && ran.len() < group.steps.len() {
            return Err(stopped(step));
        }
    }
    Ok(ran)
}

/// Asks what a step asserts.
async fn asserted(client: &Client, step: &PlanStep, settings: Settings<'_>, in_transaction: bool) -> Result<(), StepFailed> {
    for query in step.asserts.iter().filter(|_| settings.asserts) {
        if let Err(why) = holds(client, query, in_transaction).await {
            let words = format!("what has to be true before it is not: {why}");
            return Err(StepFailed::new(step, query, words, ASSERTED.to_owned()));
        }
    }
    Ok(())
}

/// Runs the statements of a step within a limit that is set.
async fn execute<'a>(
    client: &Client,
    step: &'a PlanStep,
    limit: TimeLimit,
    patience: &mut Patience,
) -> Result<Ran<'a>, StepFailed> {
    let (began, mut rows) = (Instant::now(), None);
    for sql in &step.sql {
        patience.before(client, step).await?;
        let sent = Instant::now();
        let answer = client.simple_query(sql).await.map_err(|e| limit.told(failed(step, sql, &e), sent.elapsed()))?;
        if ["INSERT ", "UPDATE ", "DELETE ", "MERGE "].iter().any(|word| sql.starts_with(word)) {
            let changed = answer.iter().map(|m| if let SimpleQueryMessage::CommandComplete(n) = m { *n } else { 0 });
            rows = Some(rows.unwrap_or(0) + changed.sum::<u64>());
        }
    }
    Ok(Ran { step, began, ended: Instant::now(), rows })
}

/// Runs what may not run in a transaction. An index that could not be built to its end is taken away again.
async fn alone(
    client: &Client,
    group: &Group,
    settings: Settings<'_>,
    record: Option<&Record>,
    mut done: impl FnMut(&PlanStep) -> ControlFlow<()>,
) -> Result<(), StepFailed> {
    for (n, step) in group.steps.iter().enumerate() {
        let (limit, mut none) = (settings.limits.of(step, false), TimeLimit::default());
        asserted(client, step, settings, false).await?;
        if let Some(record) = record {
            record.started(client, step).await.map_err(|e| unrecorded(step, &e))?;
        }
        let before = invalid_indexes(client, step).await.map_err(|e| in_doubt(failed(step, "", &e)))?;
        limit.set(client, &mut none, step, false).await?;
        let ran = match detaching::of(step) {
            Some((partition, sql)) => detach(client, step, (partition, sql), settings, limit).await,
            None => execute(client, step, limit, &mut Patience::default()).await,
        };
        // Neither what is looked at now nor what is taken away again is under the limit.
        if limit.time.is_some() {
            client.batch_execute("SET statement_timeout = 0").await.ok();
        }
        let ran = match ran {
            Ok(ran) => ran,
            Err(mut failure) => {
                // Where that cannot be asked, as when the cancelling of the statement meets this query, there may be one.
                let Ok(after) = invalid_indexes(client, step).await else { return Err(in_doubt(failure)) };
                for index in after.difference(&before) {
                    let dropped = client.batch_execute(&format!("DROP INDEX CONCURRENTLY {index}")).await;
                    failure.unfinished |= dropped.is_err();
                    failure.message += &match dropped {
                        Ok(()) => format!("\nThe unfinished index {index} was dropped."),
                        Err(_) => format!("\nThe unfinished index {index} is left: DROP INDEX CONCURRENTLY {index};"),
                    };
                }
                return Err(failure);
            }
        };
        if let Some(record) = record {
            record.finished(client, group, &[ran]).await.map_err(|e| in_doubt(unrecorded(step, &e)))?;
        }
        if done(step).is_break() && n + 1 < group.steps.len() {
            return Err(stopped(step));
        }
    }
    Ok(())
}

/// Detaches a partition, or does what is left of that. Whoever uses the partition by its own name waits behind it, so that it gives way as in a
/// transaction; what it has waited for before, it waits for again.
async fn detach<'a>(
    client: &Client,
    step: &'a PlanStep,
    (partition, sql): (&str, &str),
    settings: Settings<'_>,
    limit: TimeLimit,
) -> Result<Ran<'a>, StepFailed> {
    let (began, doubtful) = (Instant::now(), |e| in_doubt(failed(step, sql, &e)));
    let timeout = settings.lock_timeout.map_or(0, |t| t.as_millis());
    client.batch_execute(&format!("SET lock_timeout = {timeout}")).await.map_err(doubtful)?;
    let standing = detaching::standing(client, partition).await.map_err(doubtful)?;
    if let Some(sql) = detaching::left(sql, standing)
        && let Err(e) = client.batch_execute(&sql).await
    {
        let mut failure = limit.told(failed(step, &sql, &e), began.elapsed());
        // Where that cannot be asked, it may be so.
        if detaching::standing(client, partition).await.ok() != Some(Standing::Attached) {
            failure.unfinished = true;
            failure.message += &format!("\n{partition} is detached halfway: queries of its table pass it by.");
        }
        return Err(failure);
    }
    Ok(Ran { step, began, ended: Instant::now(), rows: None })
}

/// The indexes of the step's relations that are not valid, as SQL names.
///
/// # Errors
/// When the server cannot be asked.
pub async fn invalid_indexes(client: &Client, step: &PlanStep) -> Result<BTreeSet<String>, tokio_postgres::Error> {
    let relations: Vec<&str> = step.locks.iter().map(|l| l.relation.as_str()).collect();
    let query = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND i.indrelid = ANY ($1::text[]::regclass[])";
    Ok(client.query(query, &[&relations]).await?.iter().map(|row| row.get(0)).collect())
}

/// Runs a group on a database that nobody else uses, in one round trip; only when that fails step by step, to say which one.
///
/// # Errors
/// The step that failed and the server's words.
pub async fn run_group_fast(client: &Client, group: &Group) -> Result<(), StepFailed> {
    let settings = Settings::default();
    if group.transactional {
        let all: Vec<&str> = group.steps.iter().flat_map(|s| s.sql.iter().map(String::as_str)).collect();
        let batch = format!("BEGIN; {};\n{};\nCOMMIT", preamble(settings), all.join(";\n"));
        if client.batch_execute(&batch).await.is_ok() {
            return Ok(());
        }
        client.batch_execute("ROLLBACK").await.ok();
    }
    // Rows that are not there would make no batch, and nobody would look at the statement.
    let whole = |step: &PlanStep| PlanStep { batches: None, ..step.clone() };
    let group = Group { steps: group.steps.iter().map(whole).collect(), ..group.clone() };
    run_group(client, &group, settings, None, |_| ControlFlow::Continue(())).await
}
