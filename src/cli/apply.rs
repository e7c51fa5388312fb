//! `plumb apply`: run a plan under a lock, and see that it ended where it said.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::time::timeout;

use super::apply_options::ApplyOptions;
use super::approval::approved;
use super::deployment::Beginning;
use super::events::Events;
use super::failure::Failure;
use super::ledger::{settle, standing, stands_in_the_way, unsettled};
use super::plan::{Making, planned};
use super::preflight::{
    allowed, asserted, fits, grown, may, read_elsewhere, roles, rows, same_version, visible, writable, young,
};
use super::prove::{on_a_copy, read_plan};
use super::resume::{Looking, resumed};
use super::side::Side;
use super::stale::{not_there, unchanged};
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::ledger::{Deployment, LedgerError, Presence, document, presence};
use crate::catalog::{Catalog, fingerprint};
use crate::exit_code::{DONE, REFUSED};
use crate::introspect::introspect_beside;
use crate::pg::{Session, lock};
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
    let asks = !options.yes && std::io::stdin().is_terminal();
    if asks && !asked(workspace).await? {
        return Ok(REFUSED);
    }
    let (resumed, name) = (resumed.as_ref(), &live.name);
    Beginning { plan, groups, resumed, now: &now, read, asks, session, options, name }.deployed(workspace).await
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
