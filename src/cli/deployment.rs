//! One deployment: from the hooks before its first step to the look at what has become of it.

use std::time::{Duration, Instant};

use super::Outcome;
use super::apply_options::ApplyOptions;
use super::events::Event;
use super::failure::Failure;
use super::hooks;
use super::ledger::who;
use super::resume::Resumed;
use super::running::Run;
use super::stale::changed_meanwhile;
use super::verify::verify;
use super::workspace::Workspace;
use crate::apply::ledger::{Record, prepare};
use crate::apply::run::Settings;
use crate::apply::time_limit::{BRIEF, TimeLimits};
use crate::catalog::{Catalog, fingerprint, pack};
use crate::config::StatementTimeout;
use crate::exit_code::{IN_PART, INTERRUPTED};
use crate::introspect::introspect_beside;
use crate::pg::Session;
use crate::plan::sql::LOCK_TIMEOUT;
use crate::plan::{Group, Plan};

/// How long may go by after the live schema was read, beside reading it again, until that is done.
const LONG: Duration = Duration::from_secs(5);

/// What was looked at before anything is done.
pub struct Beginning<'a> {
    pub plan: &'a Plan,
    /// Those that are to be run.
    pub groups: &'a [Group],
    /// Where it goes on, when it was broken off.
    pub resumed: Option<&'a Resumed<'a>>,
    /// The live schema.
    pub now: &'a Catalog,
    /// When reading it began, and how long that took.
    pub read: (Instant, Duration),
    /// Whether somebody was asked since then.
    pub asks: bool,
    pub session: &'a Session,
    pub options: &'a ApplyOptions,
    /// The database, for a person.
    pub name: &'a str,
}

impl Beginning<'_> {
    /// All of it. Hooks have begun then, perhaps: one of the two sorts of them says that it is over.
    pub async fn deployed(&self, workspace: &mut Workspace) -> Outcome {
        workspace.stop.at_work(true);
        let outcome = self.carried_out(workspace).await;
        workspace.stop.at_work(false);
        match outcome {
            Ok(code) => hooks::after(self.plan, self.session, workspace).await.map(|()| code),
            Err(failure) => {
                hooks::failed(self.plan, self.session, workspace).await;
                Err(failure)
            }
        }
    }

    async fn carried_out(&self, workspace: &Workspace) -> Outcome {
        let Beginning { plan, groups, session, options, name, .. } = *self;
        hooks::before(plan, session, workspace).await?;
        let record = self.begun(workspace).await?;
        let lock_timeout = options.lock_timeout.or(workspace.config.lock_timeout).unwrap_or(LOCK_TIMEOUT);
        let pause = workspace.config.backfill_pause;
        let by =
            Settings { plan: Some(plan.short_id()), limits: limits(workspace.config.statement_timeout), ..Settings::default() };
        let settings =
            Settings { lock_timeout: Some(lock_timeout), wait: options.wait, pause, all_rows: true, asserts: true, ..by };
        let (steps, done_before) = (plan.steps().count(), workspace.applied.get());
        workspace.events.tell(&Event::Begin { plan: &plan.id, database: name, steps, done_before });
        let begun = Instant::now();
        let ends_idle = options.terminate_blockers.is_some();
        Run { plan, groups, record: record.as_ref(), session, settings, ends_idle, workspace }.all().await?;
        let ran = (groups.iter().map(|g| g.steps.len()).sum(), begun.elapsed());
        verify(plan, session, workspace, record.as_ref(), ran).await
    }

    /// Begins to record it, and clears away what it has left half done before.
    async fn begun(&self, workspace: &Workspace) -> Result<Option<Record>, Failure> {
        let stop = &workspace.stop;
        let work = async {
            self.is_still_so(workspace).await?;
            let record = self.recorded().await?;
            if let (Some(resumed), Some(record)) = (self.resumed, &record) {
                workspace.applied.set(resumed.last_done);
                workspace.filled.set(resumed.filled);
                resumed.settle(self.session, record, workspace).await?;
            }
            Ok(record)
        };
        let heard =
            || workspace.progress.line(&format!("{} before the first step; once more does not wait for that", stop.word()));
        let (exit, help) = match self.resumed {
            None => (INTERRUPTED, "the same plan can be applied later"),
            Some(_) => (IN_PART, "no step was run this time: `plumb apply --resume` goes on"),
        };
        let why = || format!("{} before the first step", stop.word());
        let stopped = || Err(Failure::new("apply::interrupted", why()).help(help).exit(exit));
        stop.unless_now(work, heard).await.unwrap_or_else(stopped)
    }

    /// Looks again where time has gone by: somebody has thought about a question, hooks were run, or rows were asked for long.
    async fn is_still_so(&self, workspace: &Workspace) -> Result<(), Failure> {
        let (began, took) = self.read;
        if !self.asks && !hooks::come_before(workspace) && began.elapsed() < took * 2 + LONG {
            return Ok(());
        }
        let scope = &self.plan.scope;
        let (then, now) = (scope.of(self.now), scope.of(&introspect_beside(self.session, &workspace.seen).await?));
        if fingerprint(&then) == fingerprint(&now) {
            return Ok(());
        }
        Err(changed_meanwhile(&then, &now))
    }

    async fn recorded(&self) -> Result<Option<Record>, Failure> {
        if self.options.no_ledger {
            return Ok(None);
        }
        let client = &self.session.client;
        prepare(client).await?;
        let before = self.resumed.is_none().then(|| pack(self.now));
        let resumed = self.resumed.map(|r| r.deployment);
        Ok(Some(Record::begin(client, self.plan, before.as_ref(), resumed, &who()).await?))
    }
}

/// How long statements may run: what nobody has said, and is brief by nature, has a limit all the same.
fn limits(stated: StatementTimeout) -> TimeLimits {
    let StatementTimeout { brief, scan, rewrite, apart, batch } = stated;
    let [brief, scan, rewrite, apart, batch] =
        [brief.or(Some(BRIEF)), scan, rewrite, apart, batch].map(|limit| limit.filter(|limit| !limit.is_zero()));
    TimeLimits { brief, scan, rewrite, apart, batch }
}
