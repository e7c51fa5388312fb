//! `plumb plan`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Outcome;
use super::ahead::{Ahead, beside};
use super::arguments::{Output, PlanFormat, PlanOptions, Wanted};
use super::failure::Failure;
use super::motion::state;
use super::phased::before_renames;
use super::reverse::backward;
use super::settling;
use super::side::{self, Side};
use super::told;
use super::workspace::Workspace;
use crate::apply::row_checks::{Limits, ask};
use crate::apply::run::StepFailed;
use crate::catalog::{Catalog, Id};
use crate::change::Changes;
use crate::exit_code::{DIFFERENCES, DONE};
use crate::introspect::{IntrospectError, read_sizes, read_usage};
use crate::kind;
use crate::plan::{self, ANSWERS, Made, Phase, Plan, Proof, Renamed, Sides, Source, make_up_to};
use crate::prove::prove;
use crate::report::{junit, sarif};
use crate::source::date::{day, moment};
use crate::statement::{BATCH, Online, Protect};

/// Both sides, a plan between them, and its proof.
pub struct Planned {
    /// The live side.
    pub live: Side,
    /// The wanted side.
    pub wanted: Side,
    /// Cut to the scope.
    pub sides: Sides,
    /// The changes between them.
    pub changes: Changes,
    /// The document.
    pub plan: Plan,
    /// The copy on which it was proven, as it was left.
    pub after: Option<Catalog>,
    /// Columns whose rows it gives values: table and column as SQL names.
    pub filled: BTreeSet<(String, String)>,
}

/// How a plan is to be made.
#[derive(Clone, Copy, Default)]
pub struct Making<'a> {
    /// Whether it is proven on a copy.
    pub proven: bool,
    /// When changes take their online forms.
    pub online: Online,
    /// The last phase that it has; all of them without one.
    pub phase: Option<Phase>,
    /// What the command line says of names.
    pub renames: &'a [String],
    /// What becomes of tables and columns that are not wanted any more.
    pub protect: Protect,
}

/// Reads both sides and plans; asks the live rows whether the plan would fail on them.
pub async fn planned(
    workspace: &mut Workspace,
    database: &super::arguments::Database,
    wanted: &Wanted,
    making: Making<'_>,
) -> Result<Planned, Failure> {
    let mut planned = forward(workspace, database, wanted, making).await?;
    for note in told::notes(&planned) {
        workspace.progress.line(&format!("note: {note}"));
    }
    row_checks(workspace, &planned.live, &mut planned.plan).await?;
    estimates(&planned.live, planned.sides.renamed.as_ref(), &mut planned.plan).await?;
    Ok(measured(workspace, planned))
}

/// With what is told of the work.
pub fn measured(workspace: &Workspace, mut planned: Planned) -> Planned {
    planned.plan.observed.insert("made".to_owned(), moment(SystemTime::now()).into());
    planned.plan.observed.insert("objects".to_owned(), planned.sides.live.len().into());
    put_aside(&planned.sides, &mut planned.plan);
    planned.plan.observed.insert("elapsed_seconds".to_owned(), workspace.progress.elapsed().as_secs_f64().into());
    planned
}

/// How much was put aside before and is still there: no difference, and yet nobody should forget it.
pub fn put_aside(sides: &Sides, plan: &mut Plan) {
    let aside = sides.scope.quarantined(sides.begin()).count();
    if aside > 0 {
        plan.observed.insert(plan::PUT_ASIDE.to_owned(), aside.into());
    }
}

/// Reads both sides and plans; proves unless told not to.
pub async fn forward(
    workspace: &mut Workspace,
    database: &super::arguments::Database,
    wanted: &Wanted,
    making: Making<'_>,
) -> Result<Planned, Failure> {
    let schema = workspace.schema(wanted, database.env.as_deref())?;
    let (mut live, mut desired) = side::both(workspace, database, &schema, wanted, making.proven).await?;
    let mut ahead = desired.ahead.take();
    // Where nothing differs, and that is so every night, nobody asks how much there is.
    let late = !making.proven && making.online == Online::Never;
    if !late {
        counted(&mut live, &mut ahead).await?;
    }
    let (mut sides, mut made) = compared(workspace, (&live, &desired), wanted, making, &mut ahead).await?;
    if late && !made.plan.is_empty() {
        counted(&mut live, &mut ahead).await?;
        (sides, made) = compared(workspace, (&live, &desired), wanted, making, &mut ahead).await?;
    }
    let source = |id: &Id| desired.source(id);
    made.plan = made.plan.asserting(&|id| desired.asserted(id));
    let ahead = ahead.filter(|ahead| ahead.serves(&sides));
    let proven = proven(workspace, &live, wanted, &sides, &made, &source, (making.proven, ahead)).await?;
    let Proven { plan, after, failed } = proven;
    if let Some(failure) = failed.and_then(|failed| told::refused(&desired, &failed)) {
        return Err(failure);
    }
    let plan = located(plan, &desired).asserting(&|id| desired.asserted(id));
    let plan = plan.ignoring(&|id| desired.known(id), &day(SystemTime::now()));
    Ok(Planned { live, wanted: desired, sides, filled: filled(&made), changes: made.changes, plan, after })
}

