//! The groups of a plan on the live database: a line for each step, retries while somebody holds a lock, and what was done
//! and what not when it stops.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};
use unicode_width::UnicodeWidthStr;

use super::failure::Failure;
use super::terminal;
use super::workspace::Workspace;
use crate::apply::batches::Filled;
use crate::apply::ledger::{Ended, Record};
use crate::apply::run::{COMMIT, LEDGER, OVERTAKEN, Settings, StepFailed, is_lost, run_group};
use crate::exit_code::{ERROR, IN_PART, REFUSED};
use crate::pg::{self, Blocker, Session, blockers};
use crate::plan::text::step_line;
use crate::plan::{Group, Plan, PlanStep, thousands};

/// How often it is said that a run is at work.
const RENEWING: Duration = Duration::from_secs(10);
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
    /// How long locks are tried for altogether, for each group.
    pub wait: Duration,
    /// Where progress goes.
    pub workspace: &'a Workspace,
}

/// Looks from a second session at whom the first one waits for; that one is made when it is first needed.
struct Watch {
    pid: i32,
    session: Option<Session>,
    seen: Vec<Blocker>,
    /// When it was last said that this run is at work.
    renewed: Instant,
}

impl Watch {
    async fn look(&mut self, of: &Session, record: Option<&Record>) {
        if self.session.is_none() {
            self.session = pg::connect(&of.target).await.ok();
        }
        let Some(session) = &self.session else { return };
        if let Some(record) = record.filter(|_| self.renewed.elapsed() > RENEWING) {
            record.renew(&session.client).await.ok();
            self.renewed = Instant::now();
        }
        if let Ok(found) = blockers(&session.client, self.pid).await
            && !found.is_empty()
        {
            self.seen = found;
        }
    }

    /// Whom we wait for, or waited for when we were last looking.
    fn whom(&self) -> String {
        let all: Vec<String> = self.seen.iter().take(3).map(ToString::to_string).collect();
        if all.is_empty() { "a lock".to_owned() } else { all.join(" and ") }
    }
}

