//! `plumb prove PLAN`: a stored plan on a fresh copy.

use super::arguments::{ProveOptions, Wanted};
use super::failure::{self, Failure};
use super::stale::unchanged;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::catalog::fingerprint;
use crate::exit_code::{DONE, ERROR};
use crate::introspect::introspect;
use crate::{kind, plan, prove};

/// The command.
pub async fn run(options: &ProveOptions, workspace: &mut Workspace) -> Outcome {
    let plan = read_plan(&options.plan)?;
    let live = side::live(workspace, &options.database).await?;
    unchanged(&plan, &live.catalog)?;
    let wanted = Wanted { schema: None, shadow: options.shadow.clone(), scope: Vec::new() };
    let target = live.session.as_ref().map(|s| s.target.clone());
    let mut roles = kind::roles(&live.catalog);
    roles.insert(plan.role.clone());
    workspace.progress.stage("proving the plan on a copy");
    let scratch = workspace.scratch(wanted.shadow.as_deref(), &live.properties, target.as_ref(), &plan.role, &roles).await?;
    let verdict = match prove::copy(&scratch, &live.catalog).await? {
        Err(e) => Err(format!("no copy of the live schema could be made: {e}")),
        Ok(()) => match prove::run_groups(&scratch, &plan.groups).await {
            Err(e) => Err(format!("on the copy, step {} ({}) fails: {}", e.step, e.object, e.message)),
            Ok(()) => {
                let after = plan.scope.of(&introspect(&scratch.session).await?);
                let same = fingerprint(&after) == plan.to;
                if same { Ok(()) } else { Err("run on a copy, the plan does not end in its `to`".to_owned()) }
            }
        },
    };
    workspace.progress.clear();
    match verdict {
        Ok(()) => {
            failure::print(&format!("Plan {} is proven: run on a copy it ends in its `to`.\n", plan.short_id())).map(|()| DONE)
        }
        Err(reason) => failure::print(&format!("Plan {} is not proven: {reason}.\n", plan.short_id())).map(|()| ERROR),
    }
}

/// Reads a plan document.
pub fn read_plan(path: &std::path::Path) -> Result<plan::Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::new("plan::unreadable", format!("{} cannot be read: {e}", path.display()))
            .help("a plan is what `plumb plan` writes, by default below plans/")
    })?;
    Ok(plan::read(&text)?)
}