/// Asks how much the live tables hold.
async fn counted(live: &mut Side, ahead: &mut Option<Ahead>) -> Result<(), Failure> {
    if let Some(session) = &live.session {
        beside(ahead, read_sizes(session, &mut live.catalog)).await?;
    }
    Ok(())
}

/// Both sides cut to the scope, and a plan between them.
async fn compared(
    workspace: &mut Workspace,
    (live, desired): (&Side, &Side),
    wanted: &Wanted,
    making: Making<'_>,
    ahead: &mut Option<Ahead>,
) -> Result<(Sides, Made), Failure> {
    let batch = workspace.config.backfill_batch.map_or(BATCH, NonZeroU32::get);
    let between = beside(ahead, settling::between(workspace, (live, desired), wanted, making.renames)).await?;
    let quarantine = workspace.quarantine(making.protect);
    let mut sides = Sides { online: making.online, batch, quarantine, ..between };
    workspace.progress.stage("comparing and ordering");
    let source = |id: &Id| desired.source(id);
    let last = making.phase.unwrap_or(Phase::Contract);
    let warnings = workspace_warnings(live, desired);
    let made = match sides.renamed.clone().filter(|_| last != Phase::Contract) {
        Some(renamed) => {
            let sides = (&mut sides, &renamed);
            beside(ahead, before_renames(workspace, live, wanted, sides, last, &source, warnings)).await?
        }
        None => make_up_to(&mut sides, last, &source, warnings)?,
    };
    Ok((sides, made))
}

/// The columns whose rows a plan gives values.
pub fn filled(made: &Made) -> BTreeSet<(String, String)> {
    let batches = made.steps.iter().flat_map(|s| &s.statements).filter_map(|s| s.batches.as_ref());
    batches.map(|b| (b.table.clone(), b.column.clone())).collect()
}

/// A plan with what its proof has found.
pub struct Proven {
    /// The plan.
    pub plan: Plan,
    /// The copy as the plan left it, when it ended where it should.
    pub after: Option<Catalog>,
    /// The step that the copy refused.
    pub failed: Option<StepFailed>,
}

/// The plan with its proof, and how the copy was left; as it is when it is not to be proven.
pub async fn proven(
    workspace: &mut Workspace,
    live: &Side,
    wanted: &Wanted,
    sides: &Sides,
    made: &Made,
    source: &dyn Fn(&Id) -> Option<Source>,
    (wish, ahead): (bool, Option<Ahead>),
) -> Result<Proven, Failure> {
    let unseen = |plan: Plan| Proven { plan, after: None, failed: None };
    if made.plan.is_empty() {
        let proof = Proof::Equal { server: sides.whole.server, copy: "nothing to do".to_owned() };
        return Ok(unseen(Plan { proof, ..made.plan.clone() }.seal()));
    }
    if wish { proof(workspace, live, wanted, sides, made, source, ahead).await } else { Ok(unseen(made.plan.clone())) }
}

/// Asks the live database how much the plan's steps have to work on.
pub async fn estimates(live: &Side, renamed: Option<&Renamed>, plan: &mut Plan) -> Result<(), Failure> {
    let Some(session) = &live.session else { return Ok(()) };
    let mut asked = plan::worked_on(plan);
    // What gets another name first is known to the server by the one that it has.
    let names: Vec<(&String, &String)> =
        renamed.iter().flat_map(|renamed| &renamed.names).filter(|(new, _)| asked.contains(*new)).collect();
    asked.extend(names.iter().map(|(_, old)| (*old).clone()));
    let (mut usage, mut sizes) = (read_usage(session, &asked).await?, live.catalog.sizes.clone());
    for (new, old) in names {
        if let (false, Some(known)) = (usage.contains_key(new), usage.get(old).cloned()) {
            usage.insert(new.clone(), known);
            sizes.extend(live.catalog.sizes.get(old).map(|size| (new.clone(), *size)));
        }
    }
    plan::estimated(plan, &sizes, usage);
    Ok(())
}

