//! `plumb drift`: the live database against the files.

use std::path::PathBuf;
use std::time::SystemTime;

use super::arguments::{DriftOptions, ReportFormat};
use super::failure::Failure;
use super::plan::{Making, planned};
use super::workspace::Workspace;
use super::{Outcome, failure};
use crate::config;
use crate::exit_code::{DIFFERENCES, DONE, REFUSED};
use crate::pg::lock;
use crate::plan::{Acceptance, Plan, differences, drift_markdown, entries, findings, metrics};
use crate::report::{junit, sarif};
use crate::source::date::day;
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
        acceptance: acceptance(options, workspace, &planned.plan)?,
    };
    let (plan, name, acceptance) = (&planned.plan, &planned.live.name, &options_text.acceptance);
    let text = match options.format {
        ReportFormat::Text => differences::render(plan, &options_text),
        ReportFormat::Json => differences::json(plan, acceptance),
        ReportFormat::Sarif => sarif(&findings::drift(plan, name, acceptance)),
        ReportFormat::Junit => junit(&findings::drift(plan, name, acceptance)),
        ReportFormat::Markdown => drift_markdown::render(plan, acceptance, name, &options_text.schema),
        ReportFormat::Prometheus => metrics::render(plan, acceptance, options_text.objects, seconds()),
        ReportFormat::Accept => entries(plan, acceptance),
    };
    failure::print(&text)?;
    let silent = differences::count(plan) == acceptance.count();
    Ok(if silent { DONE } else { DIFFERENCES })
}

/// What is accepted of the differences today.
fn acceptance(options: &DriftOptions, workspace: &Workspace, plan: &Plan) -> Result<Acceptance, Failure> {
    let file = options.accepted.clone().or_else(|| workspace.config.accepted.clone().map(PathBuf::from));
    let entries = file.map(|file| config::accepted(&file)).transpose()?.unwrap_or_default();
    Ok(Acceptance::new(&entries, plan, &day(SystemTime::now())))
}

/// Now, in seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
