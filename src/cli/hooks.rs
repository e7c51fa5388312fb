//! `[[hook]]` of plumb.toml: commands and statements before and after a plan.

use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

use super::failure::Failure;
use super::workspace::Workspace;
use crate::apply::run::server_message;
use crate::config::{Action, Hook, Moment};
use crate::exit_code::REFUSED;
use crate::pg::{self, Session};
use crate::plan::{Plan, text};

/// Runs the hooks of a moment, one after another, until one fails.
///
/// # Errors
/// What has failed.
async fn each(moment: Moment, plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), String> {
    for hook in workspace.config.hooks.iter().filter(|hook| hook.when == moment) {
        let name = hook.what.name();
        workspace.progress.line(&format!("hook {}: {}", word(moment), text::one_line(&name)));
        one(hook, plan, session, workspace).await.map_err(|why| format!("hook {} ({name}) {why}", word(moment)))?;
    }
    Ok(())
}

fn word(moment: Moment) -> &'static str {
    match moment {
        Moment::Before => "before",
        Moment::After => "after",
        Moment::Failed => "failed",
    }
}

/// Those before the first step.
///
/// # Errors
/// When one fails: nothing is applied then.
pub async fn before(plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), Failure> {
    each(Moment::Before, plan, session, workspace).await.map_err(|why| {
        Failure::new("apply::hook", format!("{why}\nNothing was applied."))
            .help("mend what the hook complains of, or change it in plumb.toml, and run the same plan again")
            .exit(REFUSED)
    })
}

/// Those after the last step.
///
/// # Errors
/// When one fails: the plan is applied all the same.
pub async fn after(plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), Failure> {
    each(Moment::After, plan, session, workspace).await.map_err(|why| {
        Failure::new("apply::hook", format!("{why}\nThe plan is applied to its end, and the schema is as planned."))
            .help("run by hand what the hook was to do: the same plan has nothing more to apply, and does not run it again")
    })
}

/// Those of a plan that has stopped before its end. One that fails is told beside what has stopped the plan.
pub async fn failed(plan: &Plan, session: &Session, workspace: &Workspace) {
    if let Err(why) = each(Moment::Failed, plan, session, workspace).await {
        workspace.progress.line(&format!("warning: {why}"));
    }
}

async fn one(hook: &Hook, plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), String> {
    let seconds = hook.timeout.as_secs_f64();
    let late = |_| format!("does not come to an end within {seconds} s");
    match &hook.what {
        Action::Command(words) => {
            workspace.progress.clear();
            tokio::time::timeout(hook.timeout, command(words, hook.when, plan, session, workspace)).await.map_err(late)?
        }
        Action::Sql(sql) => {
            let outcome = tokio::time::timeout(hook.timeout + GRACE, statements(sql, hook.timeout, session)).await;
            outcome.map_err(late)?
        }
    }
}

/// What the server is given to say that it has cancelled a statement.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a program. It is killed when its time is over, and when plumb ends.
async fn command(words: &[String], moment: Moment, plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    // Standard output is the result of plumb, and perhaps the machine's.
    let errors = std::io::stderr().as_fd().try_clone_to_owned().map_err(|e| e.to_string())?;
    command.stdout(Stdio::from(errors));
    command
        .env("PLUMB_HOOK", word(moment))
        .env("PLUMB_PLAN", &plan.id)
        .env("PLUMB_DATABASE", &plan.database)
        .env("PLUMB_TARGET", session.target.to_string())
        .env("PLUMB_STEPS", plan.steps().count().to_string())
        .env("PLUMB_APPLIED", workspace.applied.get().to_string());
    let status = command.status().await.map_err(|e| format!("cannot be started: {e}"))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("ends with exit code {code}")),
        None => Err("is ended by a signal".to_owned()),
    }
}

/// Runs statements in a session of their own: what they set is gone with it.
async fn statements(sql: &str, timeout: Duration, session: &Session) -> Result<(), String> {
    let other = pg::connect(&session.target).await.map_err(|e| e.to_string())?;
    let sql = format!("SET statement_timeout = {};\n{sql}", timeout.as_millis());
    let outcome = other.client.batch_execute(&sql).await.map_err(|e| format!("fails: {}", server_message(&e).0));
    other.close().await;
    outcome
}