/// Asks the live database what the plan's steps need of its rows.
pub async fn row_checks(workspace: &mut Workspace, live: &Side, plan: &mut Plan) -> Result<(), Failure> {
    let Some(session) = live.session.as_ref().filter(|_| plan.steps().any(|s| !s.checks.is_empty())) else { return Ok(()) };
    let Some(limits) = limits(workspace, false) else { return Ok(()) };
    workspace.progress.stage("asking the live rows");
    let answers = ask(&session.client, plan, limits).await.map_err(unread)?;
    plan.observed.insert(ANSWERS.to_owned(), serde_json::to_value(answers).unwrap_or_default());
    Ok(())
}

/// The connection is lost while the rows are asked for.
pub fn unread(source: tokio_postgres::Error) -> IntrospectError {
    IntrospectError::Query { what: "rows that would be in the way".to_owned(), source }
}

/// How long the live database may be asked about its rows; none when it is not to be asked.
pub fn limits(workspace: &Workspace, evaluate: bool) -> Option<Limits> {
    let each = workspace.config.row_check_timeout.unwrap_or(ROW_CHECK_TIMEOUT);
    (!each.is_zero()).then(|| Limits { each, all: each * 6, evaluate })
}

/// How long one condition on rows may take when nobody says so.
const ROW_CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// With the files and lines of the bodies that hazards are about.
pub fn located(mut plan: Plan, desired: &Side) -> Plan {
    let hazards = plan.groups.iter_mut().flat_map(|g| &mut g.steps).flat_map(|s| &mut s.hazards);
    let mut any = false;
    for at in hazards.filter_map(|h| h.at.as_mut()) {
        if let Some(source) = desired.body_line(at) {
            (at.file, at.line) = (Some(source.file), source.line);
            any = true;
        }
    }
    // Whatever is said of a plan is part of its id.
    if any { plan.seal() } else { plan }
}

fn workspace_warnings(live: &Side, desired: &Side) -> Vec<String> {
    let mut warnings = Vec::new();
    let missing: Vec<String> =
        kind::roles(&desired.catalog).difference(&live.catalog.roles).map(|r| crate::sql::ident(r)).collect();
    if !missing.is_empty() {
        let roles = missing.join(", ");
        warnings.push(format!(
            "the wanted schema names roles that the server does not have: {roles}. Create them before the plan is applied"
        ));
    }
    warnings.extend(other_owner(live));
    if let Some((_, loaded)) = &desired.places
        && loaded.skipped_data > 0
    {
        warnings.push(format!("{} statements on rows in the files were not run", loaded.skipped_data));
    }
    warnings
}

/// Who makes the plan is not whose database it is.
pub fn other_owner(live: &Side) -> Option<String> {
    let Catalog { role, owner, .. } = &live.catalog;
    (role != owner).then(|| format!("the plan is made as {role}, and the database belongs to {owner}: apply it as {role}"))
}

/// Proves the plan on a copy; the verdict becomes part of the document.
async fn proof(
    workspace: &mut Workspace,
    live: &Side,
    wanted: &Wanted,
    sides: &Sides,
    made: &Made,
    source: &dyn Fn(&Id) -> Option<Source>,
    ahead: Option<Ahead>,
) -> Result<Proven, Failure> {
    workspace.progress.stage("proving the plan on a copy");
    let started = std::time::Instant::now();
    let outcome = match ahead {
        Some(ahead) => ahead.prove(sides, made).await?,
        None => {
            let mut roles = kind::roles(sides.begin());
            roles.extend(kind::roles(&sides.desired));
            let target = live.session.as_ref().map(|s| s.target.clone());
            let (stated, owner) = (wanted.shadow.as_deref(), &sides.whole.role);
            let scratch = workspace.scratch(stated, &live.properties, target.as_ref(), owner, &roles).await?;
            prove(scratch, sides, made, true).await?
        }
    };
    let mut plan = plan::observed(sides, made, source, &outcome.observations.steps);
    let unseen = outcome.observations.missing.filter(|_| matches!(outcome.proof, Proof::Equal { .. }));
    plan.warnings.extend(unseen.map(|why| format!("not all steps could be watched one by one on a copy: {why}")));
    plan.warnings.extend(outcome.observations.on_rows);
    plan.proof = outcome.proof;
    if let Some((to, objects)) = outcome.to {
        (plan.to, plan.to_objects) = (to, plan::changed(&plan.from.objects, &objects));
    }
    // What a step's hazard says already, and of which line, is not said twice.
    let named: Vec<String> =
        plan.steps().flat_map(|s| &s.hazards).filter_map(|h| h.at.as_ref().map(|at| at.of.to_string())).collect();
    let told = |w: &String| named.iter().filter_map(|n| n.split('(').next()).any(|n| w.starts_with(&format!("{n}(")));
    plan.warnings.extend(outcome.warnings.into_iter().filter(|w| !told(w)));
    plan.observed.insert("proof_seconds".to_owned(), started.elapsed().as_secs_f64().into());
    Ok(Proven { plan: plan.seal(), after: outcome.after, failed: outcome.failed })
}

