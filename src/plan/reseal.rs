//! A plan whose statements were edited by hand, with what was seen of them instead of what the statements before did.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{held, takes_long};
use super::document::{Group, LockFact, Plan, PlanStep};
use super::standing::Touched;
use crate::catalog::Size;
use crate::hazard::{self, Hazard};
use crate::order::{Node, Op, Step};

/// Hazards that follow from what a step locks, reads and writes anew, and from nothing else.
const SEEN: &[&str] = &["rewrites", "long-scan", "blocks-reads", "blocks-writes", "lock-queue"];

/// What was found out about the steps of an edited plan.
#[derive(Default)]
pub struct Found {
    /// What each step was seen to do, by its number.
    pub seen: BTreeMap<u32, Touched>,
    /// What statements that were edited may lose: the code of the hazard, and what happens.
    pub losses: BTreeMap<u32, BTreeSet<(&'static str, String)>>,
}

/// The plan with the facts and hazards of what was found in groups with a step of `anew`; `sizes` is what live relations hold.
pub fn refound(mut plan: Plan, anew: &[u32], found: &Found, sizes: &BTreeMap<String, Size>) -> Plan {
    for group in plan.groups.iter_mut().filter(|g| g.steps.iter().any(|s| anew.contains(&s.id))) {
        regroup(group, found, sizes);
    }
    plan
}

fn regroup(group: &mut Group, found: &Found, sizes: &BTreeMap<String, Size>) {
    let works: Vec<Touched> = group.steps.iter().map(|s| found.seen.get(&s.id).cloned().unwrap_or_else(|| stated(s))).collect();
    let held = held(&works);
    for ((step, work), held) in group.steps.iter_mut().zip(&works).zip(&held) {
        step.observed = found.seen.contains_key(&step.id) || step.observed && !step.edited;
        let brief = |relation: &String| !takes_long(work, relation);
        step.locks = work.locks.iter().map(|(r, m)| LockFact { brief: brief(r), relation: r.clone(), mode: *m }).collect();
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        (step.rewrites, step.scans, step.validates) = (list(&work.rewrites), list(&work.scans), list(&work.validates));
        let bare = bare(step);
        let facts = hazard::Facts {
            step: &bare,
            locks: &work.locks,
            rewrites: &work.rewrites,
            scans: &work.scans,
            held,
            no_way_back: None,
            bodies: &[],
        };
        let judged = hazard::judge(&facts, sizes);
        let losses = found.losses.get(&step.id).into_iter().flatten().filter_map(|(code, message)| {
            let level = hazard::find(code)?.level;
            Some(Hazard { level, code: (*code).to_owned(), message: message.clone(), at: None, ignored: None })
        });
        rejudge(step, judged.hazards.into_iter().chain(losses).collect());
        step.sizes = judged.sizes;
    }
}

/// What the plan says that a step does.
fn stated(step: &PlanStep) -> Touched {
    let set = |list: &[String]| list.iter().cloned().collect();
    Touched {
        locks: step.locks.iter().map(|l| (l.relation.clone(), l.mode)).collect(),
        rewrites: set(&step.rewrites),
        scans: set(&step.scans),
        validates: set(&step.validates),
    }
}

/// The step without its statements: only what is seen can be judged.
fn bare(step: &PlanStep) -> Step {
    Step {
        renamed: None,
        node: Node { op: Op::Alter, id: step.object.clone() },
        fields: Vec::new(),
        with: Vec::new(),
        statements: Vec::new(),
        effects: Vec::new(),
        reason: String::new(),
        after: BTreeMap::new(),
        part: step.part,
    }
}

/// Hazards of the change itself stay; what follows from what was seen takes the place of what did before.
fn rejudge(step: &mut PlanStep, judged: Vec<Hazard>) {
    let (seen, mut hazards): (Vec<Hazard>, Vec<Hazard>) =
        std::mem::take(&mut step.hazards).into_iter().partition(|h| SEEN.contains(&h.code.as_str()));
    for mut hazard in judged {
        hazard.ignored = seen.iter().find(|h| h.code == hazard.code).and_then(|h| h.ignored.clone());
        if !hazards.iter().any(|h| h.code == hazard.code && h.message == hazard.message) {
            hazards.push(hazard);
        }
    }
    hazards.sort_by_key(|h| h.level);
    step.hazards = hazards;
}

/// The hazards of one plan that another, with the same steps, has not: by step.
pub fn grown(before: &Plan, after: &Plan) -> Vec<(u32, Hazard)> {
    let known: BTreeSet<(u32, &str, &str)> =
        before.steps().flat_map(|s| s.hazards.iter().map(|h| (s.id, h.code.as_str(), h.message.as_str()))).collect();
    let all = after.steps().flat_map(|s| s.hazards.iter().map(|h| (s.id, h)));
    let new = all.filter(|(id, h)| !known.contains(&(*id, h.code.as_str(), h.message.as_str())));
    new.map(|(id, h)| (id, h.clone())).collect()
}
