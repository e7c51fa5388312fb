//! `[[hook]]` of plumb.toml: commands and statements before and after a plan.

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

use super::failure::Failure;
use super::stop::Wish;
use super::workspace::Workspace;
use crate::apply::run::server_message;
use crate::config::{Action, Hook, Moment};
use crate::exit_code::{INTERRUPTED, REFUSED};
use crate::pg::{self, Session};
use crate::plan::{Plan, text};

/// Runs the hooks of a moment, one after another, until one fails.
///
/// # Errors
/// What has failed.
async fn each(moment: Moment, plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), String> {
    for hook in of(moment, workspace) {
        begins(hook, workspace);
        one(hook, plan, session, workspace).await.map_err(|why| format!("{} {why}", called(hook)))?;
    }
    Ok(())
}

fn of(moment: Moment, workspace: &Workspace) -> impl Iterator<Item = &Hook> {
    workspace.config.hooks.iter().filter(move |hook| hook.when == moment)
}

fn begins(hook: &Hook, workspace: &Workspace) {
    workspace.progress.line(&format!("hook {}: {}", word(hook.when), text::one_line(&hook.what.name())));
}

fn called(hook: &Hook) -> String {
    format!("hook {} ({})", word(hook.when), hook.what.name())
}

fn word(moment: Moment) -> &'static str {
    match moment {
        Moment::Before => "before",
        Moment::After => "after",
        Moment::Failed => "failed",
    }
}

/// Whether there are some before the first step.
pub fn come_before(workspace: &Workspace) -> bool {
    of(Moment::Before, workspace).next().is_some()
}

/// Those before the first step. Signals are heeded after the hook that runs, or by ending it.
///
/// # Errors
/// When one fails, or somebody wants it to stop: nothing is applied then.
pub async fn before(plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), Failure> {
    let stop = &workspace.stop;
    for hook in of(Moment::Before, workspace) {
        begins(hook, workspace);
        let heard = || workspace.progress.line(&format!("{} after {}; once more ends it now", stop.word(), called(hook)));
        let ran = stop.unless_now(one(hook, plan, session, workspace), heard).await;
        let (why, exit) = match ran {
            Some(Err(why)) => (format!("{} {why}", called(hook)), REFUSED),
            Some(Ok(())) if stop.wish() != Wish::GoOn => (format!("{} after {}", stop.word(), called(hook)), INTERRUPTED),
            None => (format!("{} during {}", stop.word(), called(hook)), INTERRUPTED),
            Some(Ok(())) => continue,
        };
        let (code, help) = match exit {
            INTERRUPTED => ("apply::interrupted", "the same plan can be applied later"),
            _ => ("apply::hook", "mend what the hook complains of, or change it in plumb.toml, and run the same plan again"),
        };
        return Err(Failure::new(code, format!("{why}\nNo step was run.")).help(help).exit(exit));
    }
    Ok(())
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

/// Those of a plan that has stopped before its end, or has ended otherwise than planned. One that fails is told beside what has stopped the plan.
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

/// The processes that a hook has started, in a group of their own: a terminal's Ctrl-C is plumb's to heed. They are killed when it is dropped.
struct Processes(Option<Pid>);

impl Drop for Processes {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone by itself.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a program. It is killed with all that it has started when its time is over, and when plumb ends; what it leaves behind when it ends by
/// itself stays.
async fn command(words: &[String], moment: Moment, plan: &Plan, session: &Session, workspace: &Workspace) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
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
    let mut child = command.spawn().map_err(|e| format!("cannot be started: {e}"))?;
    let mut processes = Processes(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let status = child.wait().await.map_err(|e| format!("is lost: {e}"))?;
    processes.0 = None;
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
