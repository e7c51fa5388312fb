//! `plumb apply`: run a plan under a lock, and see that it ended where it said.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::time::timeout;

use super::apply_options::ApplyOptions;
use super::approval::approved;
use super::events::{Event, Events};
use super::failure::Failure;
use super::hooks;
use super::ledger::{settle, standing, stands_in_the_way, unsettled, who};
use super::plan::{Making, planned};
use super::preflight::{
    allowed, asserted, fits, grown, may, read_elsewhere, roles, rows, same_version, visible, writable, young,
};
use super::prove::{on_a_copy, read_plan};
use super::resume::{Looking, Resumed, resumed};
use super::running::Run;
use super::side::Side;
use super::stale::{changed_meanwhile, not_there, unchanged};
use super::verify::verify;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::ledger::{Deployment, LedgerError, Presence, Record, document, prepare, presence};
use crate::apply::run::Settings;
use crate::apply::time_limit::{BRIEF, TimeLimits};
use crate::catalog::{Catalog, fingerprint, pack};
use crate::config::StatementTimeout;
use crate::exit_code::{DONE, INTERRUPTED, REFUSED};
use crate::introspect::introspect_beside;
use crate::pg::{Session, lock};
use crate::plan::sql::LOCK_TIMEOUT;
use crate::plan::{Group, Plan, PlanStep};

/// The command.
pub async fn run(options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    if options.abandon {
        return super::abandon::run(options, workspace).await;
    }
    workspace.events = Events::open(options.events.as_deref())?;
    let (plan, live) = match &options.plan {
        Some(path) => {
            let plan = read_plan(path)?;
            (plan, side::live(workspace, &options.database).await?)
        }
        None if options.resume => {
            let live = side::live(workspace, &options.database).await?;
            match unfinished(&live).await? {
                Some(plan) => (plan, live),
                None => {
                    workspace.say(&format!("Nothing is unfinished on {}.\n", live.name))?;
                    return Ok(DONE);
                }
            }
        }
        None => {
            nothing_unfinished(options, workspace).await?;
            let online = options.online.unwrap_or(workspace.config.online);
            let protect = options.protect.unwrap_or(workspace.config.protect);
            let making = Making { proven: true, online, phase: None, renames: &options.renames.rename, protect };
            let planned = planned(workspace, &options.database, &options.wanted, making).await?;
            (planned.plan, planned.live)
        }
    };
    workspace.progress.clear();
    let Some(session) = &live.session else {
        return Err(
            Failure::new("apply::snapshot", "a snapshot is no database that a plan can be applied to").help("give --db URL")
        );
    };
    if plan.is_empty() {
        workspace.say(&format!("Nothing to apply: {} is as it should be.\n", live.name))?;
        return Ok(DONE);
    }
    same_version(&plan)?;
    young(&plan, workspace)?;
    let approvers = approved(&plan, options.plan.as_deref(), &workspace.config)?;
    let approvers: Vec<String> = approvers.iter().map(|a| a.name()).collect();
    if !approvers.is_empty() {
        workspace.say(&format!("Approved by {}.\n", approvers.join(", ")))?;
    }
    allowed(&plan, options)?;
    writable(session, &live.name).await?;
    take_lock(session).await?;
    session.ends_with_us().await;
    let outcome = locked(&plan, &live, session, options, workspace).await;
    // Where it was left in the middle of something, the lock ends with the session.
    timeout(UNLOCKING, lock::unlock(&session.client)).await.ok();
    outcome
}

/// How long is waited until the lock is let go of.
const UNLOCKING: Duration = Duration::from_secs(2);

pub async fn take_lock(session: &Session) -> Result<(), Failure> {
    let client = &session.client;
    if !lock::try_lock(client).await.map_err(|e| Failure::from_server("apply::lock", &e))? {
        let Ok(Some(pid)) = lock::take_from_silent(client, session.believes_for()).await else {
            let holder = lock::holder(client).await.ok().flatten();
            let who = holder.map_or("another session".to_owned(), |h| h.to_string());
            return Err(Failure::new("apply::busy", format!("another plumb is at work on this database: {who}"))
                .help("wait until it is done, or end that session")
                .exit(REFUSED));
        };
        tracing::warn!("another plumb (pid {pid}) was silent in the middle of a statement; its session was ended");
    }
    if let Some(silent) = session.heard_within() {
        lock::is_heard_of(client, silent).await.map_err(|e| Failure::from_server("apply::lock", &e))?;
    }
    Ok(())
}

/// Making a plan takes a while: that another one is unfinished is said before.
async fn nothing_unfinished(options: &ApplyOptions, workspace: &Workspace) -> Result<(), Failure> {
    let Some(target) = side::target(workspace, &options.database)? else { return Ok(()) };
    let session = crate::pg::connect(&target).await?;
    let open = standing(&session).await;
    session.close().await;
    open?.map_or(Ok(()), |open| Err(stands_in_the_way(&open)))
}

