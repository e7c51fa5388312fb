//! `plumb rollback`: a plan from what the live database is to what it was before the plan that was applied last, as the ledger has it.

use super::Outcome;
use super::arguments::{RollbackOptions, Wanted};
use super::failure::Failure;
use super::ledger::{kept, standing, stands_in_the_way, with_ledger};
use super::plan::{Planned, Proven, estimates, filled, measured, other_owner, proven, row_checks, told};
use super::renames::called_back;
use super::reverse::moves;
use super::settling::settled;
use super::side::{self, Side};
use super::workspace::Workspace;
use crate::apply::ledger::{Applied, document, last_applied};
use crate::catalog::{Catalog, fingerprint};
use crate::plan::{Plan, Sides, make, short};

/// The command.
pub async fn run(options: &RollbackOptions, workspace: &mut Workspace) -> Outcome {
    let wanted = Wanted { shadow: options.shadow.clone(), ..Wanted::default() };
    let live = side::live(workspace, &options.database).await?;
    let last = last(&live).await?;
    let online = options.online.unwrap_or(workspace.config.online);
    let quarantine = workspace.quarantine(options.protect.unwrap_or(workspace.config.protect));
    let mut sides = Sides { online, quarantine, ..sides(workspace, &live, &last, &wanted).await? };
    settled(workspace, &live, &wanted, &mut sides).await?;
    workspace.progress.stage("comparing and ordering");
    let warnings = other_owner(&live).into_iter().chain(last.changed_since(&sides)).collect();
    let made = make(&sides, &|_| None, warnings)?;
    let proven = proven(workspace, &live, &wanted, &sides, &made, &|_| None, (!options.no_prove, None)).await?;
    let Proven { plan, after, .. } = proven;
    let takes_back = Some(last.applied.plan.clone()).filter(|_| !plan.is_empty());
    let mut plan = Plan { takes_back, ..plan }.seal();
    row_checks(workspace, &live, &mut plan).await?;
    estimates(&live, sides.renamed.as_ref(), &mut plan).await?;
    let name = format!("the schema before plan {}, {}", short(&last.applied.plan), last.applied.ended);
    let planned = Planned {
        wanted: Side::new(last.before, name, live.properties.clone()),
        sides,
        filled: filled(&made),
        changes: made.changes,
        plan,
        after,
        live,
    };
    told(workspace, measured(workspace, planned), &options.output, options.database.env.clone())
}

/// What was applied last, and what it began with.
struct Last {
    applied: Applied,
    plan: Plan,
    before: Catalog,
    after: Option<Catalog>,
}

impl Last {
    /// What has changed since would be taken back too.
    fn changed_since(&self, sides: &Sides) -> Option<String> {
        let after = self.after.as_ref().map(|after| fingerprint(&self.plan.scope.of(after)));
        let now = fingerprint(&self.plan.scope.of(sides.begin()));
        let id = short(&self.applied.plan);
        match after {
            Some(after) if after == now => None,
            Some(_) => {
                Some(format!("the schema has changed since plan {id} was applied: this plan takes these changes back too"))
            }
            None => Some(format!("the ledger does not have the schema after plan {id}: what changed since is taken back too")),
        }
    }
}

/// Asks the ledger.
async fn last(live: &Side) -> Result<Last, Failure> {
    let missing = |why: &str| {
        Failure::new("rollback::nothing_applied", format!("{}: {why}", live.name))
            .help("`plumb plan` with the files of an older commit leads back to them")
    };
    let session = with_ledger(live, &missing).await?;
    if let Some(open) = standing(session).await? {
        return Err(stands_in_the_way(&open));
    }
    let Some(applied) = last_applied(&session.client).await? else { return Err(missing("plumb has applied nothing here yet")) };
    let Some(before) = kept(session, applied.before.as_ref()).await? else {
        return Err(missing("the ledger does not have the schema before the last plan any more"));
    };
    let (after, plan) = (kept(session, applied.after.as_ref()).await?, document(&session.client, &applied.plan).await?);
    Ok(Last { applied, plan, before, after })
}

/// From what is to what was, in the scope of the plan; what it has renamed gets its old name first.
async fn sides(workspace: &mut Workspace, live: &Side, last: &Last, wanted: &Wanted) -> Result<Sides, Failure> {
    let sides = Sides::within(live.catalog.clone(), &last.before, last.plan.scope.clone().without_returned());
    let moves = moves(&last.plan, &live.catalog, &last.plan.scope);
    if moves.is_empty() {
        return Ok(sides);
    }
    Ok(match called_back(workspace, live, &live.catalog, &moves, wanted).await? {
        Some(called) => called.turn(sides, &live.catalog),
        None => sides,
    })
}
