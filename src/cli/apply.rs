//! `plumb apply`: run a plan under a lock, and see that it ended where it said.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::{Instant, SystemTime};

use super::arguments::ApplyOptions;
use super::failure::{self, Failure};
use super::ledger::{settle, standing, stands_in_the_way, unsettled, who};
use super::plan::{Making, limits, planned, unread};
use super::prove::read_plan;
use super::resume::{Looking, Resumed, resumed};
use super::running::Run;
use super::side::Side;
use super::stale::{not_there, stale, unchanged};
use super::verify::verify;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::batches::hidden;
use crate::apply::ledger::{Deployment, LedgerError, Presence, Record, document, prepare, presence};
use crate::apply::preflight::{Rights, forbidden};
use crate::apply::row_checks::ask;
use crate::apply::run::Settings;
use crate::catalog::{Catalog, Magnitude, fingerprint, pack};
use crate::exit_code::{DONE, REFUSED};
use crate::introspect::{introspect_beside, read_sizes};
use crate::pg::{Session, lock};
use crate::plan::sql::LOCK_TIMEOUT;
use crate::plan::{Answered, Group, Plan, PlanStep, Proof, fills};
use crate::source::date::day;
use crate::sql::ident;

/// The command.
pub async fn run(options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    if options.abandon {
        return super::abandon::run(options, workspace).await;
    }
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
                    failure::print(&format!("Nothing is unfinished on {}.\n", live.name))?;
                    return Ok(DONE);
                }
            }
        }
        None => {
            nothing_unfinished(options, workspace).await?;
            let online = options.online.unwrap_or(workspace.config.online);
            let making = Making { proven: true, online, phase: None, renames: &options.renames.rename };
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
        failure::print(&format!("Nothing to apply: {} is as it should be.\n", live.name))?;
        return Ok(DONE);
    }
    allowed(&plan, options)?;
    writable(session, &live.name).await?;
    take_lock(session).await?;
    session.ends_with_us().await;
    let outcome = locked(&plan, &live, session, options, workspace).await;
    lock::unlock(&session.client).await.ok();
    outcome
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

