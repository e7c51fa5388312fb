//! What is known of one step, as one list: a fact that is added here stands in every output.

use super::document::PlanStep;
use super::estimates::Estimates;
use super::facts;
use super::page::Mark;
use crate::statement::Batches;

/// Something that can be known of a step.
pub struct Known {
    /// What it is called before its text.
    pub label: &'static str,
    /// Its texts, one for each time that it holds.
    pub of: fn(&PlanStep) -> Vec<String>,
}

/// Everything but the statements, the steps before and after, the hazards and the way back, which have forms of their own.
pub static KNOWN: &[Known] = &[
    Known { label: "why", of: |step| vec![facts::because(&step.reason)] },
    Known { label: "source", of: |step| source(step).into_iter().collect() },
    Known {
        label: "edited",
        of: |step| step.edited.then(|| "its SQL by hand, and proven since".to_owned()).into_iter().collect(),
    },
    Known { label: "lock", of: locks },
    Known {
        label: "part",
        of: |step| {
            step.part
                .iter()
                .map(|(part, of)| format!("{part} of {of} of one change, so that others can work meanwhile"))
                .collect()
        },
    },
    Known { label: "aside", of: |step| aside(step).into_iter().collect() },
    Known { label: "batches", of: |step| step.batches.iter().map(batches).collect() },
    Known { label: "writes", of: |step| step.rewrites.iter().map(|r| format!("all of {r} anew")).collect() },
    Known { label: "reads", of: |step| step.scans.iter().map(|r| reading(step, r)).collect() },
    Known { label: "checks", of: |step| step.validates.iter().map(|c| format!("all rows against {c}")).collect() },
    Known { label: "note", of: notes },
    Known { label: "asserts", of: |step| step.asserts.clone() },
    Known { label: "needs", of: |step| step.checks.iter().map(|c| c.condition.clone()).collect() },
];

/// All that is known of a step, label and text.
pub fn known(step: &PlanStep) -> Vec<(&'static str, String)> {
    KNOWN.iter().flat_map(|known| (known.of)(step).into_iter().map(|text| (known.label, text))).collect()
}

/// Where the wanted definition stands: `schema/orders.sql:14`.
pub fn source(step: &PlanStep) -> Option<String> {
    step.source.as_ref().map(|s| format!("{}:{}", s.file, s.line))
}

/// The sign of a step's change.
pub fn mark(step: &PlanStep) -> Mark {
    match step.change.as_str() {
        "create" => Mark::Plus,
        "drop" | "quarantine" => Mark::Minus,
        _ => Mark::Tilde,
    }
}

/// `put aside as table plumb_quarantine.orders, with all that it holds`, for what is not dropped.
pub fn aside(step: &PlanStep) -> Option<String> {
    let names = step.renamed.as_ref().filter(|_| step.change == "quarantine")?;
    Some(format!("put aside as {}, with all that it holds", names.to.label()))
}

/// `1,000 rows at a time in the order of id, each time committed`.
pub fn batches(batches: &Batches) -> String {
    let rows = facts::count(batches.size as usize, "row");
    let order = if batches.key.is_empty() { "in which they lie".to_owned() } else { format!("of {}", batches.key.join(", ")) };
    format!("{rows} at a time in the order {order}, committed each time by `plumb apply`")
}

/// Hazards that not everybody has to read.
fn notes(step: &PlanStep) -> Vec<String> {
    let noted = step.hazards.iter().filter(|h| !h.matters());
    noted.map(|h| format!("{}: {}", h.code, facts::message(h))).collect()
}

fn locks(step: &PlanStep) -> Vec<String> {
    let whom = |lock: &super::LockFact| lock.mode.blocked().map_or(String::new(), |whom| format!(", blocks {whom}"));
    let brief = |lock: &super::LockFact| if lock.brief { ", brief" } else { "" };
    step.locks.iter().map(|l| format!("{} on {}{}{}", l.mode, l.relation, whom(l), brief(l))).collect()
}

/// `all of public.orders, blocks writes meanwhile`.
fn reading(step: &PlanStep, relation: &str) -> String {
    format!("all of {relation}, {}", meanwhile(step, relation))
}

fn meanwhile(step: &PlanStep, relation: &str) -> String {
    let blocked = step.locks.iter().find(|l| l.relation == relation).and_then(|l| l.mode.blocked());
    format!("blocks {}", blocked.map_or("nobody".to_owned(), |whom| format!("{whom} meanwhile")))
}

/// What the step has to work through, a line for each relation: `reads 1.2 million rows of public.orders (310 MB), about 2 s, blocks
/// nobody`. Of what is written anew only where it is known how much that is: whom it blocks, its hazard says.
pub fn work(step: &PlanStep, estimates: &Estimates) -> Vec<String> {
    let written = step.rewrites.iter().filter(|r| estimates.held_by(r).is_some());
    let written = written.map(|r| (format!("writes {} anew", estimates.all_of(r)), String::new()));
    let read = step.scans.iter().map(|r| (format!("reads {}", estimates.all_of(r)), format!(", {}", meanwhile(step, r))));
    let mut lines: Vec<(String, String)> = written.chain(read).collect();
    let several = lines.len() > 1;
    if let (Some((words, _)), Some(time)) = (lines.last_mut(), estimates.time(step)) {
        *words += &format!(", {time}{}", if several { " for all" } else { "" });
    }
    lines.into_iter().map(|(words, whom)| words + &whom).collect()
}
