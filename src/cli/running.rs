//! The groups of a plan on the live database: a line for each step, retries while somebody holds a lock, and what was done
//! and what not when it stops.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

use super::events::Event;
use super::failure::Failure;
use super::pace::Pace;
use super::stop::Wish;
use super::terminal;
use super::watch::Watch;
use super::workspace::Workspace;
use crate::apply::batches::Filled;
use crate::apply::ledger::Record;
use crate::apply::run::{CANCELLED, NO_LOCK, STOPPED, Settings, StepFailed, jittered, run_group, stopped};
use crate::pg::Session;
use crate::plan::text::step_line;
use crate::plan::{Group, Plan, PlanStep};

/// The pause before the second try, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(16));
/// Columns behind the name of a step: `  done   1234 ms`.
const DONE: usize = 16;
/// How long asking who blocks may take.
const ASKING: Duration = Duration::from_secs(2);
/// By how much all waits of a group together may be longer than one: others wait behind what it has locked already.
const GRACE: Duration = Duration::from_millis(300);
/// How long a cancelled statement is let clean up before the next request: the first may have come between two statements.
const CANCELLING: Duration = Duration::from_secs(2);

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
        let outcome = self.one_by_one(&mut Watch::new(pid)).await;
        self.workspace.progress.clear();
        outcome
    }

    async fn one_by_one(&self, watch: &mut Watch) -> Result<(), Failure> {
        for group in self.groups {
            if let Err(failed) = self.with_retries(group, watch).await {
                self.workspace.progress.clear();
                self.tell(&Event::Failed {
                    step: failed.step,
                    object: &failed.object,
                    sqlstate: Some(failed.code.as_str()).filter(|code| is_sqlstate(code)),
                    message: &failed.message,
                });
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
            self.tell(&Event::Retry { step: failed.step, attempt: tries, pause: wait.as_secs_f64() });
            self.workspace.progress.now(&next);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.workspace.stop.changed() => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    pub(super) fn tell(&self, event: &Event) {
        self.workspace.events.tell(event);
    }

    fn to_stop(&self) -> bool {
        self.workspace.stop.wish() != Wish::GoOn
    }

    pub(super) fn go_on(&self) -> ControlFlow<()> {
        if self.to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// One try. Lines are printed when the group is committed: before that nothing is done.
    async fn attempt(&self, group: &Group, watch: &mut Watch) -> Result<(), StepFailed> {
        let progress = &self.workspace.progress;
        let columns = self.columns();
        let (mut since, mut lines) = (Instant::now(), Vec::new());
        let running = Cell::new(group.steps.first());
        let pace = Pace::new();
        let begin = |step: Option<&PlanStep>| {
            pace.next();
            if let Some(step) = step {
                progress.now(&step_line(step, columns));
                self.tell(&Event::Started { step: step.id, object: &step.object.to_string() });
            }
        };
        begin(running.get());
        let done = |step: &PlanStep| {
            lines.push((step.id, since.elapsed().as_millis() as u64));
            since = Instant::now();
            running.set(group.steps.iter().find(|s| s.id > step.id));
            begin(running.get());
            self.go_on()
        };
        let tell = |step: &PlanStep, filled: Filled| self.filled(step, filled, &pace);
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
                        tokio::time::timeout(ASKING, self.looked(group, running.get(), watch, &pace)).await.ok();
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
                self.committed(group, &lines);
            }
            Err(failed) if too_long && failed.code == CANCELLED => NO_LOCK.clone_into(&mut failed.code),
            Err(failed) if failed.code == STOPPED && !group.transactional => {
                self.committed(group, &lines);
                self.workspace.applied.set(failed.step);
            }
            Err(_) => {}
        }
        outcome
    }

    /// Says which steps are done, and how many milliseconds each has taken.
    fn committed(&self, group: &Group, steps: &[(u32, u64)]) {
        let columns = self.columns();
        for (id, milliseconds) in steps {
            for step in group.steps.iter().filter(|step| step.id == *id) {
                self.workspace.progress.line(&format!("{}  done {milliseconds:>6} ms", padded(step, columns)));
            }
            self.tell(&Event::Done { step: *id, milliseconds: *milliseconds });
        }
    }

    /// Looks whom the group waits for, says so, and ends them where that is wanted; how far the step is when it waits for nobody.
    async fn looked(&self, group: &Group, step: Option<&PlanStep>, watch: &mut Watch, pace: &Pace) {
        let before: Vec<i32> = watch.seen.iter().map(|b| b.pid).collect();
        let waits = watch.look(self.session, self.record).await;
        if let Some(step) = step.filter(|step| !waits && step.batches.is_none()) {
            match watch.building().await {
                Some(building) => self.built(step, &building, pace),
                None => self.works(step, watch.reading(step).await, pace),
            }
        }
        if watch.seen.is_empty() {
            return;
        }
        if let Some(step) = step.filter(|_| waits && !watch.seen.iter().map(|b| b.pid).eq(before.iter().copied())) {
            self.tell(&Event::Waiting { step: step.id, blockers: &watch.seen });
        }
        if !waits {
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
}

/// Whether the server has said it, and not plumb in its place.
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// A step's line, filled up to so many columns.
fn padded(step: &PlanStep, columns: usize) -> String {
    let line = step_line(step, columns);
    let gap = columns.saturating_sub(line.width());
    format!("{line}{}", " ".repeat(gap))
}
