//! The table of steps.

use super::super::document::{Plan, PlanStep};
use super::super::estimates::Estimates;
use super::super::facts;
use super::super::known::mark;
use super::super::page::{clean, shorten};
use super::escape::{cell, code};
use super::fit::{Part, fit};

/// Columns of a name.
const NAME: usize = 80;
/// Members of a cell that are shown.
const MEMBERS: usize = 3;

/// What matters stands left: comments are narrow, and what is too wide has to be scrolled to.
///
/// A column: its head, and what stands in it for a step. One that says nothing of any step is left out.
struct Column {
    head: &'static str,
    of: fn(&PlanStep, &Estimates) -> String,
}

static COLUMNS: &[Column] = &[
    Column { head: "step", of: |step, _| step.id.to_string() },
    Column { head: "phase", of: |step, _| word(&step.phase) },
    Column { head: "change", of: |step, _| format!("{}&nbsp;{}", mark(step).sign(), word(&step.change)) },
    Column {
        head: "object",
        of: |step, _| format!("{} {}{}", word(step.object.class()), name(&facts::name(&step.object)), facts::part(step)),
    },
    Column { head: "hazard", of: |step, _| hazards(step) },
    Column { head: "lock", of: |step, _| locks(step) },
    Column { head: "rows", of: rows },
];

/// The table in its share of the room, and how many rows had none. Rows with hazards, then those that block somebody, are kept.
pub fn table(plan: &Plan, room: &mut usize, share: usize) -> (String, usize) {
    let estimates = Estimates::of(plan);
    let says = |column: &&Column| plan.steps().any(|s| !(column.of)(s, &estimates).is_empty());
    let columns: Vec<&Column> = COLUMNS.iter().filter(says).collect();
    let heads: Vec<&str> = columns.iter().map(|c| c.head).collect();
    let head = format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
    *room = room.saturating_sub(head.len() + 1);
    let row = |step: &PlanStep| {
        let cells: Vec<String> = columns.iter().map(|c| cell(&(c.of)(step, &estimates))).collect();
        Part { rank: rank(step), text: format!("| {} |\n", cells.join(" | ")) }
    };
    let (rows, cut) = fit(plan.steps().map(row).collect(), room, share);
    (format!("{head}{}\n", rows.concat()), cut)
}

/// How much a step matters to who reads little of the plan; the lowest matters most.
pub fn rank(step: &PlanStep) -> u32 {
    let blocks = |l: &super::super::LockFact| l.mode.blocks_writes();
    match step {
        step if step.hazards.iter().any(crate::hazard::Hazard::refused) => 0,
        step if facts::hurts(step) => 1,
        step if step.locks.iter().any(|l| blocks(l) && !l.brief) => 2,
        step if ["drop", "quarantine"].contains(&step.change.as_str()) => 3,
        step if step.locks.iter().any(blocks) || facts::RIGHTS.contains(&step.object.class()) => 4,
        _ => 5,
    }
}

/// plumb's own words stay plain; a document by another hand may say anything there.
fn word(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ' || c == '-') && text.len() <= NAME;
    if plain { text.to_owned() } else { name(text) }
}

fn name(text: &str) -> String {
    code(&shorten(&clean(text), NAME))
}

/// The relation, unless the step's object is it or stands in it.
fn on(step: &PlanStep, relation: &str) -> String {
    let own = step.object.of().unwrap_or(&step.object);
    let said = own.sql() == relation || own.name().len() > 2 && own.table_sql() == relation;
    if said { String::new() } else { format!(" {}", name(relation)) }
}

fn members(list: Vec<String>) -> String {
    let more = list.len().saturating_sub(MEMBERS);
    let shown = list.into_iter().take(MEMBERS).collect::<Vec<_>>().join("<br>");
    if more > 0 { format!("{shown}<br>and {more} more") } else { shown }
}

fn locks(step: &PlanStep) -> String {
    let brief = |brief: bool| if brief { ", brief" } else { "" };
    let mut locks: Vec<_> = step.locks.iter().collect();
    locks.sort_by_key(|l| std::cmp::Reverse(l.mode));
    members(locks.into_iter().map(|l| format!("{}{}{}", l.mode, on(step, &l.relation), brief(l.brief))).collect())
}

fn rows(step: &PlanStep, estimates: &Estimates) -> String {
    let all = |r: &String| estimates.held_by(r).unwrap_or_else(|| "all".to_owned());
    let writes = step.rewrites.iter().map(|r| format!("writes {} anew{}", all(r), on(step, r)));
    let reads = step.scans.iter().filter(|r| !step.rewrites.contains(r)).map(|r| format!("reads {}{}", all(r), on(step, r)));
    members(writes.chain(reads).chain(estimates.time(step)).collect())
}

fn hazards(step: &PlanStep) -> String {
    let strong = |h: &crate::hazard::Hazard| if h.refused() { format!("**{}**", word(&h.code)) } else { word(&h.code) };
    members(facts::hazards_of(step).map(strong).collect())
}