/// The command.
pub async fn run(options: &PlanOptions, workspace: &mut Workspace) -> Outcome {
    let online = options.online.unwrap_or(workspace.config.online);
    let protect = options.protect.unwrap_or(workspace.config.protect);
    let making = Making { proven: !options.no_prove, online, phase: options.phase, renames: &options.renames.rename, protect };
    let mut planned = if options.reverse {
        backward(workspace, &options.database, &options.wanted, making).await?
    } else {
        planned(workspace, &options.database, &options.wanted, making).await?
    };
    if let Some(session) = planned.live.session.as_ref().filter(|_| !planned.plan.is_empty())
        && let Some(motion) = state(session).await?.motion
    {
        planned.plan.warnings.push(motion.warning());
        planned.plan = planned.plan.seal();
    }
    told(workspace, planned, &options.output, options.database.env.clone())
}

/// Writes the plan and prints it.
pub fn told(workspace: &Workspace, planned: Planned, output: &Output, environment: Option<String>) -> Outcome {
    workspace.progress.clear();
    let plan = &planned.plan;
    let saved = match output.out.as_deref() {
        _ if plan.is_empty() => None,
        Some("-") => None,
        Some(path) => Some(PathBuf::from(path)),
        None => Some(PathBuf::from(&workspace.config.plans).join(format!("{}.json", plan.short_id()))),
    };
    if let Some(path) = &saved {
        write_file(path, &plan::write(plan))?;
    }
    let shown = shown(workspace, &planned, environment, saved);
    let text = match output.format {
        PlanFormat::Json => plan::write(plan),
        PlanFormat::Sarif => sarif(&plan::findings::hazards(plan, &planned.live.name)),
        PlanFormat::Junit => junit(&plan::findings::hazards(plan, &planned.live.name)),
        PlanFormat::Sql => plan::sql::render(plan, shown.lock_timeout),
        PlanFormat::Text => plan::text::render(plan, &shown),
        PlanFormat::Markdown => plan::markdown::render(plan, &shown),
        PlanFormat::Html => plan::html::render(plan, &shown),
    };
    super::report::write(&output.report, plan, &shown)?;
    super::failure::print(&text)?;
    let code = if plan.is_empty() { DONE } else { DIFFERENCES };
    // The process ends now: giving large catalogs back piece by piece would take a tenth of its time.
    std::mem::forget(planned.sides);
    Ok(code)
}

fn shown(workspace: &Workspace, planned: &Planned, environment: Option<String>, saved: Option<PathBuf>) -> plan::Options {
    plan::Options {
        color: workspace.color,
        width: super::terminal::width(std::io::stdout()),
        target: planned.live.name.clone(),
        server: format!("PostgreSQL {}", crate::pg::Version(planned.sides.whole.server)),
        schema: planned.wanted.name.clone(),
        environment,
        saved: saved.map(|p| p.display().to_string()),
        verbose: workspace.progress.verbose(),
        lock_timeout: workspace.config.lock_timeout,
    }
}

/// Writes a file and the folders above it; a half-written file is never left.
pub fn write_file(path: &std::path::Path, text: &str) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new("system::write", format!("{} cannot be written: {e}", path.display()));
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let aside = path.with_extension(format!("tmp{}", std::process::id()));
    std::fs::write(&aside, text).map_err(failed)?;
    std::fs::rename(&aside, path).map_err(failed)
}
