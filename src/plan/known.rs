//! What is known of one step, as one list: a fact that is added here stands in every output.

use super::document::PlanStep;
use super::facts;
use super::page::Mark;

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
    Known { label: "writes", of: |step| step.rewrites.iter().map(|r| format!("all of {r} anew")).collect() },
    Known { label: "reads", of: |step| step.scans.iter().map(|r| reading(step, r)).collect() },
    Known { label: "checks", of: |step| step.validates.iter().map(|c| format!("all rows against {c}")).collect() },
    Known { label: "note", of: notes },
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
        "drop" => Mark::Minus,
        _ => Mark::Tilde,
    }
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
pub fn reading(step: &PlanStep, relation: &str) -> String {
    let blocked = step.locks.iter().find(|l| l.relation == relation).and_then(|l| l.mode.blocked());
    let meanwhile = blocked.map_or("nobody".to_owned(), |whom| format!("{whom} meanwhile"));
    format!("all of {relation}, blocks {meanwhile}")
}
