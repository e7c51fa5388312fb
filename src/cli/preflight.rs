//! What `plumb apply` looks at before the first step: each refusal says what is in the way, and nothing has begun.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::apply_options::ApplyOptions;
use super::failure::Failure;
use super::plan::{limits, unread};
use super::side::Side;
use super::stale::stale;
use super::workspace::Workspace;
use crate::apply::assertion::holds;
use crate::apply::batches::hidden;
use crate::apply::preflight::{Rights, forbidden};
use crate::apply::row_checks::ask;
use crate::apply::standbys::{conflicts, standbys};
use crate::catalog::{Catalog, Magnitude};
use crate::exit_code::REFUSED;
use crate::introspect::read_sizes;
use crate::pg::Session;
use crate::plan::{Answered, Group, Plan, Proof, count, fills};
use crate::source::date::{day, instant};
use crate::sql::ident;

/// Everything that `--allow` has to name.
pub fn allowed(plan: &Plan, options: &ApplyOptions) -> Result<(), Failure> {
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

/// The plan is for this database and this role, and the roles that it names are there.
pub fn fits(plan: &Plan, live: &Side) -> Result<(), Failure> {
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
pub fn roles(plan: &Plan, live: &Side) -> Result<(), Failure> {
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
pub async fn grown(plan: &Plan, session: &Session) -> Result<(), Failure> {
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

/// No policy hides rows that are to get their values, unless the plan changes that itself.
pub async fn visible(groups: &[Group], session: &Session) -> Result<(), Failure> {
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
pub async fn may(groups: &[Group], now: &Catalog, session: &Session, options: &ApplyOptions) -> Result<(), Failure> {
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

/// Says what the plan means for those who read on standbys. That nobody can be asked about them is no reason to stop.
pub async fn read_elsewhere(groups: &[Group], session: &Session, workspace: &Workspace) {
    let asked = standbys(&session.client).await.inspect_err(|e| tracing::info!("nobody can be asked about standbys: {e}"));
    let found = asked.unwrap_or_default();
    if let Some(text) = conflicts(groups, &found) {
        workspace.progress.line(&format!("note: {text}"));
    }
}

/// The rows are such that no step fails on them, as far as they can be asked before the first one.
pub async fn rows(
    plan: &Plan,
    groups: &[Group],
    session: &Session,
    options: &ApplyOptions,
    workspace: &Workspace,
) -> Result<(), Failure> {
    let plan = Plan { groups: groups.to_vec(), ..plan.clone() };
    let Some(limits) = limits(workspace, true).filter(|_| plan.steps().any(|s| !s.checks.is_empty())) else { return Ok(()) };
    let answers = ask(&session.client, &plan, limits).await.map_err(unread)?;
    for (step, took) in answers.iter().filter_map(|a| Some((a.step, a.took?))) {
        *workspace.asked.borrow_mut().entry(step).or_default() += took;
    }
    let failing = |a: &&Answered| a.answer.fails();
    let lines: Vec<String> = answers.iter().filter(failing).map(|a| format!("step {}: {}", a.step, a.sentence())).collect();
    if lines.is_empty() || options.allows("rows") {
        return Ok(());
    }
    Err(Failure::new("apply::rows", format!("this plan would fail on rows that are in its way\n{}", lines.join("\n")))
        .help("change these rows first (the plan has the queries that find them), or add --allow rows if an earlier step of the plan does")
        .exit(REFUSED))
}

/// A plan whose form is not declared stable yet is applied by the plumb that made it, or one that differs in the last number only.
pub fn same_version(plan: &Plan) -> Result<(), Failure> {
    let line = |version: &str| version.rsplit_once('.').map_or(version.to_owned(), |(line, _)| line.to_owned());
    let own = env!("CARGO_PKG_VERSION");
    if plan.format > 0 || line(&plan.plumb) == line(own) {
        return Ok(());
    }
    Err(Failure::new("apply::version", format!("plan {} was made by plumb {}, and this is {own}", plan.short_id(), plan.plumb))
        .help("make the plan anew with this plumb: what facts mean may have changed between the two")
        .exit(REFUSED))
}

/// The plan is not older than the configuration allows.
pub fn young(plan: &Plan, workspace: &Workspace) -> Result<(), Failure> {
    let Some(most) = workspace.config.max_age else { return Ok(()) };
    let refused = |why: String| {
        Err(Failure::new("apply::old", why)
            .help("make the plan anew: what was true of the database and its rows then may be so no longer. max_age in plumb.toml says how old one may be")
            .exit(REFUSED))
    };
    let id = plan.short_id();
    let made = plan.observed.get("made").and_then(|made| instant(made.as_str()?));
    let Some(made) = made else {
        return refused(format!("plan {id} does not say when it was made, and may be of any age"));
    };
    match SystemTime::now().duration_since(made) {
        Ok(age) if age > most => {
            refused(format!("plan {id} is {} old, and may be {} old", age_in_words(age), age_in_words(most)))
        }
        Err(ahead) if ahead.duration() > CLOCKS => {
            refused(format!("plan {id} says that it was made in the future, {} from now", age_in_words(ahead.duration())))
        }
        _ => Ok(()),
    }
}

/// By how much the clocks of two machines may differ.
const CLOCKS: Duration = Duration::from_secs(300);

fn age_in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let (size, unit) = units.into_iter().find(|(size, _)| seconds >= 2 * size).unwrap_or((1, "second"));
    count((seconds / size) as usize, unit)
}

/// What `[[assert]]` of the configuration says is true of the live database.
pub async fn asserted(session: &Session, workspace: &Workspace) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for assertion in &workspace.config.assertions {
        if let Err(why) = holds(&session.client, &assertion.query, false).await {
            wrong.push(format!("{}: {why}\n{}", assertion.name, assertion.query.trim()));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new("apply::assert", format!("what has to be true before a plan is applied is not\n{}", wrong.join("\n")))
        .help("nothing was applied. Bring the database to where these are true, or change them in plumb.toml")
        .exit(REFUSED))
}