async fn locked(plan: &Plan, live: &Side, session: &Session, options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    // Read again under the lock: what was read before may have changed.
    let began = Instant::now();
    let now = introspect_beside(session, &workspace.seen).await?;
    let read = (began, began.elapsed());
    let scope = fingerprint(&plan.scope.of(&now));
    fits(plan, live)?;
    let open = ledgers(plan, session, options).await?;
    let resumed = match &open {
        Some(open) => {
            let unseen = options.allows("unproven");
            let shadow = options.wanted.shadow.as_deref();
            let looking = Looking { session, properties: &live.properties, shadow, unseen };
            Some(resumed(plan, open, &now, &looking, workspace).await?)
        }
        None => None,
    };
    if resumed.is_none() {
        if scope == plan.to {
            plan.short_takes_back().map_or(Ok(()), |id| Err(not_there(id)))?;
            if !options.dry_run {
                settle(session, &plan.id, &now).await?;
            }
            workspace.say(&format!("Plan {} is applied already: {} is as the plan leaves it.\n", plan.short_id(), live.name))?;
            return Ok(DONE);
        }
        roles(plan, live)?;
        unchanged(plan, &now)?;
        grown(plan, session).await?;
    }
    workspace.say(&match &resumed {
        Some(resumed) => resumed.sentence(plan, &live.name),
        None => format!("Applying {} to {}. Lock taken, live schema equals what was planned.\n", plan.short_id(), live.name),
    })?;
    let groups = resumed.as_ref().map_or(&plan.groups[..], |r| r.left);
    visible(groups, session).await?;
    may(groups, &now, session, options).await?;
    rows(plan, groups, session, options, workspace).await?;
    asserted(session, workspace).await?;
    read_elsewhere(groups, session, workspace).await;
    if options.dry_run {
        return dry(plan, groups, live, &now, workspace, options).await;
    }
    if !options.yes && !asked(workspace).await? {
        return Ok(REFUSED);
    }
    let beginning = Beginning { plan, groups, now: &now, read, session, options };
    let name = &live.name;
    workspace.stop.at_work(true);
    let outcome = carried_out(&beginning, resumed.as_ref(), name, workspace).await;
    workspace.stop.at_work(false);
    // Hooks have begun, perhaps: one of the two sorts of them says that it is over.
    match outcome {
        Ok(code) => hooks::after(plan, session, workspace).await.map(|()| code),
        Err(failure) => {
            hooks::failed(plan, session, workspace).await;
            Err(failure)
        }
    }
}

/// What was looked at before anything is done.
struct Beginning<'a> {
    plan: &'a Plan,
    /// Those that are to be run.
    groups: &'a [Group],
    /// The live schema.
    now: &'a Catalog,
    /// When reading it began, and how long that took.
    read: (Instant, Duration),
    session: &'a Session,
    options: &'a ApplyOptions,
}

impl Beginning<'_> {
    /// Looks again where more time has gone by than that takes: somebody has thought about a question, rows were asked, hooks were run.
    async fn is_still_so(&self, workspace: &Workspace) -> Result<(), Failure> {
        let (began, took) = self.read;
        if began.elapsed() < took * 2 {
            return Ok(());
        }
        let scope = &self.plan.scope;
        let (then, now) = (scope.of(self.now), scope.of(&introspect_beside(self.session, &workspace.seen).await?));
        if fingerprint(&then) == fingerprint(&now) {
            return Ok(());
        }
        Err(changed_meanwhile(&then, &now))
    }
}

/// From the hooks before the first step to the look at what has become of it.
async fn carried_out(beginning: &Beginning<'_>, resumed: Option<&Resumed<'_>>, name: &str, workspace: &mut Workspace) -> Outcome {
    let Beginning { plan, groups, now, session, options, .. } = *beginning;
    hooks::before(plan, session, workspace).await?;
    let stop = workspace.stop.clone();
    let begin = async {
        beginning.is_still_so(workspace).await?;
        let record = recorded(plan, now, resumed, session, options).await?;
        if let (Some(resumed), Some(record)) = (resumed, &record) {
            workspace.applied.set(resumed.last_done);
            workspace.filled.set(resumed.filled);
            resumed.settle(session, record, workspace).await?;
        }
        Ok(record)
    };
    let heard = || workspace.progress.line(&format!("{} before the first step; once more does not wait for that", stop.word()));
    let at_once = || Err(Failure::new("apply::interrupted", format!("{} before the first step", stop.word())).exit(INTERRUPTED));
    let record = stop.unless_now(begin, heard).await.unwrap_or_else(at_once)?;
    let lock_timeout = options.lock_timeout.or(workspace.config.lock_timeout).unwrap_or(LOCK_TIMEOUT);
    let pause = workspace.config.backfill_pause;
    let by = Settings { plan: Some(plan.short_id()), limits: limits(workspace.config.statement_timeout), ..Settings::default() };
    let settings = Settings { lock_timeout: Some(lock_timeout), wait: options.wait, pause, all_rows: true, asserts: true, ..by };
    workspace.events.tell(&Event::Begin {
        plan: &plan.id,
        database: name,
        steps: plan.steps().count(),
        done_before: workspace.applied.get(),
    });
    let begun = Instant::now();
    let ends_idle = options.terminate_blockers.is_some();
    Run { plan, groups, record: record.as_ref(), session, settings, ends_idle, workspace }.all().await?;
    let ran = (groups.iter().map(|g| g.steps.len()).sum(), begun.elapsed());
    verify(plan, session, workspace, record.as_ref(), ran).await
}

