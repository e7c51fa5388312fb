//! `plumb apply --abandon`: a plan that was broken off is closed as it stands.

use super::apply::{asked, take_lock};
use super::arguments::ApplyOptions;
use super::failure::{self, Failure};
use super::ledger::{standing, who};
use super::preflight::writable;
use super::prove::read_plan;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::ledger::{Deployment, abandon, document};
use crate::catalog::pack;
use crate::exit_code::{DONE, REFUSED};
use crate::introspect::introspect_beside;
use crate::pg::{self, Session, lock};
use crate::plan::{PlanStep, short};

/// The command.
pub async fn run(options: &ApplyOptions, workspace: &Workspace) -> Outcome {
    let named = options.plan.as_deref().map(read_plan).transpose()?;
    let Some(target) = side::target(workspace, &options.database)? else {
        return Err(
            Failure::new("apply::snapshot", "a snapshot is no database that a plan can be applied to").help("give --db URL")
        );
    };
    let session = pg::connect(&target).await?;
    writable(&session, &target.to_string()).await?;
    take_lock(&session).await?;
    let outcome = locked(named.map(|plan| plan.id), &session, &target.to_string(), options, workspace).await;
    lock::unlock(&session.client).await.ok();
    session.close().await;
    outcome
}

async fn locked(named: Option<String>, session: &Session, name: &str, options: &ApplyOptions, workspace: &Workspace) -> Outcome {
    let Some(open) = standing(session).await? else {
        failure::print(&format!("Nothing is unfinished on {name}.\n"))?;
        return Ok(DONE);
    };
    if let Some(named) = named.filter(|named| *named != open.plan) {
        let (named, open) = (short(&named), short(&open.plan));
        return Err(Failure::new("apply::unfinished", format!("plan {named} is not unfinished here: plan {open} is"))
            .help("name that one, or none")
            .exit(REFUSED));
    }
    failure::print(&told(&open, session, name).await?)?;
    if !options.yes && !asked(workspace).await? {
        return Ok(REFUSED);
    }
    let now = introspect_beside(session, &workspace.seen).await?;
    abandon(&session.client, open.id, &pack(&now), &who()).await?;
    failure::print("Abandoned: what was applied stays. `plumb plan` holds what is left.\n")?;
    Ok(DONE)
}

/// What was applied, what may be, and what was not.
async fn told(open: &Deployment, session: &Session, name: &str) -> Result<String, Failure> {
    let plan = document(&session.client, &open.plan).await?;
    let (id, done, all) = (plan.short_id(), open.done.len(), open.steps);
    let mut text = format!("Plan {id} on {name}: {done} of {all} steps are applied.\n");
    let line = |step: &PlanStep, what: &str| {
        crate::plan::text::one_line(&format!("  {:>3}  {} {}: {what}", step.id, step.change, step.object)) + "\n"
    };
    for step in plan.steps().filter(|s| !open.done.contains(&s.id)) {
        let what = if open.in_doubt.contains(&step.id) { "began, and may be done or half done" } else { "not applied" };
        text += &line(step, what);
    }
    Ok(text)
}
