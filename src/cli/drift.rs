//! `plumb drift`: the live database against the files, or against what was applied last.

use std::path::PathBuf;
use std::time::SystemTime;

use super::arguments::{DriftOptions, ReportFormat};
use super::asked::Asked;
use super::compiled::keep_same;
use super::failure::Failure;
use super::ledger::{kept, say_closed, with_ledger};
use super::motion::{Motion, state};
use super::plan::{Making, other_owner, planned, put_aside};
use super::settling::settled;
use super::side;
use super::watching::origins;
use super::workspace::Workspace;
use super::{Outcome, failure};
use crate::apply::ledger::{document, last_applied};
use crate::config;
use crate::exit_code::{DIFFERENCES, DONE, REFUSED};
use crate::pg::{self, Session};
use crate::plan::{Acceptance, Plan, Sides, differences, drift_markdown, entries, findings, make, metrics, short};
use crate::report::{junit, sarif};
use crate::source::date::day;
use crate::statement::Online;

/// What was compared.
struct Compared {
    plan: Plan,
    target: String,
    schema: String,
    objects: usize,
}

/// The command.
pub async fn run(options: &DriftOptions, workspace: &mut Workspace) -> Outcome {
    // A deploy that is under way is no drift. It may begin, and even end, while the catalogs are read, so this is asked before and after.
    let mut run = None;
    if let Some(target) = side::target(workspace, &options.database)? {
        let session = pg::connect(&target).await?;
        let before = state(&session).await.inspect(|state| say_closed(&session, &state.ledger));
        session.close().await;
        let before = before?;
        if let Some(motion) = before.motion {
            return Ok(told(workspace, &motion));
        }
        run = before.run;
    }
    let (mut compared, session) =
        if options.applied { applied(options, workspace).await? } else { files(options, workspace).await? };
    if let Some(session) = &session {
        let after = state(session).await?;
        let between = (after.run != run && !compared.plan.is_empty()).then(|| Motion::Busy(MEANWHILE.to_owned()));
        if let Some(motion) = after.motion.or(between) {
            return Ok(told(workspace, &motion));
        }
    }
    if let Some(session) = session.as_ref().filter(|_| !compared.plan.is_empty()) {
        compared.plan.know_origins(&origins(session, &compared.plan).await);
    }
    workspace.progress.clear();
    let options_text = differences::Options {
        color: workspace.color,
        width: super::terminal::width(std::io::stdout()),
        mode: differences::Mode::Drift,
        verbose: workspace.progress.verbose(),
        target: compared.target.clone(),
        schema: compared.schema.clone(),
        objects: compared.objects,
        acceptance: acceptance(options, workspace, &compared.plan)?,
    };
    let (plan, name, acceptance) = (&compared.plan, &compared.target, &options_text.acceptance);
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

fn told(workspace: &Workspace, motion: &Motion) -> u8 {
    workspace.progress.clear();
    eprintln!("plumb: {motion}");
    REFUSED
}

const MEANWHILE: &str = "plumb was at work here while the two were compared: ask again";

/// The live database against the files.
async fn files(options: &DriftOptions, workspace: &mut Workspace) -> Result<(Compared, Option<Session>), Failure> {
    let making = Making { proven: false, online: Online::Never, renames: &options.renames.rename, ..Making::default() };
    let mut planned = planned(workspace, &options.database, &options.wanted, making).await?;
    // Nobody applies it.
    let owner = other_owner(&planned.live);
    planned.plan.warnings.retain(|warning| Some(warning) != owner.as_ref());
    let nothing = planned.plan.is_empty() && planned.plan.unmanaged.is_empty() && options.renames.rename.is_empty();
    if let Some(place) = planned.wanted.compiled.as_ref().filter(|_| nothing) {
        let asked = Asked::new(workspace, &options.wanted.scope);
        keep_same(place, &planned.live.catalog, &asked, &planned.sides.scope);
    }
    let compared = Compared {
        target: planned.live.name.clone(),
        schema: planned.wanted.name.clone(),
        objects: planned.sides.live.len(),
        plan: planned.plan,
    };
    // The command ends next: taking catalogs apart object by object takes as long as comparing them.
    std::mem::forget((planned.live.catalog, planned.wanted.catalog, planned.sides, planned.changes));
    Ok((compared, planned.live.session))
}

/// The live database against what was applied last.
async fn applied(options: &DriftOptions, workspace: &mut Workspace) -> Result<(Compared, Option<Session>), Failure> {
    let live = side::live(workspace, &options.database).await?;
    let missing = |why: &str| {
        Failure::new("drift::nothing_applied", format!("{}: {why}", live.name))
            .help("`plumb drift` without --applied compares with the files")
    };
    let session = with_ledger(&live, &missing).await?;
    let Some(last) = last_applied(&session.client).await? else { return Err(missing("plumb has applied nothing here yet")) };
    let Some(after) = kept(session, last.after.as_ref()).await? else {
        return Err(missing("the ledger does not have the schema after the last plan: that run was cut off at its very end"));
    };
    let scope = document(&session.client, &last.plan).await?.scope;
    let mut sides = Sides::within(live.catalog.clone(), &after, scope);
    settled(workspace, &live, &options.wanted, &mut sides).await?;
    let mut made = make(&sides, &|_| None, Vec::new())?;
    put_aside(&sides, &mut made.plan);
    let word = if last.abandoned { "abandoned" } else { "applied" };
    let compared = Compared {
        target: live.name.clone(),
        schema: format!("plan {}, {word} {}", short(&last.plan), last.ended),
        objects: sides.live.len(),
        plan: made.plan,
    };
    Ok((compared, live.session))
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