/// Everything that `--allow` has to name.
fn allowed(plan: &Plan, options: &ApplyOptions) -> Result<(), Failure> {
    let mut missing: Vec<(String, String)> = Vec::new();
    let today = day(SystemTime::now());
    if let Proof::Unproven { reason } = &plan.proof
        && !options.allows("unproven")
    {
        missing.push(("unproven".to_owned(), format!("the plan is not proven: {reason}")));
    }
    for step in plan.steps() {
        for hazard in step.hazards.iter().filter(|h| h.is_refused_on(&today) && !options.allows(&h.code)) {
            missing.push((hazard.code.clone(), format!("step {}: {}", step.id, hazard.message)));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing.iter().map(|(code, why)| format!("{code}: {why}")).collect();
    let mut codes: Vec<&str> = missing.iter().map(|(code, _)| code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let flags: Vec<String> = codes.iter().map(|c| format!("--allow {c}")).collect();
    Err(Failure::new("apply::refused", format!("this plan needs to be allowed by name\n{}", lines.join("\n")))
        .help(format!("if that is meant, add {}", flags.join(" ")))
        .exit(REFUSED))
}

/// The server takes changes from this session.
pub async fn writable(session: &Session, name: &str) -> Result<(), Failure> {
    let query = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on'";
    let row = session.client.query_one(query, &[]).await.map_err(|e| Failure::from_server("apply::lock", &e))?;
    let answer = |n: usize| row.try_get::<_, bool>(n).unwrap_or(false);
    let (why, help) = match (answer(0), answer(1)) {
        (true, _) => {
            ("is a standby", "connect to the primary: target_session_attrs=read-write in the connection string finds it")
        }
        (_, true) => (
            "is read-only for this session (default_transaction_read_only)",
            "if that is meant to be changed, add options=-c default_transaction_read_only=off to the connection string",
        ),
        _ => return Ok(()),
    };
    Err(Failure::new("apply::read_only", format!("{name} {why}: nothing can be applied there")).help(help))
}

pub async fn take_lock(session: &Session) -> Result<(), Failure> {
    match lock::try_lock(&session.client).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            let holder = lock::holder(&session.client).await.ok().flatten();
            let who = holder.map_or("another session".to_owned(), |h| h.to_string());
            Err(Failure::new("apply::busy", format!("another plumb is at work on this database: {who}"))
                .help("wait until it is done, or end that session")
                .exit(REFUSED))
        }
        Err(e) => Err(Failure::from_server("apply::lock", &e)),
    }
}

/// Making a plan takes a while: that another one is unfinished is said before.
async fn nothing_unfinished(options: &ApplyOptions, workspace: &Workspace) -> Result<(), Failure> {
    let Some(target) = side::target(workspace, &options.database)? else { return Ok(()) };
    let session = crate::pg::connect(&target).await?;
    let open = standing(&session).await;
    session.close().await;
    open?.map_or(Ok(()), |open| Err(stands_in_the_way(&open)))
}

/// The plan is for this database and this role, and the roles that it names are there.
fn fits(plan: &Plan, live: &Side) -> Result<(), Failure> {
    if live.catalog.database != plan.database {
        return Err(stale(format!("the plan is for database {}, this is {}", plan.database, live.catalog.database)));
    }
    if live.catalog.role != plan.role {
        return Err(stale(format!(
            "the plan was made as {}, and this is {}: new objects would have another owner",
            plan.role, live.catalog.role
        )));
    }
    Ok(())
}

/// The roles that the plan names are there.
fn roles(plan: &Plan, live: &Side) -> Result<(), Failure> {
    let missing: Vec<String> = plan.roles.iter().filter(|r| !live.catalog.roles.contains(*r)).map(|r| ident(r)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let create: Vec<String> = missing.iter().map(|r| format!("CREATE ROLE {r};")).collect();
    Err(Failure::new("apply::missing_role", format!("the server does not have these roles: {}", missing.join(", ")))
        .help(format!("plumb does not create roles. Create them first, for instance: {}", create.join(" ")))
        .exit(REFUSED))
}

/// No table has grown into another hazard than the one that the plan shows.
async fn grown(plan: &Plan, session: &Session) -> Result<(), Failure> {
    if plan.steps().all(|s| s.sizes.is_empty()) {
        return Ok(());
    }
    let mut now = Catalog::default();
    read_sizes(session, &mut now).await?;
    let magnitude = |r: &String| now.sizes.get(r).and_then(|s| s.magnitude()).unwrap_or(Magnitude::Large);
    let grown = plan.steps().flat_map(|s| &s.sizes).find(|(relation, planned)| magnitude(relation) > **planned);
    match grown {
        None => Ok(()),
        Some((relation, _)) => {
            Err(stale(format!("{relation} holds many more rows than when the plan was made: its hazards are others")))
        }
    }
}

async fn locked(plan: &Plan, live: &Side, session: &Session, options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    // Read again under the lock: what was read before may have changed.
    let now = introspect_beside(session, &workspace.seen).await?;
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
            settle(session, &plan.id, &now).await?;
            failure::print(&format!("Plan {} is applied already: {} is as the plan leaves it.\n", plan.short_id(), live.name))?;
            return Ok(DONE);
        }
        roles(plan, live)?;
        unchanged(plan, &now)?;
        grown(plan, session).await?;
    }
    failure::print(&match &resumed {
        Some(resumed) => resumed.sentence(plan, &live.name),
        None => format!("Applying {} to {}. Lock taken, live schema equals what was planned.\n", plan.short_id(), live.name),
    })?;
    let groups = resumed.as_ref().map_or(&plan.groups[..], |r| r.left);
    visible(groups, session).await?;
    may(groups, &now, session, options).await?;
    rows(plan, groups, session, options, workspace).await?;
    if !options.yes && !asked().await? {
        return Ok(REFUSED);
    }
    let record = recorded(plan, &now, resumed.as_ref(), session, options).await?;
    if let (Some(resumed), Some(record)) = (&resumed, &record) {
        workspace.applied.set(resumed.last_done);
        workspace.filled.set(resumed.filled);
        resumed.settle(session, record, workspace).await?;
    }
    let lock_timeout = options.lock_timeout.or(workspace.config.lock_timeout).unwrap_or(LOCK_TIMEOUT);
    let pause = workspace.config.backfill_pause;
    let settings = Settings { lock_timeout: Some(lock_timeout), wait: options.wait, pause, all_rows: true, tell: None };
    let begun = Instant::now();
    let ends_idle = options.terminate_blockers.is_some();
    Run { plan, groups, record: record.as_ref(), session, settings, ends_idle, workspace }.all().await?;
    let ran = (groups.iter().map(|g| g.steps.len()).sum(), begun.elapsed());
    verify(plan, session, &workspace.seen, record.as_ref(), ran).await
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

/// No policy hides rows that are to get their values, unless the plan changes that itself.
async fn visible(groups: &[Group], session: &Session) -> Result<(), Failure> {
    let steps = || groups.iter().flat_map(|g| &g.steps);
    let changed: Vec<String> = steps()
        .filter(|s| s.fields.iter().any(|f| f == "force_row_security" || f == "row_security"))
        .map(|s| s.object.sql())
        .collect();
    let filled: BTreeSet<String> = steps().filter(|s| fills(s)).map(|s| s.object.table_sql()).collect();
    let asked: Vec<&str> = filled.iter().filter(|t| !changed.contains(t)).map(String::as_str).collect();
    let hidden = hidden(&session.client, &asked).await.map_err(|e| Failure::from_server("apply::row_security", &e))?;
    if hidden.is_empty() {
        return Ok(());
    }
    let tables = hidden.join(", ");
    Err(Failure::new(
        "apply::row_security",
        format!("policies may hide rows of {tables} from {}, which would be left without a value", session.user),
    )
    .help("apply the plan as a role with BYPASSRLS, or switch FORCE ROW LEVEL SECURITY off meanwhile; nothing was applied")
    .exit(REFUSED))
}

/// This role may do every step, as far as that is sure.
async fn may(groups: &[Group], now: &Catalog, session: &Session, options: &ApplyOptions) -> Result<(), Failure> {
    let rights = Rights::read(&session.client).await.map_err(|e| Failure::from_server("apply::lock", &e))?;
    let missing = forbidden(groups, now, &rights);
    if missing.is_empty() || options.allows("rights") {
        return Ok(());
    }
    let message = format!("{} has no right to all steps, and nothing was begun\n{}", ident(&session.user), missing.join("\n"));
    Err(Failure::new("apply::rights", message)
        .help("plan and apply as a role that owns these objects, or is a member of their owner; or give it the rights. --allow rights tries all the same")
        .exit(REFUSED))
}

/// The rows are such that no step fails on them, as far as they can be asked before the first one.
async fn rows(
    plan: &Plan,
    groups: &[Group],
    session: &Session,
    options: &ApplyOptions,
    workspace: &Workspace,
) -> Result<(), Failure> {
    let plan = Plan { groups: groups.to_vec(), ..plan.clone() };
    let Some(limits) = limits(workspace, true).filter(|_| plan.steps().any(|s| !s.checks.is_empty())) else { return Ok(()) };
    let answers = ask(&session.client, &plan, limits).await.map_err(unread)?;
    let failing = |a: &&Answered| a.answer.fails();
    let lines: Vec<String> = answers.iter().filter(failing).map(|a| format!("step {}: {}", a.step, a.sentence())).collect();
    if lines.is_empty() || options.allows("rows") {
        return Ok(());
    }
    Err(Failure::new("apply::rows", format!("this plan would fail on rows that are in its way\n{}", lines.join("\n")))
        .help("change these rows first (the plan has the queries that find them), or add --allow rows if an earlier step of the plan does")
        .exit(REFUSED))
}

/// Asks on a terminal; elsewhere the plan itself is the approval. Connections are looked after meanwhile, and signals are heard.
pub async fn asked() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    failure::print("Go on? [y/N] ")?;
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
