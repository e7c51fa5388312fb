//! A run that has stopped before its end: what is recorded of it, and what a person is told is done and what not.

use std::time::Duration;

use super::failure::Failure;
use super::running::Run;
use super::stop::Wish;
use super::watch::Watch;
use crate::apply::ledger::Ended;
use crate::apply::run::{ASSERTED, CANCELLED, COMMIT, LEDGER, OVERTAKEN, STOPPED, StepFailed, is_lost};
use crate::exit_code::{ERROR, IN_PART, INTERRUPTED, REFUSED};
use crate::pg;
use crate::plan::Group;

/// How long recording may take after the connection was lost.
const RECORDING: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Records what stopped it. When the connection is lost that takes another one, and tells what has become of the group whose
    /// end nobody saw; whether that is known.
    pub(super) async fn recorded(&self, group: &Group, failed: &StepFailed) -> bool {
        let lost = is_lost(&failed.code);
        let Some(record) = self.record else { return !lost };
        if failed.code == OVERTAKEN {
            return true;
        }
        let line = failed.message.lines().next().unwrap_or_default();
        let why = match failed.code.as_str() {
            STOPPED => format!("{} after step {}", self.workspace.stop.word(), self.workspace.applied.get()),
            code => format!("step {}: {line} ({})", failed.step, if lost { "connection lost" } else { code }),
        };
        let work = async {
            let other = if lost { Some(pg::connect(&self.session.target).await.ok()?) } else { None };
            let client = other.as_ref().map_or(&self.session.client, |session| &session.client);
            let step = group.steps.iter().find(|step| step.id == failed.step);
            if let Some(step) = step.filter(|_| !lost && failed.code != STOPPED && !failed.unfinished) {
                record.failed(client, step, line).await.ok()?;
            }
            let ended = if self.interrupted(failed) { Ended::Interrupted(why) } else { Ended::Failed(why) };
            record.end(client, &ended, None).await.ok()?;
            let done = record.done(client).await.ok()?;
            if group.transactional && group.steps.iter().all(|step| done.contains(&step.id)) {
                self.workspace.applied.set(group.steps.last().map_or(0, |step| step.id));
            }
            Some(())
        };
        tokio::time::timeout(RECORDING, work).await.is_ok_and(|done| done.is_some()) && (group.transactional || !lost)
    }

    /// Whether somebody wanted it to stop.
    fn interrupted(&self, failed: &StepFailed) -> bool {
        failed.code == STOPPED || failed.code == CANCELLED && self.workspace.stop.wish() == Wish::Now
    }

    /// What is told when somebody wanted it to stop.
    fn broken_off(&self, failed: &StepFailed, state: String, exit: u8) -> Failure {
        let (applied, all, word) = (self.workspace.applied.get(), self.plan.steps().count(), self.workspace.stop.word());
        let (what, state) = match (failed.code.as_str(), applied) {
            _ if self.workspace.filled.get().is_some() => (
                format!("{word} between two batches of step {} ({})", failed.step, failed.object),
                format!("{}\n{state}", failed.message),
            ),
            (STOPPED, 0) => (word.to_owned(), "Nothing was applied.".to_owned()),
            (STOPPED, 1) => {
                (word.to_owned(), format!("Step 1 of {all} is applied and stays, and nothing of what comes after it."))
            }
            (STOPPED, n) => {
                (word.to_owned(), format!("Steps 1 to {n} of {all} are applied and stay, and nothing of what comes after them."))
            }
            _ => (format!("{word} during step {} ({}): {}", failed.step, failed.object, failed.message), state),
        };
        let filled = self.workspace.filled.get().is_some();
        let exit = if applied == 0 && !filled && (failed.code == STOPPED || exit == ERROR) { INTERRUPTED } else { IN_PART };
        let help = match (exit, self.record) {
            (INTERRUPTED, _) => "the same plan can be applied later".to_owned(),
            (_, Some(_)) => "`plumb apply --resume` goes on; `plumb apply --abandon` closes it as it stands".to_owned(),
            (_, None) => "make a new plan with `plumb plan`: it holds what is left".to_owned(),
        };
        Failure::new("apply::interrupted", format!("{what}\n{state}")).help(help).exit(exit)
    }

    /// What was done and what not.
    pub(super) fn stopped(&self, group: &Group, failed: &StepFailed, watch: &Watch, known: bool) -> Failure {
        let (applied, all) = (self.workspace.applied.get(), self.plan.steps().count());
        let (first, last) = (group.steps.first().map_or(0, |s| s.id), group.steps.last().map_or(0, |s| s.id));
        let (mut exit, mut state) = match applied {
            0 => (ERROR, "Nothing was applied: the transaction was rolled back.".to_owned()),
            n if n == last => (IN_PART, format!("Steps 1 to {n} of {all} are applied and stay: the commit came through.")),
            1 => (IN_PART, format!("Step 1 of {all} is applied and stays; what came after it was rolled back.")),
            n => (IN_PART, format!("Steps 1 to {n} of {all} are applied and stay; what came after them was rolled back.")),
        };
        if failed.sql == COMMIT && !known {
            state = format!("The connection was lost during the commit of steps {first} to {last}: they may be applied or not.");
            exit = IN_PART;
        } else if !group.transactional {
            let before = match self.workspace.applied.get() {
                0 => "No other step is applied".to_owned(),
                1 => format!("Step 1 of {all} is applied and stays"),
                n => format!("Steps 1 to {n} of {all} are applied and stay"),
            };
            state =
                format!("{before}; step {} ran outside a transaction, so what it did before it failed stays too.", failed.step);
            exit = IN_PART;
        }
        if self.workspace.filled.get().is_some() {
            exit = IN_PART;
            state = match applied {
                0 => "No step is applied to its end.".to_owned(),
                n => format!("Steps up to {n} of {all} are applied and stay."),
            };
        }
        if self.interrupted(failed) {
            return self.broken_off(failed, state, exit);
        }
        if failed.gives_way() {
            let what = format!("step {} ({}) does not get its lock: it waits for {}", failed.step, failed.object, watch.whom());
            let left: String = failed.message.lines().skip(1).map(|line| format!("{line}\n")).collect();
            return Failure::new("apply::locked", format!("{what}\n{left}{state}"))
                .help("wait until that session is done, or end it with SELECT pg_terminate_backend(PID); then run the same plan again. --wait sets how long is tried")
                .exit(if exit == ERROR { REFUSED } else { exit });
        }
        if failed.code == OVERTAKEN {
            return Failure::new("apply::busy", format!("{}\n{state}", failed.message))
                .help("look at `plumb history`: the other one goes on where this one has stopped")
                .exit(if exit == ERROR { REFUSED } else { exit });
        }
        if failed.code == ASSERTED {
            return Failure::new("apply::assert", format!("{failed}\n{}\n{state}", failed.sql))
                .help("bring the database to where it is true and run the same plan again; or change the directive, and make a new plan")
                .exit(if exit == ERROR { REFUSED } else { exit });
        }
        let help = match failed.code.as_str() {
            "42501" => format!(
                "{} has no right to do this: the owner of the object has, and every member of that role. The plan has to be made and applied by such a role",
                self.session.user
            ),
            _ if exit == ERROR => "mend the cause and run the same plan again".to_owned(),
            _ if self.record.is_some() => format!(
                "mend the cause and run the same plan again: it goes on {}. Or close it as it stands with `plumb apply --abandon`, and make a new plan of what is left",
                match self.workspace.filled.get() {
                    Some((step, _)) => format!("with the rows that step {step} has not come to"),
                    None => format!("after step {}", self.workspace.applied.get()),
                }
            ),
            _ => "mend the cause and make a new plan with `plumb plan`: it holds what is left".to_owned(),
        };
        let sql = if failed.sql == LEDGER { "(while it was recorded in the ledger)" } else { &failed.sql };
        Failure::new("apply::step", format!("{failed}\n{sql}\n{state}")).help(help).exit(exit)
    }
}
