//! What is said of a plan as a whole below its steps, as sentences: who is blocked, what is committed when, and what it does not do.

use super::answers::{Answer, Answered, answers};
use super::document::Plan;
use super::facts;
use super::options::Options;
use super::phases::Phase;

/// Names that are given of a list.
const NAMED: usize = 3;
/// Roles that are named, and relations that block.
pub const LISTED: usize = 8;

/// In `observed`: how many tables, columns and others were put aside before and are still there.
pub const PUT_ASIDE: &str = "quarantined";

/// What was put aside is no difference, and is there all the same.
pub fn put_aside(plan: &Plan) -> Option<String> {
    let aside = plan.observed.get(PUT_ASIDE).and_then(serde_json::Value::as_u64).filter(|n| *n > 0)?;
    let objects = facts::count(usize::try_from(aside).unwrap_or_default(), "object");
    Some(format!("Put aside before: {objects}. `plumb purge` lists them."))
}

/// Who is blocked by what, one sentence for each relation, the strongest lock first.
pub fn locks(plan: &Plan) -> Vec<String> {
    let steps = |list: &[u32]| format!("step{} {}", if list.len() == 1 { "" } else { "s" }, facts::numbers(list));
    let one = |b: &facts::Blocking| format!("{} on {}, {} ({})", b.mode, b.relation, b.whom(), steps(&b.steps));
    facts::blocking(plan).iter().map(one).collect()
}

/// What would fail on the rows that stand, and what was not asked. Without the rows' keys and values: these notes go to places where
/// more people read than may read the table. Each with whether it is known that it would fail.
pub fn rows(plan: &Plan) -> Vec<(bool, String)> {
    let sentence = |a: Answered| match a.answer {
        Answer::Holds => None,
        Answer::Broken(rows, _) => {
            let rows = facts::count(usize::try_from(rows).unwrap_or_default(), "row");
            Some(format!("Step {} would fail: {}, and {rows} would be in the way.", a.step, a.condition))
        }
        Answer::Refused(_) => Some(format!("Step {} would fail: {}, and a value does not.", a.step, a.condition)),
        Answer::Unknown(why) => Some(format!("Step {}: not asked whether {}: {why}.", a.step, a.condition)),
    };
    answers(plan).into_iter().filter_map(|a| Some((a.answer.fails(), sentence(a)?))).collect()
}

/// How the steps are cut, when there is more than one transaction, and whether the phases run in turn.
pub fn transactions(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if !facts::phases_in_turn(plan) {
        notes.push("The steps run in the order of their numbers, across the phases.".to_owned());
    }
    let group = |g: &super::Group| {
        let steps: Vec<u32> = g.steps.iter().map(|s| s.id).collect();
        format!("{}{}", facts::numbers(&steps), if g.transactional { "" } else { " (outside a transaction)" })
    };
    if plan.groups.len() > 1 {
        let groups: Vec<String> = plan.groups.iter().map(group).collect();
        notes.push(format!("Committed {} times: steps {}.", groups.len(), groups.join("; ")));
    }
    notes
}

/// What the plan does not do: never silent.
pub fn leftovers(plan: &Plan, options: &Options) -> Vec<String> {
    let most = if options.verbose { usize::MAX } else { NAMED };
    let mut notes = facts::unmanaged_sentences(plan, &options.target, &options.schema, options.verbose);
    for phase in Phase::ALL.map(Phase::name) {
        let pending = plan.pending.iter().filter(|p| p.phase == phase);
        let list: Vec<String> = pending.map(|p| format!("{} {}", p.change, p.object)).collect();
        if list.is_empty() {
            continue;
        }
        notes.push(format!("Left for {phase}: {} ({}).", facts::count(list.len(), "change"), facts::some_of(&list, most)));
    }
    if !plan.outside_scope.is_empty() && (!plan.is_empty() || options.verbose) {
        let words = facts::count(plan.outside_scope.len(), "object");
        notes.push(format!("Outside scope: {words} ({}).", facts::some_of(&plan.outside_scope, most)));
    }
    notes.extend(put_aside(plan));
    let roles = facts::roles(plan);
    if !roles.is_empty() {
        let most = if options.verbose { usize::MAX } else { LISTED };
        notes.push(format!("Roles that have to exist: {}.", facts::some_of(&roles, most)));
    }
    notes.extend(super::proposed::sentences(plan));
    notes.extend(plan.warnings.iter().map(|warning| format!("Warning: {warning}")));
    notes
}
