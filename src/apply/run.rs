//! Groups of steps as transactions: what apply does to the live database, and what the proof does to a copy.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::Client;

use crate::plan::sql::SETTINGS;
use crate::plan::{Group, PlanStep};

/// A step that the server refused.
#[derive(Debug, thiserror::Error)]
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
}

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

/// How statements run.
#[derive(Clone, Copy)]
pub struct Settings {
    /// How long a statement may wait for a lock; none for a private copy.
    pub lock_timeout: Option<Duration>,
}

/// The settings of every transaction of a plan: names in plans are qualified, bodies are checked by the proof.
fn preamble(settings: Settings) -> String {
    let timeout = settings.lock_timeout.map_or(0, |t| t.as_millis());
    let all: String = SETTINGS.iter().map(|(name, value)| format!("SET LOCAL {name} = {value}; ")).collect();
    format!("{all}SET LOCAL lock_timeout = {timeout}")
}

fn failed(step: &PlanStep, sql: &str, error: &tokio_postgres::Error) -> StepFailed {
    let (message, code) = server_message(error);
    StepFailed { step: step.id, object: step.object.to_string(), sql: sql.to_owned(), message, code }
}

/// Runs one group; `done` is called after each step. A transactional group leaves nothing behind when it fails.
///
/// # Errors
/// The step that failed and the server's words.
pub async fn run_group(
    client: &Client,
    group: &Group,
    settings: Settings,
    before_commit: Option<&str>,
    mut done: impl FnMut(&PlanStep),
) -> Result<(), StepFailed> {
    let Some(first) = group.steps.first() else { return Ok(()) };
    if !group.transactional {
        let set: String = SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value}; ")).collect();
        let reset: String = SETTINGS.iter().map(|(name, _)| format!("RESET {name}; ")).collect();
        // What waits for all others, as these do, never comes to an end within the time that others may be kept waiting.
        client.batch_execute(&format!("{set}SET lock_timeout = 0")).await.map_err(|e| failed(first, "SET", &e))?;
        let outcome = alone(client, group, done).await;
        client.batch_execute(&format!("{reset}RESET lock_timeout")).await.ok();
        return outcome;
    }
    let begin = format!("BEGIN; {}", preamble(settings));
    client.batch_execute(&begin).await.map_err(|e| failed(first, "BEGIN", &e))?;
    for step in &group.steps {
        for sql in &step.sql {
            if let Err(error) = client.batch_execute(sql).await {
                let failure = failed(step, sql, &error);
                client.batch_execute("ROLLBACK").await.ok();
                return Err(failure);
            }
        }
        done(step);
    }
    let last = group.steps.last().unwrap_or(first);
    let commit = format!("{}COMMIT", before_commit.map_or(String::new(), |s| format!("{s}; ")));
    if let Err(error) = client.batch_execute(&commit).await {
        let failure = failed(last, "COMMIT", &error);
        client.batch_execute("ROLLBACK").await.ok();
        return Err(failure);
    }
    Ok(())
}

/// Runs what may not run in a transaction. An index that could not be built to its end is taken away again.
async fn alone(client: &Client, group: &Group, mut done: impl FnMut(&PlanStep)) -> Result<(), StepFailed> {
    for step in &group.steps {
        let before = unfinished(client, step).await.unwrap_or_default();
        for sql in &step.sql {
            let Err(error) = client.batch_execute(sql).await else { continue };
            let mut failure = failed(step, sql, &error);
            for index in unfinished(client, step).await.unwrap_or_default().difference(&before) {
                failure.message += &match client.batch_execute(&format!("DROP INDEX CONCURRENTLY {index}")).await {
                    Ok(()) => format!("\nThe unfinished index {index} was dropped."),
                    Err(_) => format!("\nThe unfinished index {index} is left: DROP INDEX CONCURRENTLY {index};"),
                };
            }
            return Err(failure);
        }
        done(step);
    }
    Ok(())
}

/// The indexes of the step's relations that are not valid, as SQL names.
async fn unfinished(client: &Client, step: &PlanStep) -> Result<BTreeSet<String>, tokio_postgres::Error> {
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
    let settings = Settings { lock_timeout: None };
    if group.transactional {
        let all: Vec<&str> = group.steps.iter().flat_map(|s| s.sql.iter().map(String::as_str)).collect();
        let batch = format!("BEGIN; {};\n{};\nCOMMIT", preamble(settings), all.join(";\n"));
        if client.batch_execute(&batch).await.is_ok() {
            return Ok(());
        }
        client.batch_execute("ROLLBACK").await.ok();
    }
    run_group(client, group, settings, None, |_| {}).await
}