/// How long statements may run: what nobody has said, and is brief by nature, has a limit all the same.
fn limits(stated: StatementTimeout) -> TimeLimits {
    let StatementTimeout { brief, scan, rewrite, apart, batch } = stated;
    let [brief, scan, rewrite, apart, batch] =
        [brief.or(Some(BRIEF)), scan, rewrite, apart, batch].map(|limit| limit.filter(|limit| !limit.is_zero()));
    TimeLimits { brief, scan, rewrite, apart, batch }
}

/// Everything is looked at; the plan, or what is left of it, runs on a copy of the live schema as it is now, and nowhere else.
async fn dry(
    plan: &Plan,
    groups: &[Group],
    live: &Side,
    now: &Catalog,
    workspace: &mut Workspace,
    options: &ApplyOptions,
) -> Outcome {
    let left = Plan { groups: groups.to_vec(), ..plan.clone() };
    let steps = left.steps().count();
    let doubt = on_a_copy(options.wanted.shadow.as_deref(), workspace, live, (&left, now), false).await?.doubt;
    workspace.progress.clear();
    if let Some(doubt) = doubt {
        return Err(Failure::new(
            "apply::dry_run",
            format!("on a copy of the live schema the plan does not do what it says: {doubt}"),
        )
        .help("nothing was applied. Make a new plan with `plumb plan`"));
    }
    let steps = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
    let text = format!(
        "Dry run: {steps} ran on a copy of the live schema and ended as planned. Nothing was applied to {}.\n",
        live.name
    );
    workspace.say(&text)?;
    Ok(DONE)
}

/// What the ledger has to say before a plan is applied: the deployment of it that is to be gone on with. Another plan that is unfinished
/// stands in the way.
async fn ledgers(plan: &Plan, session: &Session, options: &ApplyOptions) -> Result<Option<Deployment>, Failure> {
    let presence = presence(&session.client).await?;
    if options.no_ledger {
        return match presence {
            Presence::Absent | Presence::Taken => Ok(None),
            _ => Err(Failure::new("ledger::there", "this database has a ledger: what is applied past it would make it lie")
                .help("leave --no-ledger away")
                .exit(REFUSED)),
        };
    }
    match presence {
        Presence::Taken => return Err(LedgerError::Taken.into()),
        Presence::Closed(owner) => return Err(LedgerError::Closed { role: session.user.clone(), owner }.into()),
        Presence::Absent | Presence::Here(_) => {}
    }
    let reserved = |s: &&PlanStep| s.object.first() == "plumb";
    if let Some(step) = plan.steps().find(reserved) {
        return Err(Failure::new(
            "ledger::taken",
            format!("step {} ({}) is about the schema plumb, which is the ledger's", step.id, step.object),
        )
        .help("give that schema another name, or go without a ledger: --no-ledger. Then nothing can go on after a crash"));
    }
    match standing(session).await? {
        Some(open) if open.plan == plan.id => Ok(Some(open)),
        Some(open) => Err(stands_in_the_way(&open)),
        None => Ok(None),
    }
}

/// Begins to record.
async fn recorded(
    plan: &Plan,
    now: &Catalog,
    resumed: Option<&Resumed<'_>>,
    session: &Session,
    options: &ApplyOptions,
) -> Result<Option<Record>, Failure> {
    if options.no_ledger {
        return Ok(None);
    }
    prepare(&session.client).await?;
    let before = resumed.is_none().then(|| pack(now));
    let resumed = resumed.map(|r| r.deployment);
    Ok(Some(Record::begin(&session.client, plan, before.as_ref(), resumed, &who()).await?))
}

/// The plan that was broken off, or was cut off at its very end.
async fn unfinished(live: &Side) -> Result<Option<Plan>, LedgerError> {
    let Some(session) = &live.session else { return Ok(None) };
    let id = match standing(session).await? {
        Some(open) => Some(open.plan),
        None => unsettled(session).await?.map(|(_, plan)| plan),
    };
    match id {
        Some(id) => document(&session.client, &id).await.map(Some),
        None => Ok(None),
    }
}

/// Asks on a terminal; elsewhere the plan itself is the approval. Connections are looked after meanwhile, and signals are heard.
pub async fn asked(workspace: &Workspace) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    workspace.say("Go on? [y/N] ")?;
    std::io::stdout().flush().ok();
    let (send, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        send.send(read.map(|_| line)).ok();
    });
    let gone = |e: &dyn std::fmt::Display| Failure::new("system::input", e.to_string());
    let answer = answer.await.map_err(|e| gone(&e))?.map_err(|e| gone(&e))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
