//! `plumb prove PLAN`: a stored plan on a fresh copy. One whose SQL was edited by hand gets what was seen of it, and a new id.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use super::Outcome;
use super::arguments::ProveOptions;
use super::failure::{self, Failure};
use super::plan::{estimates, row_checks, write_file};
use super::side::{self, Side};
use super::stale::unchanged;
use super::workspace::Workspace;
use crate::catalog::Catalog;
use crate::exit_code::{DONE, ERROR};
use crate::hazard::Hazard;
use crate::introspect::read_sizes;
use crate::plan::{Found, Plan, PlanStep, Proof, Touched, grown, read, read_edited, refound, text, write};
use crate::prove::{Stored, stored};
use crate::source::edited::{self, Loss, edited};
use crate::statement;
use crate::{kind, prove};

/// The command.
pub async fn run(options: &ProveOptions, workspace: &mut Workspace) -> Outcome {
    let (mut plan, by_hand) = read_edited(&stored_text(&options.plan)?)?;
    let losses = screened(&mut plan, &by_hand, workspace)?;
    let mut live = side::live(workspace, &options.database).await?;
    unchanged(&plan, &live.catalog)?;
    let unproven = matches!(plan.proof, Proof::Unproven { .. });
    let anew: Vec<u32> = if unproven { plan.steps().map(|s| s.id).collect() } else { by_hand.clone() };
    let started = Instant::now();
    let Stored { doubt, observations } =
        on_a_copy(options.shadow.as_deref(), workspace, &live, (&plan, &live.catalog), !anew.is_empty()).await?;
    workspace.progress.clear();
    if let Some(doubt) = doubt {
        let (what, named) = doubt.split_once('\n').map_or((doubt.as_str(), String::new()), |(w, n)| (w, format!("{n}\n")));
        let nothing = if anew.is_empty() { "" } else { "Nothing was written.\n" };
        failure::print(&format!("Plan {} is not proven: {what}.\n{named}{nothing}", plan.short_id()))?;
        return Ok(ERROR);
    }
    if anew.is_empty() {
        return failure::print(&format!("Plan {} is proven: run on a copy it ends in its `to`.\n", plan.short_id()))
            .map(|()| DONE);
    }
    if let Some(session) = &live.session {
        read_sizes(session, &mut live.catalog).await?;
    }
    let found = found(losses, observations.losses, observations.steps);
    let mut proven = refound(plan.clone(), &anew, &found, &live.catalog.sizes);
    proven.warnings.extend(observations.missing.map(|why| format!("not all steps could be watched one by one on a copy: {why}")));
    proven.proof = Proof::Equal { server: live.catalog.server, copy: prove::COPY.to_owned() };
    proven.observed.insert("proof_seconds".to_owned(), started.elapsed().as_secs_f64().into());
    row_checks(workspace, &live, &mut proven).await?;
    estimates(&live, &mut proven).await?;
    workspace.progress.clear();
    let proven = proven.seal();
    let path = options.out.as_deref().unwrap_or(&options.plan);
    write_file(path, &write(&proven))?;
    failure::print(&told(&plan, &proven, &by_hand, path)).map(|()| DONE)
}

/// Runs a plan on a copy of what `live` is now.
pub async fn on_a_copy(
    shadow: Option<&str>,
    workspace: &mut Workspace,
    live: &Side,
    (plan, now): (&Plan, &Catalog),
    watched: bool,
) -> Result<Stored, Failure> {
    let target = live.session.as_ref().map(|s| s.target.clone());
    let mut roles = kind::roles(now);
    roles.extend(plan.roles.iter().cloned());
    roles.insert(plan.role.clone());
    workspace.progress.stage("proving the plan on a copy");
    let scratch = workspace.scratch(shadow, &live.properties, target.as_ref(), &plan.role, &roles).await?;
    Ok(stored(scratch, now, plan, watched).await?)
}

/// Marks the edited steps, and looks at all statements before any of them is run.
fn screened(plan: &mut Plan, by_hand: &[u32], workspace: &Workspace) -> Result<Vec<(u32, Loss)>, Failure> {
    let policy = workspace.policy();
    let (mut losses, mut refused) = (Vec::new(), Vec::new());
    for step in plan.groups.iter_mut().flat_map(|g| &mut g.steps) {
        step.edited |= by_hand.contains(&step.id);
        if step.edited {
            // What somebody wrote may not be cut as the statement before could be.
            step.batches = None;
        }
        for sql in &step.sql {
            let looked = if step.edited { edited(sql, &policy) } else { edited::stored(sql, &policy).map(|()| None) };
            match looked {
                Ok(loss) => losses.extend(loss.map(|loss| (step.id, loss))),
                Err(why) => refused.push(format!("step {} ({}): {why}", step.id, text::one_line(&step.object.to_string()))),
            }
        }
    }
    if refused.is_empty() {
        return Ok(losses);
    }
    Err(Failure::new("plan::refused", format!("SQL that is not run on a copy\n{}", refused.join("\n")))
        .help("each statement stays in its place, as one statement that changes the schema or its rows"))
}

fn found(losses: Vec<(u32, Loss)>, seen: BTreeMap<u32, BTreeSet<statement::Loss>>, steps: BTreeMap<u32, Touched>) -> Found {
    let mut found = Found { seen: steps, ..Found::default() };
    for (step, loss) in losses {
        found.losses.entry(step).or_default().insert(loss);
    }
    for (step, loss) in seen.into_iter().flat_map(|(step, losses)| losses.into_iter().map(move |l| (step, l))) {
        let loss = match loss {
            statement::Loss::Rows(table) => ("loses-rows", format!("all rows of {table} are lost")),
            statement::Loss::Values(column) => ("loses-values", format!("values of {column} can be lost")),
            statement::Loss::Position(_) | statement::Loss::Extension(_) => continue,
        };
        found.losses.entry(step).or_default().insert(loss);
    }
    found
}

/// What has become of the plan.
fn told(before: &Plan, after: &Plan, by_hand: &[u32], path: &Path) -> String {
    let name = |step: &PlanStep| format!("{} ({})", step.id, text::one_line(&step.object.to_string()));
    let steps: Vec<String> = after.steps().filter(|s| by_hand.contains(&s.id)).map(name).collect();
    let edited = match steps.as_slice() {
        [] => String::new(),
        [one] => format!(", edited in step {one},"),
        all => format!(", edited in steps {},", all.join(", ")),
    };
    let mut words = format!("Plan {}{edited} is proven: run on a copy it ends in its `to`.\n", before.short_id());
    let line = |mark: &str, (step, hazard): &(u32, Hazard)| format!("  {mark} step {step}: {}\n", hazard.words());
    let (new, old) = (grown(before, after), grown(after, before));
    let shown = |list: &[(u32, Hazard)]| list.iter().any(|(_, h)| h.matters());
    if shown(&new) {
        words += "Hazards that it did not have:\n";
        new.iter().filter(|(_, h)| h.matters()).for_each(|h| words += &line("!", h));
    }
    if shown(&old) {
        words += "Hazards that it has no more:\n";
        old.iter().filter(|(_, h)| h.matters()).for_each(|h| words += &line("-", h));
    }
    let place = path.display();
    let _ = writeln!(words, "It is plan {} now, saved as {place}. To see a step: plumb explain {place} STEP", after.short_id());
    words
}

fn stored_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| {
        Failure::new("plan::unreadable", format!("{} cannot be read: {e}", path.display()))
            .help("a plan is what `plumb plan` writes, by default below plans/")
    })
}

/// Reads a plan document that nobody has changed.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    Ok(read(&stored_text(path)?)?)
}
