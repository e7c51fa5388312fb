//! The groups of a plan on the live database: a line for each step, retries while somebody holds a lock, and what was done
//! and what not when it stops.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime};
use unicode_width::UnicodeWidthStr;

use super::failure::Failure;
use super::stop::Wish;
use super::terminal;
use super::watch::Watch;
use super::workspace::Workspace;
use crate::apply::batches::Filled;
use crate::apply::ledger::{Ended, Record};
use crate::apply::run::{COMMIT, LEDGER, NO_LOCK, OVERTAKEN, STOPPED, Settings, StepFailed, is_lost, run_group, stopped};
use crate::exit_code::{ERROR, IN_PART, INTERRUPTED, REFUSED};
use crate::pg::{self, Session};
use crate::plan::text::step_line;
use crate::plan::{Group, Plan, PlanStep, thousands};

/// The pause before the second try, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(16));
/// Columns behind the name of a step: `  done   1234 ms`.
const DONE: usize = 16;
/// How long recording may take after the connection was lost.
const RECORDING: Duration = Duration::from_secs(15);
/// How often a log is told how many rows have their values.
const TELLING: Duration = Duration::from_secs(10);
/// How long asking who blocks may take.
const ASKING: Duration = Duration::from_secs(2);
/// By how much all waits of a group together may be longer than one: others wait behind what it has locked already.
const GRACE: Duration = Duration::from_millis(300);
/// How long a cancelled statement is let clean up before the next request: the first may have come between two statements.
const CANCELLING: Duration = Duration::from_secs(2);
/// The SQLSTATE of a statement that was cancelled.
const CANCELLED: &str = "57014";

/// How a plan is run.
pub struct Run<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its groups that are to be run.
    pub groups: &'a [Group],
    /// What is recorded of it; nothing without a ledger.
    pub record: Option<&'a Record>,
    /// The live database.
    pub session: &'a Session,
    /// How statements run.
    pub settings: Settings<'a>,
    /// Sessions that are idle in a transaction and in the way are ended.
    pub ends_idle: bool,
    /// Where progress goes.
    pub workspace: &'a Workspace,
}

