//! `plumb drift`: the live database against the files.

use super::arguments::{DriftOptions, ReportFormat};
use super::plan::{Making, planned};
use super::workspace::Workspace;
use super::{Outcome, failure};
use crate::exit_code::{DIFFERENCES, DONE, REFUSED};
use crate::pg::lock;
use crate::plan::{differences, findings};
use crate::report::{junit, sarif};
use crate::statement::Online;

/// The command.
pub async fn run(options: &DriftOptions, workspace: &mut Workspace) -> Outcome {
    let planned =
        planned(workspace, &options.database, &options.wanted, Making { proven: false, online: Online::Never, phase: None })
            .await?;
    if let Some(session) = &planned.live.session {
        match lock::try_lock(&session.client).await {
            Ok(true) => drop(lock::unlock(&session.client).await),
            Ok(false) => {
                workspace.progress.clear();
                let holder = lock::holder(&session.client).await.ok().flatten();
                let who = holder.map_or(String::new(), |h| format!(": {h}"));
                eprintln!("plumb: busy, a plan is being applied{who}");
                return Ok(REFUSED);
            }
            Err(_) => {}
        }
    }
    workspace.progress.clear();
    let options_text = differences::Options {
        color: workspace.color,
        width: super::terminal::width(std::io::stdout()),
        mode: differences::Mode::Drift,
        verbose: workspace.progress.verbose(),
        target: planned.live.name.clone(),
        schema: planned.wanted.name.clone(),
        objects: planned.sides.live.len(),
    };
    let text = match options.format {
        ReportFormat::Text => differences::render(&planned.plan, &options_text),
        ReportFormat::Json => differences::json(&planned.plan),
        ReportFormat::Sarif => sarif(&findings::drift(&planned.plan, &planned.live.name)),
        ReportFormat::Junit => junit(&findings::drift(&planned.plan, &planned.live.name)),
    };
    failure::print(&text)?;
    let silent = planned.plan.is_empty() && planned.plan.unmanaged.iter().all(|u| u.side == "both");
    Ok(if silent { DONE } else { DIFFERENCES })
}
