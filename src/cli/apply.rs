//! `plumb apply`: run a plan under a lock, and see that it ended where it said.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::arguments::ApplyOptions;
use super::failure::{self, Failure};
use super::plan::planned;
use super::prove::read_plan;
use super::side::Side;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::run::{Settings, StepFailed, run_group};
use crate::catalog::fingerprint;
use crate::exit_code::{DONE, ERROR, IN_PART, REFUSED};
use crate::introspect::introspect;
use crate::pg::{Session, lock};
use crate::plan::{Group, Plan, PlanStep, Proof};
use crate::sql::ident;

/// How long lock waits are retried altogether.
const RETRY_BUDGET: Duration = Duration::from_secs(120);

/// The command.
pub async fn run(options: &ApplyOptions, workspace: &mut Workspace) -> Outcome {
    let (plan, live) = match &options.plan {
        Some(path) => {
            let plan = read_plan(path)?;
            (plan, side::live(workspace, &options.database).await?)
        }
        None => {
            let planned = planned(workspace, &options.database, &options.wanted, true).await?;
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
    take_lock(session).await?;
    let outcome = locked(&plan, &live, session, options, workspace).await;
    lock::unlock(&session.client).await.ok();
    outcome
}

/// Everything that `--allow` has to name.
fn allowed(plan: &Plan, options: &ApplyOptions) -> Result<(), Failure> {
    let allowed = |code: &str| options.allow.iter().any(|a| a == code || a == "all");
    let mut missing: Vec<(String, String)> = Vec::new();
    if let Proof::Unproven { reason } = &plan.proof
        && !allowed("unproven")
    {
        missing.push(("unproven".to_owned(), format!("the plan is not proven: {reason}")));
    }
    for step in plan.steps() {
        for hazard in step.hazards.iter().filter(|h| h.refused && !allowed(&h.code)) {
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
fn fresh(plan: &Plan, live: &Side, scope: &str) -> Result<(), Failure> {
    let stale = |why: String| Err(Failure::new("plan::stale", why).help("make a new plan with `plumb plan`").exit(REFUSED));
    if live.catalog.database != plan.database {
        return stale(format!("the plan is for database {}, this is {}", plan.database, live.catalog.database));
    }
    if live.catalog.role != plan.role {
        return stale(format!(
            "the plan was made as {}, and this is {}: new objects would have another owner",
            plan.role, live.catalog.role
        ));
    }
    if scope == plan.to {
        return Ok(());
    }
    let missing: Vec<String> = plan.roles.iter().filter(|r| !live.catalog.roles.contains(*r)).map(|r| ident(r)).collect();
    if !missing.is_empty() {
        let create: Vec<String> = missing.iter().map(|r| format!("CREATE ROLE {r};")).collect();
        return Err(Failure::new("apply::missing_role", format!("the server does not have these roles: {}", missing.join(", ")))
            .help(format!("plumb does not create roles. Create them first, for instance: {}", create.join(" ")))
            .exit(REFUSED));
    }
    if scope != plan.from.scope {
        return stale("the live database is not as it was when the plan was made".to_owned());
    }
    Ok(())
}

async fn locked(plan: &Plan, live: &Side, session: &Session, options: &ApplyOptions, workspace: &Workspace) -> Outcome {
    // Read again under the lock: what was read before may have changed.
    let now = introspect(session).await?;
    let scope = fingerprint(&plan.scope.of(&now));
    fresh(plan, live, &scope)?;
    if scope == plan.to {
        failure::print(&format!("Plan {} is applied already: {} is as the plan leaves it.\n", plan.short_id(), live.name))?;
        return Ok(DONE);
    }
    failure::print(&format!(
        "Applying {} to {}. Lock taken, live schema equals what was planned.\n",
        plan.short_id(),
        live.name
    ))?;
    if !options.yes && !asked()? {
        return Ok(REFUSED);
    }
    let settings = Settings { lock_timeout: Some(options.lock_timeout) };
    for (done, group) in plan.groups.iter().enumerate() {
        if let Err(failed) = with_retries(session, group, settings, workspace).await {
            return Err(stopped(plan, done, &failed, workspace));
        }
        workspace.applied.set(true);
    }
    verify(plan, session).await
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

fn sign(step: &PlanStep) -> char {
    match step.change.as_str() {
        "create" => '+',
        "drop" => '-',
        _ => '~',
    }
}

/// Runs a group; when a lock is not to be had it gives way, waits and tries again.
async fn with_retries(session: &Session, group: &Group, settings: Settings, workspace: &Workspace) -> Result<(), StepFailed> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        let mut since = Instant::now();
        let mut lines = Vec::new();
        let show = |step: &PlanStep| {
            let line = format!("  {:>3} {} {}", step.id, sign(step), super::dump::one_line(&step.object.to_string()));
            lines.push(format!("{line:<72} done {:>7} ms", since.elapsed().as_millis()));
            since = Instant::now();
        };
        let outcome = run_group(&session.client, group, settings, None, show).await;
        let lock_wait = |e: &StepFailed| matches!(e.code.as_str(), "55P03" | "40P01");
        match outcome {
            Err(e) if lock_wait(&e) && started.elapsed() < RETRY_BUDGET => {
                workspace.progress.line(&format!(
                    "  {:>3} waits for a lock: {}; next try in {:.1} s",
                    e.step,
                    e.message,
                    pause.as_secs_f64()
                ));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(16));
            }
            Err(e) => return Err(e),
            Ok(()) => {
                for line in lines {
                    workspace.progress.line(&line);
                }
                return Ok(());
            }
        }
    }
}

fn stopped(plan: &Plan, done: usize, failed: &StepFailed, workspace: &Workspace) -> Failure {
    let applied = workspace.applied.get();
    let state = if applied {
        format!("Groups 1 to {done} of {} are applied and stay; the failed one was rolled back.", plan.groups.len())
    } else {
        "Nothing was applied: the transaction was rolled back.".to_owned()
    };
    Failure::new("apply::step", format!("{failed}\n{}\n{state}", failed.sql))
        .help("mend the cause and make a new plan with `plumb plan`")
        .exit(if applied { IN_PART } else { ERROR })
}

/// The live database is where the plan said it would be.
async fn verify(plan: &Plan, session: &Session) -> Outcome {
    let after = introspect(session).await?;
    let found = fingerprint(&plan.scope.of(&after));
    if found == plan.to {
        let steps = plan.steps().count();
        failure::print(&format!("Done: {steps} steps applied, the live schema equals what was planned.\n"))?;
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
