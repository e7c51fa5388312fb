//! The command line: one file per command, and what they share.

mod abandon;
mod ahead;
mod apply;
mod apply_options;
mod approval;
mod approve;
mod arguments;
mod asked;
mod check;
mod compiled;
mod deployment;
mod diff;
mod drift;
mod drift_options;
mod dump;
mod events;
mod explain;
mod failure;
mod findings;
mod graph;
mod halted;
mod history;
mod hooks;
mod ledger;
mod motion;
mod pace;
mod phased;
mod plan;
mod plan_options;
mod preflight;
mod progress;
mod prove;
mod purge;
mod purge_options;
mod reading;
mod renames;
mod report;
mod resume;
mod reverse;
mod rollback;
mod running;
mod settling;
mod side;
mod snapshot;
mod so_far;
mod stale;
mod stop;
mod terminal;
mod told;
mod verify;
mod watch;
mod watching;
mod workspace;

use clap::Parser;

use arguments::{Arguments, Command};
use events::Event;
use failure::Failure;
use stop::{Received, Signals};
use workspace::Workspace;

use crate::exit_code::{DIFFERENCES, DONE, ERROR, IN_PART, INTERRUPTED};
use crate::shadow;

/// What a command ends with: an exit code, or everything that is wrong.
type Outcome = Result<u8, Failure>;

/// Runs the command line and gives the exit code.
pub fn run() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap's own code for a wrong command line is 2, and that says "differences".
            let code = if error.use_stderr() { ERROR } else { DONE };
            return error.print().map_or(ERROR, |()| code);
        }
    };
    trace(&arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return Failure::new("system::runtime", format!("the runtime does not start: {e}")).show(false),
    };
    let code = runtime.block_on(async {
        let mut workspace = match Workspace::new(&arguments) {
            Ok(workspace) => workspace,
            Err(failure) => return failure.show(arguments.color()),
        };
        let (applied, filled) = (workspace.applied.clone(), workspace.filled.clone());
        let outcome = match until_signal(&arguments, &mut workspace).await {
            Ok(outcome) => outcome,
            Err(signal) => {
                workspace.progress.clear();
                let (state, code) = stopped(&arguments.command, applied.get(), filled.get());
                eprintln!("plumb: {}; {state}.", signal.word());
                Ok(code)
            }
        };
        let end = |exit, error: Option<(String, String)>| {
            let (error, message) = (error.as_ref().map(|e| e.0.as_str()), error.as_ref().map(|e| e.1.as_str()));
            let seconds = workspace.progress.elapsed().as_secs_f64();
            workspace.events.tell(&Event::End { exit, applied: applied.get(), error, message, seconds });
        };
        let code = match outcome {
            Ok(code) => {
                end(code, None);
                code
            }
            Err(failure) => {
                workspace.progress.clear();
                end(failure.exit_code(), failure.first());
                failure.show(arguments.color())
            }
        };
        workspace.close().await;
        if arguments.exit_zero() && code == DIFFERENCES { DONE } else { code }
    });
    shadow::cleanup_all();
    code
}

/// What was done when somebody breaks a command off, and its exit code.
fn stopped(command: &Command, applied: u32, filled: Option<(u32, u64)>) -> (String, u8) {
    if let Some((step, rows)) = filled {
        let before = if applied == 0 { String::new() } else { format!("steps up to {applied} are applied and stay, and ") };
        let on = matches!(command, Command::Apply(options) if !options.no_ledger);
        let next = if on { "; `plumb apply --resume` goes on" } else { "" };
        return (format!("{before}{rows} rows of step {step} have their values and keep them{next}"), IN_PART);
    }
    match (command, applied) {
        (Command::Apply(_), 0) => ("nothing was applied".to_owned(), INTERRUPTED),
        (_, 0) => ("stopped".to_owned(), INTERRUPTED),
        (Command::Apply(options), step) if !options.no_ledger => (
            format!(
                "steps up to {step} are applied and stay, what came after them is rolled back; `plumb apply --resume` goes on"
            ),
            IN_PART,
        ),
        (_, step) => (format!("steps up to {step} are applied and stay, what came after them is rolled back"), IN_PART),
    }
}

/// Warnings of plumb's own modules always; what they do with `-v`, every query with `-vv`.
fn trace(arguments: &Arguments) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => "plumb=error",
        (_, 0) => "plumb=warn",
        (_, 1) => "plumb=info",
        _ => "plumb=debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(arguments.color())
        .without_time()
        .with_target(false);
    subscriber.init();
}

async fn command(arguments: &Arguments, workspace: &mut Workspace) -> Outcome {
    match &arguments.command {
        Command::Plan(options) => plan::run(options, workspace).await,
        Command::Apply(options) => apply::run(options, workspace).await,
        Command::Approve(options) => approve::run(options, workspace).await,
        Command::Drift(options) => drift::run(options, workspace).await,
        Command::Diff(options) => diff::run(options, workspace).await,
        Command::Dump(options) => dump::run(options, workspace).await,
        Command::Snapshot(options) => snapshot::run(options, workspace).await,
        Command::Check(options) => check::run(options, workspace).await,
        Command::Prove(options) => prove::run(options, workspace).await,
        Command::Graph(options) => graph::run(options, workspace).await,
        Command::Explain(options) => explain::run(options, workspace),
        Command::History(options) => history::run(options, workspace).await,
        Command::Rollback(options) => rollback::run(options, workspace).await,
        Command::Watch(options) => watching::run(options, workspace).await,
        Command::Purge(options) => purge::run(options, workspace).await,
        Command::Completions { shell } => {
            use clap::CommandFactory;
            clap_complete::generate(*shell, &mut Arguments::command(), "plumb", &mut std::io::stdout());
            Ok(DONE)
        }
    }
}

/// Runs the command until it is done, or until a signal comes that it does not heed itself.
async fn until_signal(arguments: &Arguments, workspace: &mut Workspace) -> Result<Outcome, Received> {
    let (stop, mut signals) = (workspace.stop.clone(), Signals::new());
    let command = command(arguments, workspace);
    tokio::pin!(command);
    loop {
        tokio::select! {
            outcome = &mut command => return Ok(outcome),
            signal = signals.next() => if !stop.heed(signal) {
                return Err(signal);
            },
        }
    }
}
