//! `plumb apply`: run a plan under a lock, and see that it ended where it said.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};

use super::arguments::ApplyOptions;
use super::failure::{self, Failure};
use super::plan::{Making, limits, planned, unread};
use super::prove::read_plan;
use super::running::Run;
use super::side::Side;
use super::stale::{not_there, stale, unchanged};
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::row_checks::ask;
use crate::apply::run::Settings;
use crate::catalog::{Catalog, Magnitude, fingerprint};
use crate::exit_code::{DONE, IN_PART, REFUSED};
use crate::introspect::{Seen, introspect_beside, read_sizes};
use crate::pg::{Session, lock};
use crate::plan::sql::LOCK_TIMEOUT;
use crate::plan::text::time;
use crate::plan::{Answered, Plan, Proof};
use crate::source::date::day;
use crate::sql::ident;

/// The command.
pub async fn run(options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    let (plan, live) = match &options.plan {
        Some(path) => {
            let plan = read_plan(path)?;
            (plan, side::live(workspace, &options.database).await?)
        }
        None => {
            let online = options.online.unwrap_or(workspace.config.online);
            let planned =
                planned(workspace, &options.database, &options.wanted, Making { proven: true, online, phase: None }).await?;
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
    let outcome = locked(&plan, &live, session, options, workspace).await;
    lock::unlock(&session.client).await.ok();
    outcome
}

/// Everything that `--allow` has to name.
fn allowed(plan: &Plan, options: &ApplyOptions) -> Result<(), Failure> {
    let allowed = |code: &str| options.allow.iter().any(|a| a == code || a == "all");
    let mut missing: Vec<(String, String)> = Vec::new();
    let today = day(SystemTime::now());
    if let Proof::Unproven { reason } = &plan.proof
        && !allowed("unproven")
    {
        missing.push(("unproven".to_owned(), format!("the plan is not proven: {reason}")));
    }
    for step in plan.steps() {
        for hazard in step.hazards.iter().filter(|h| h.is_refused_on(&today) && !allowed(&h.code)) {
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
async fn writable(session: &Session, name: &str) -> Result<(), Failure> {
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

async fn take_lock(session: &Session) -> Result<(), Failure> {
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

/// The live database is as it was planned for.
fn fresh(plan: &Plan, live: &Side, now: &Catalog, scope: &str) -> Result<(), Failure> {
    if live.catalog.database != plan.database {
        return Err(stale(format!("the plan is for database {}, this is {}", plan.database, live.catalog.database)));
    }
    if live.catalog.role != plan.role {
        return Err(stale(format!(
            "the plan was made as {}, and this is {}: new objects would have another owner",
            plan.role, live.catalog.role
        )));
    }
    if scope == plan.to {
        return plan.short_takes_back().map_or(Ok(()), |id| Err(not_there(id)));
    }
    let missing: Vec<String> = plan.roles.iter().filter(|r| !live.catalog.roles.contains(*r)).map(|r| ident(r)).collect();
    if !missing.is_empty() {
        let create: Vec<String> = missing.iter().map(|r| format!("CREATE ROLE {r};")).collect();
        return Err(Failure::new("apply::missing_role", format!("the server does not have these roles: {}", missing.join(", ")))
            .help(format!("plumb does not create roles. Create them first, for instance: {}", create.join(" ")))
            .exit(REFUSED));
    }
    unchanged(plan, now)
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

async fn locked(plan: &Plan, live: &Side, session: &Session, options: &ApplyOptions, workspace: &Workspace) -> Outcome {
    // Read again under the lock: what was read before may have changed.
    let now = introspect_beside(session, &workspace.seen).await?;
    let scope = fingerprint(&plan.scope.of(&now));
    fresh(plan, live, &now, &scope)?;
    if scope == plan.to {
        failure::print(&format!("Plan {} is applied already: {} is as the plan leaves it.\n", plan.short_id(), live.name))?;
        return Ok(DONE);
    }
    grown(plan, session).await?;
    failure::print(&format!(
        "Applying {} to {}. Lock taken, live schema equals what was planned.\n",
        plan.short_id(),
        live.name
    ))?;
    rows(plan, session, options, workspace).await?;
    if !options.yes && !asked()? {
        return Ok(REFUSED);
    }
    let lock_timeout = options.lock_timeout.or(workspace.config.lock_timeout).unwrap_or(LOCK_TIMEOUT);
    let settings = Settings { lock_timeout: Some(lock_timeout) };
    let begun = Instant::now();
    Run { plan, session, settings, wait: options.wait, workspace }.all().await?;
    verify(plan, session, &workspace.seen, begun.elapsed()).await
}

/// The rows are such that no step fails on them, as far as they can be asked before the first one.
async fn rows(plan: &Plan, session: &Session, options: &ApplyOptions, workspace: &Workspace) -> Result<(), Failure> {
    let Some(limits) = limits(workspace, true).filter(|_| plan.steps().any(|s| !s.checks.is_empty())) else { return Ok(()) };
    let answers = ask(&session.client, plan, limits).await.map_err(unread)?;
    let failing = |a: &&Answered| a.answer.fails();
    let lines: Vec<String> = answers.iter().filter(failing).map(|a| format!("step {}: {}", a.step, a.sentence())).collect();
    if lines.is_empty() || options.allow.iter().any(|a| a == "rows" || a == "all") {
        return Ok(());
    }
    Err(Failure::new("apply::rows", format!("this plan would fail on rows that are in its way\n{}", lines.join("\n")))
        .help("change these rows first (the plan has the queries that find them), or add --allow rows if an earlier step of the plan does")
        .exit(REFUSED))
}

/// Asks on a terminal; elsewhere the plan itself is the approval.
fn asked() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    failure::print("Go on? [y/N] ")?;
    std::io::stdout().flush().ok();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| Failure::new("system::input", e.to_string()))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The live database is where the plan said it would be.
async fn verify(plan: &Plan, session: &Session, seen: &Seen, took: Duration) -> Outcome {
    let after = introspect_beside(session, seen).await?;
    let found = fingerprint(&plan.scope.of(&after));
    if found == plan.to {
        let steps = plan.steps().count();
        let steps = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
        let took = time(took.as_secs_f64());
        failure::print(&format!("Done: {steps} applied in {took}, the live schema equals what was planned.\n"))?;
        return Ok(DONE);
    }
    if matches!(plan.proof, Proof::Unproven { .. }) {
        failure::print(
            "Done. The plan was not proven, and the live schema is not byte for byte what it said: `plumb drift` tells.\n",
        )?;
        return Ok(DONE);
    }
    Err(Failure::new("apply::differs", "every step ran, and the live schema is not what the plan says")
        .help("run `plumb drift` to see what differs: somebody else changed the schema meanwhile, or this is a bug of plumb")
        .exit(IN_PART))
}