impl Run<'_> {
    /// Runs all groups. Meanwhile signals are heeded after the step, or by cancelling the statement.
    ///
    /// # Errors
    /// What stopped it, with what is done and what not.
    pub async fn all(&self) -> Result<(), Failure> {
        let pid = self.session.client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await;
        let pid = pid.and_then(|row| row.try_get(0)).map_err(|e| Failure::from_server("apply::lock", &e))?;
        self.workspace.stop.at_work(true);
        let outcome = self.one_by_one(&mut Watch::new(pid)).await;
        self.workspace.stop.at_work(false);
        self.workspace.progress.clear();
        outcome
    }

    async fn one_by_one(&self, watch: &mut Watch) -> Result<(), Failure> {
        for group in self.groups {
            if let Err(failed) = self.with_retries(group, watch).await {
                self.workspace.progress.clear();
                let known = self.recorded(group, &failed).await;
                return Err(self.stopped(group, &failed, watch, known));
            }
            self.workspace.applied.set(group.steps.last().map_or(0, |step| step.id));
        }
        Ok(())
    }

    /// Runs a group; when a lock is not to be had it gives way, waits and tries again.
    async fn with_retries(&self, group: &Group, watch: &mut Watch) -> Result<(), StepFailed> {
        let started = Instant::now();
        let (mut pause, mut tries) = (PAUSES.0, 1);
        loop {
            if let Some(step) = group.steps.first().filter(|_| self.to_stop()) {
                return Err(stopped(step));
            }
            let Err(failed) = self.attempt(group, watch).await else { return Ok(()) };
            let wait = jittered(pause);
            let step = group.steps.iter().find(|s| s.id == failed.step);
            match step.filter(|_| self.to_stop() && failed.gives_way()) {
                Some(step) => return Err(stopped(step)),
                None if !failed.gives_way() || started.elapsed() + wait > self.settings.wait => return Err(failed),
                None => tries += 1,
            }
            let next = format!("retry {tries} in {:.1} s", wait.as_secs_f64());
            let name = step.map_or(String::new(), |s| padded(s, self.columns()));
            self.workspace.progress.line(&format!("{name}  waiting for {}   {next}", watch.whom()));
            self.workspace.progress.now(&next);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.workspace.stop.changed() => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn to_stop(&self) -> bool {
        self.workspace.stop.wish() != Wish::GoOn
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// One try. Lines are printed when the group is committed: before that nothing is done.
    async fn attempt(&self, group: &Group, watch: &mut Watch) -> Result<(), StepFailed> {
        let progress = &self.workspace.progress;
        let columns = self.columns();
        let (mut since, mut lines) = (Instant::now(), Vec::new());
        let running = Cell::new(group.steps.first());
        let begin = |step: Option<&PlanStep>| step.iter().for_each(|step| progress.now(&step_line(step, columns)));
        begin(running.get());
        let done = |step: &PlanStep| {
            lines.push(format!("{}  done {:>6} ms", padded(step, columns), since.elapsed().as_millis()));
            since = Instant::now();
            running.set(group.steps.iter().find(|s| s.id > step.id));
            begin(running.get());
            self.go_on()
        };
        let told = Cell::new(Instant::now());
        let tell = |step: &PlanStep, filled: Filled| self.filled(step, filled, &told);
        watch.anew();
        let (mut too_long, mut cancelled) = (false, None);
        let mut outcome = {
            let settings = Settings { tell: Some(&tell), ..self.settings };
            let run = run_group(&self.session.client, group, settings, self.record, done);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    outcome = &mut run => break outcome,
                    () = self.workspace.stop.changed() => self.heard(running.get()),
                    () = tokio::time::sleep(self.interval()) => {
                        tokio::time::timeout(ASKING, self.looked(group, watch)).await.ok();
                        too_long = too_long || watch.waited > self.limit(group);
                    }
                }
                let due = cancelled.is_none_or(|at: Instant| at.elapsed() > CANCELLING);
                if due && (too_long || self.workspace.stop.wish() == Wish::Now) {
                    cancelled = Some(Instant::now());
                    tokio::time::timeout(ASKING, self.session.cancel()).await.ok();
                }
            }
        };
        match &mut outcome {
            Ok(()) => {
                self.workspace.filled.set(None);
                lines.iter().for_each(|line| progress.line(line));
            }
            Err(failed) if too_long && failed.code == CANCELLED => NO_LOCK.clone_into(&mut failed.code),
            Err(failed) if failed.code == STOPPED && !group.transactional => {
                lines.iter().for_each(|line| progress.line(line));
                self.workspace.applied.set(failed.step);
            }
            Err(_) => {}
        }
        outcome
    }

    /// Looks whom the group waits for, says so, and ends them where that is wanted.
    async fn looked(&self, group: &Group, watch: &mut Watch) {
        let before: Vec<i32> = watch.seen.iter().map(|b| b.pid).collect();
        watch.look(self.session, self.record).await;
        if watch.seen.is_empty() {
            return;
        }
        let waiting = format!("waiting for {}", watch.whom());
        // What runs in a transaction gives way soon, and then it is said.
        if !group.transactional && !watch.seen.iter().map(|b| b.pid).eq(before) {
            self.workspace.progress.line(&waiting);
        }
        self.workspace.progress.now(&waiting);
        if self.ends_idle {
            watch.end_idle().await.iter().for_each(|line| self.workspace.progress.line(line));
        }
    }

    /// Says what becomes of a signal.
    fn heard(&self, running: Option<&PlanStep>) {
        let word = self.workspace.stop.word();
        let step = running.map_or("the last step".to_owned(), |step| format!("step {} ({})", step.id, step.object));
        self.workspace.progress.line(&match self.workspace.stop.wish() {
            Wish::GoOn => return,
            Wish::AfterStep => format!("plumb: {word}; it stops after {step}. Once more cancels that"),
            Wish::Now => format!("plumb: {word}; {step} is cancelled"),
        });
    }

    /// How long all waits of a try together may be. What runs outside a transaction keeps nobody else waiting while it waits, and each
    /// batch of rows is a transaction that gives way by itself.
    fn limit(&self, group: &Group) -> Duration {
        if group.steps.iter().any(|step| step.batches.is_some()) {
            return Duration::MAX;
        }
        match self.settings.lock_timeout.filter(|t| group.transactional && !t.is_zero()) {
            Some(timeout) => timeout + GRACE,
            None => self.settings.wait,
        }
    }

    /// How many rows have their values: on a terminal all the time, in a log now and then.
    fn filled(&self, step: &PlanStep, filled: Filled, told: &Cell<Instant>) -> ControlFlow<()> {
        self.workspace.filled.set(Some((step.id, filled.rows)));
        let of = filled.of.map_or(String::new(), |of| format!(" of about {}", thousands(of)));
        let so_far = format!("{} rows{of} have their values", thousands(filled.rows));
        let progress = &self.workspace.progress;
        progress.now(&format!("step {}: {so_far}", step.id));
        if !progress.moves() && told.get().elapsed() >= TELLING {
            told.set(Instant::now());
            progress.line(&format!("step {}: {so_far}", step.id));
        }
        self.go_on()
    }

    /// How often it is looked at who blocks: at least once before a statement gives way.
    fn interval(&self) -> Duration {
        let timeout = self.settings.lock_timeout.filter(|t| !t.is_zero()).unwrap_or(Duration::from_secs(1));
        (timeout / 3).clamp(Duration::from_millis(20), Duration::from_millis(300))
    }

    /// The columns of the names of steps.
    fn columns(&self) -> usize {
        let most = terminal::width(std::io::stderr()).min(100).saturating_sub(DONE).max(20);
        self.plan.steps().map(|s| step_line(s, most).width()).max().unwrap_or(0)
    }

    /// Records what stopped it. When the connection is lost that takes another one, and tells what has become of the group whose
    /// end nobody saw; whether that is known.
    async fn recorded(&self, group: &Group, failed: &StepFailed) -> bool {
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
    fn stopped(&self, group: &Group, failed: &StepFailed, watch: &Watch, known: bool) -> Failure {
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

/// A step's line, filled up to so many columns.
fn padded(step: &PlanStep, columns: usize) -> String {
    let line = step_line(step, columns);
    let gap = columns.saturating_sub(line.width());
    format!("{line}{}", " ".repeat(gap))
}

/// Between half of a pause and the whole: two that wait for each other do not meet again.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
    pause.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}