impl Run<'_> {
    /// Runs all groups.
    ///
    /// # Errors
    /// What stopped it, with what is done and what not.
    pub async fn all(&self) -> Result<(), Failure> {
        let pid = self.session.client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await;
        let pid = pid.and_then(|row| row.try_get(0)).map_err(|e| Failure::from_server("apply::lock", &e))?;
        let mut watch = Watch { pid, session: None, seen: Vec::new(), renewed: Instant::now() };
        for group in self.groups {
            if let Err(failed) = self.with_retries(group, &mut watch).await {
                self.workspace.progress.clear();
                let known = self.recorded(group, &failed).await;
                return Err(self.stopped(group, &failed, &watch, known));
            }
            self.workspace.applied.set(group.steps.last().map_or(0, |step| step.id));
        }
        self.workspace.progress.clear();
        Ok(())
    }

    /// Runs a group; when a lock is not to be had it gives way, waits and tries again.
    async fn with_retries(&self, group: &Group, watch: &mut Watch) -> Result<(), StepFailed> {
        let started = Instant::now();
        let (mut pause, mut tries) = (PAUSES.0, 1);
        loop {
            watch.seen.clear();
            let outcome = self.attempt(group, watch).await;
            let Err(failed) = outcome else { return Ok(()) };
            let wait = jittered(pause);
            if !gives_way(&failed) || started.elapsed() + wait > self.wait {
                return Err(failed);
            }
            tries += 1;
            let next = format!("retry {tries} in {:.1} s", wait.as_secs_f64());
            let step = group.steps.iter().find(|s| s.id == failed.step);
            let name = step.map_or(String::new(), |s| padded(s, self.columns()));
            self.workspace.progress.line(&format!("{name}  waiting for {}   {next}", watch.whom()));
            self.workspace.progress.now(&next);
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One try. Lines are printed when the group is committed: before that nothing is done.
    async fn attempt(&self, group: &Group, watch: &mut Watch) -> Result<(), StepFailed> {
        let progress = &self.workspace.progress;
        let columns = self.columns();
        let (mut since, mut lines) = (Instant::now(), Vec::new());
        let mut next = group.steps.iter();
        let mut begin = move || next.next().iter().for_each(|step| progress.now(&step_line(step, columns)));
        begin();
        let done = |step: &PlanStep| {
            lines.push(format!("{}  done {:>6} ms", padded(step, columns), since.elapsed().as_millis()));
            since = Instant::now();
            begin();
        };
        let told = Cell::new(Instant::now());
        let tell = |step: &PlanStep, filled: Filled| self.filled(step, filled, &told);
        let outcome = {
            let settings = Settings { tell: Some(&tell), ..self.settings };
            let run = run_group(&self.session.client, group, settings, self.record, done);
            tokio::pin!(run);
            loop {
                tokio::select! {
                    outcome = &mut run => break outcome,
                    () = tokio::time::sleep(self.interval()) => {
                        tokio::time::timeout(ASKING, watch.look(self.session, self.record)).await.ok();
                        if !watch.seen.is_empty() {
                            progress.now(&format!("waiting for {}", watch.whom()));
                        }
                    }
                }
            }
        };
        if outcome.is_ok() {
            self.workspace.filled.set(None);
            lines.iter().for_each(|line| progress.line(line));
        }
        outcome
    }

    /// How many rows have their values: on a terminal all the time, in a log now and then.
    fn filled(&self, step: &PlanStep, filled: Filled, told: &Cell<Instant>) {
        self.workspace.filled.set(Some((step.id, filled.rows)));
        let of = filled.of.map_or(String::new(), |of| format!(" of about {}", thousands(of)));
        let so_far = format!("{} rows{of} have their values", thousands(filled.rows));
        let progress = &self.workspace.progress;
        progress.now(&format!("step {}: {so_far}", step.id));
        if !progress.moves() && told.get().elapsed() >= TELLING {
            told.set(Instant::now());
            progress.line(&format!("step {}: {so_far}", step.id));
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

    /// Records what stopped it. When the connection is lost that takes another one, and tells what has become of the group whose
    /// end nobody saw; whether that is known.
    async fn recorded(&self, group: &Group, failed: &StepFailed) -> bool {
        let lost = is_lost(&failed.code);
        let Some(record) = self.record else { return !lost };
        if failed.code == OVERTAKEN {
            return true;
        }
        let line = failed.message.lines().next().unwrap_or_default();
        let why = format!("step {}: {line} ({})", failed.step, if lost { "connection lost" } else { &failed.code });
        let work = async {
            let other = if lost { Some(pg::connect(&self.session.target).await.ok()?) } else { None };
            let client = other.as_ref().map_or(&self.session.client, |session| &session.client);
            let step = group.steps.iter().find(|step| step.id == failed.step);
            if let Some(step) = step.filter(|_| !lost) {
                record.failed(client, step, line).await.ok()?;
            }
            record.end(client, &Ended::Failed(why), None).await.ok()?;
            let done = record.done(client).await.ok()?;
            if group.transactional && group.steps.iter().all(|step| done.contains(&step.id)) {
                self.workspace.applied.set(group.steps.last().map_or(0, |step| step.id));
            }
            Some(())
        };
        tokio::time::timeout(RECORDING, work).await.is_ok_and(|done| done.is_some()) && (group.transactional || !lost)
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
            state = format!(
                "Steps before {} are applied and stay; it ran outside a transaction, so what it did stays too.",
                failed.step
            );
            exit = IN_PART;
        }
        if self.workspace.filled.get().is_some() {
            exit = IN_PART;
            state = match applied {
                0 => "No step is applied to its end.".to_owned(),
                n => format!("Steps up to {n} of {all} are applied and stay."),
            };
        }
        if gives_way(failed) {
            let what = format!("step {} ({}) does not get its lock: it waits for {}", failed.step, failed.object, watch.whom());
            return Failure::new("apply::locked", format!("{what}\n{state}"))
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

/// Whether a lock was not to be had.
fn gives_way(failed: &StepFailed) -> bool {
    matches!(failed.code.as_str(), "55P03" | "40P01")
}

/// Between half of a pause and the whole: two that wait for each other do not meet again.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.subsec_nanos());
    pause.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}
