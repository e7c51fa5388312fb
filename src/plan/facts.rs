//! What every renderer says about a plan, counted once: how many of what, what blocks whom, what has to be allowed.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::answers;
use super::compared::{Difference, compare};
use super::document::{Plan, PlanStep, Proof};
use super::page::Mark;
use crate::catalog::Id;
use crate::hazard::Hazard;
use crate::kind::ASIDE;
use crate::sql::ident;
use crate::statement::LockMode;

/// The beginning of the reason of what is only taken down and built up again.
const RESTS: &str = "it rests on";
/// Classes that say who may do what.
pub const RIGHTS: &[&str] = &["policy", "grant", "owner", "default privileges"];
/// The phases in their order.
const PHASES: &[&str] = &["expand", "migrate", "contract"];

/// The name of an object without its class: `tenant_isolation on public.documents`, `of table public.t` for an owner.
pub fn name(id: &Id) -> String {
    let whole = id.to_string();
    whole.strip_prefix(id.class()).map(str::trim_start).unwrap_or(&whole).to_owned()
}

/// `1 column`, `2 columns`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", thousands(n as u64)) }
}

/// A number with commas between its thousands.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `1, 2, 5-9`.
pub fn numbers(list: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for n in list {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == *n => *end = *n,
            _ => ranges.push((*n, *n)),
        }
    }
    let shown = ranges.iter().map(|(a, b)| match b - a {
        0 => a.to_string(),
        1 => format!("{a}, {b}"),
        _ => format!("{a}-{b}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// A list with at most `most` members, and how many there are when some are left out.
pub fn some_of(list: &[String], most: usize) -> String {
    let shown = list.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    if list.len() > most { format!("{shown}, ...") } else { shown }
}

/// A duration of the plan's observations: `1.8 s`.
pub fn seconds(plan: &Plan, key: &str) -> Option<String> {
    Some(time(plan.observed.get(key)?.as_f64()?))
}

/// Seconds as a person says them: `31 ms`, `1.8 s`.
pub fn time(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// The roles that have to exist besides the one that runs the plan, which exists.
pub fn roles(plan: &Plan) -> Vec<String> {
    let others = plan.roles.iter().filter(|r| **r != plan.role);
    if plan.is_empty() { Vec::new() } else { others.map(|r| ident(r)).collect() }
}

/// Objects that are dropped and made again, with the numbers of both steps.
pub fn rebuilt(plan: &Plan) -> BTreeMap<&Id, (u32, u32)> {
    let dropped: BTreeMap<&Id, u32> = plan.steps().filter(|s| s.change == "drop").map(|s| (&s.object, s.id)).collect();
    let made = plan.steps().filter(|s| s.change == "create");
    made.filter_map(|s| dropped.get(&s.object).map(|d| (&s.object, (*d, s.id)))).collect()
}

/// What stands beside a step that is one half of a replacement, of which the numbers of both halves are given.
pub fn rebuilding(step: &PlanStep, (dropped, made): (u32, u32)) -> Option<String> {
    match step.id {
        id if id == dropped && made < dropped => {
            Some(format!("replaced by what step {made} has built: {}", because(&step.reason)))
        }
        id if id == dropped => Some(format!("rebuilt in step {made}: {}", because(&step.reason))),
        id if id == made && made < dropped => Some(format!("built beside the one that step {dropped} drops")),
        id if id == made => Some(format!("rebuilt after step {dropped}")),
        _ => None,
    }
}

/// ` (2 of 3)`, for a part of what is done to an object.
pub fn part(step: &PlanStep) -> String {
    step.part.map_or(String::new(), |(part, of)| format!(" ({part} of {of})"))
}

/// Whether the step is only there because something else changes.
pub fn carried(step: &PlanStep) -> bool {
    step.reason.starts_with(RESTS)
}

/// `3 to create, 2 to alter, 1 to rebuild, 1 to drop`.
pub fn summary(plan: &Plan) -> String {
    let rebuilt = rebuilt(plan);
    let steps = |change: &str| begun(plan).filter(|s| s.change == change && !rebuilt.contains_key(&s.object)).count();
    let parts = [
        ("rename", steps("rename")),
        ("create", steps("create")),
        ("alter", steps("alter")),
        ("rebuild", rebuilt.len()),
        ("put aside", steps("quarantine")),
        ("drop", steps("drop")),
    ];
    let parts = parts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{} to {word}", thousands(*n as u64)));
    parts.collect::<Vec<_>>().join(", ")
}

/// The steps without those that go on with what another has begun.
fn begun(plan: &Plan) -> impl Iterator<Item = &PlanStep> {
    plan.steps().filter(|s| s.part.is_none_or(|(part, _)| part == 1))
}

/// How many objects change; one that is rebuilt counts once.
pub fn changes(plan: &Plan) -> usize {
    begun(plan).count() - rebuilt(plan).len()
}

/// The hazards of a step that whoever reads the plan has to see without asking for more.
pub fn hazards_of(step: &PlanStep) -> impl Iterator<Item = &Hazard> {
    step.hazards.iter().filter(|h| h.matters())
}

/// Whether there are such.
pub fn hurts(step: &PlanStep) -> bool {
    hazards_of(step).next().is_some()
}

/// What a hazard says besides its code, with what the files say to it and the line that it is about.
pub fn message(hazard: &Hazard) -> String {
    let words = hazard.words();
    let words = words.strip_prefix(&format!("{}: ", hazard.code)).unwrap_or(&words);
    hazard.at.as_ref().map_or(words.to_owned(), |at| format!("{words} (in {} of {})", at.place(), at.of))
}

/// `2 hazards: loses-rows, rewrites`, or `no hazards`.
pub fn hazards(plan: &Plan) -> String {
    let codes: BTreeSet<&str> = plan.steps().flat_map(hazards_of).map(|h| h.code.as_str()).collect();
    match plan.steps().flat_map(hazards_of).count() {
        0 => "no hazards".to_owned(),
        n => format!("{}: {}", count(n, "hazard"), codes.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// The phases that the plan has, in the order in which they are told: expand, migrate, contract, and what else a plan may say.
pub fn phases(plan: &Plan) -> Vec<&str> {
    let mut phases: Vec<&str> = Vec::new();
    for phase in plan.steps().map(|s| s.phase.as_str()) {
        if !phases.contains(&phase) {
            phases.push(phase);
        }
    }
    phases.sort_by_key(|phase| PHASES.iter().position(|p| p == phase).unwrap_or(PHASES.len()));
    phases
}

/// Whether the steps of a phase stand together. Where they do not, only their numbers say in which order they run.
pub fn phases_in_turn(plan: &Plan) -> bool {
    let phases = phases(plan);
    plan.steps().map(|step| phases.iter().position(|p| *p == step.phase)).is_sorted()
}

/// What was proven, as a sentence with its full stop; the same plan gives the same sentence.
pub fn proof(plan: &Plan) -> String {
    match &plan.proof {
        Proof::Equal { .. } => "Proven on a copy.".to_owned(),
        Proof::Unproven { reason } => format!("Not proven: {}.", reason.trim_end_matches('.')),
    }
}

/// [`proof`] with the time that it took, where that is known.
pub fn timed_proof(plan: &Plan) -> String {
    match (&plan.proof, seconds(plan, "proof_seconds")) {
        (Proof::Equal { .. }, Some(time)) => format!("Proven on a copy in {time}."),
        _ => proof(plan),
    }
}

/// Which plan this one takes back, and when it can be applied.
fn takes_back(plan: &Plan) -> Option<String> {
    plan.short_takes_back().map(|id| format!("Takes back plan {id}: it can be applied when that one has been, and only then."))
}

/// Which phases it has, and how much is left for later ones.
fn up_to(plan: &Plan) -> Option<String> {
    let phase = plan.up_to.as_ref()?;
    let left = count(plan.pending.len(), "change");
    Some(match plan.is_empty() {
        true => format!("Nothing to do up to phase {phase}; {left} left for later."),
        false => format!("Only what belongs to phase {phase} or goes before it; {left} left for later."),
    })
}

/// Which steps have SQL that plumb did not write.
fn edited(plan: &Plan) -> Option<String> {
    let steps: Vec<u32> = plan.steps().filter(|s| s.edited).map(|s| s.id).collect();
    let word = if steps.len() == 1 { "step" } else { "steps" };
    (!steps.is_empty()).then(|| format!("Edited by hand, and proven since: the SQL of {word} {}.", numbers(&steps)))
}

/// What has to be known of a plan before its steps.
pub fn nature(plan: &Plan) -> Vec<String> {
    takes_back(plan).into_iter().chain(up_to(plan)).chain(edited(plan)).collect()
}

/// What `apply` refuses unless it is allowed by name, in order.
pub fn refused(plan: &Plan) -> Vec<String> {
    let hazards = plan.steps().flat_map(|s| &s.hazards).filter(|h| h.refused()).map(|h| h.code.clone());
    let unproven = matches!(plan.proof, Proof::Unproven { .. }).then(|| "unproven".to_owned());
    let fails = answers(plan).iter().any(|a| a.answer.fails()).then(|| "rows".to_owned());
    hazards.chain(unproven).chain(fails).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Locks on one relation that make somebody wait.
pub struct Blocking {
    /// The relation as a SQL name.
    pub relation: String,
    /// The strongest mode.
    pub mode: LockMode,
    /// Whether only catalog work is done under all of them.
    pub brief: bool,
    /// The steps that take them.
    pub steps: Vec<u32>,
}

impl Blocking {
    /// Who waits, and for how long.
    pub fn whom(&self) -> String {
        let whom = if self.mode.blocks_reads() { "reads and writes" } else { "writes" };
        format!("blocks {whom}{}", if self.brief { ", brief" } else { "" })
    }
}

/// The relations whose readers or writers wait for some step, strongest lock first.
pub fn blocking(plan: &Plan) -> Vec<Blocking> {
    let mut by: BTreeMap<&str, Blocking> = BTreeMap::new();
    for step in plan.steps() {
        for lock in step.locks.iter().filter(|l| l.mode.blocks_writes()) {
            let fresh = || Blocking { relation: lock.relation.clone(), mode: lock.mode, brief: true, steps: Vec::new() };
            let entry = by.entry(&lock.relation).or_insert_with(fresh);
            entry.mode = entry.mode.max(lock.mode);
            entry.brief &= lock.brief;
            entry.steps.push(step.id);
        }
    }
    let mut list: Vec<Blocking> = by.into_values().collect();
    list.sort_by_key(|b| (b.brief, std::cmp::Reverse(b.mode)));
    list
}

/// What differs in the object of a step: by its definitions, or, where these say nothing, by its statement and the one back.
pub fn difference(step: &PlanStep) -> Difference {
    if step.part.is_some_and(|(part, _)| part > 1) || fills(step) {
        return Difference::None;
    }
    if let (Some(old), Some(new)) = (&step.before, &step.definition)
        && old != new
    {
        return compare(old, new);
    }
    match (step.change.as_str(), step.sql.as_slice(), step.reverse.sql.as_deref()) {
        ("alter", [new], Some([old])) if alike(old, new) => compare(old, new),
        _ => Difference::None,
    }
}

/// Whether rows that stand get values, which no comparison of definitions shows.
pub fn fills(step: &PlanStep) -> bool {
    step.sql.iter().any(|sql| sql.starts_with("UPDATE "))
}

/// Whether rows that a policy hides would be left out of what has to reach all of them: values for them, or a copy of them for a table
/// that is made anew.
pub fn reaches_all_rows(step: &PlanStep) -> bool {
    fills(step) || step.sql.iter().any(|sql| sql.starts_with("CREATE TABLE ") && sql.contains(ASIDE))
}

/// Whether changed lines are nothing but the statements of the step, which then say it shorter.
pub fn said(step: &PlanStep, lines: &[(Option<Mark>, String)]) -> bool {
    let changed = lines.iter().filter_map(|(mark, line)| mark.map(|m| (m, line.trim_end_matches(';'))));
    changed.eq(step.sql.iter().map(|sql| (Mark::Plus, sql.as_str())))
}

/// Whether two statements say the same thing of different values, so that a comparison by words reads well.
pub fn alike(old: &str, new: &str) -> bool {
    old.split(' ').zip(new.split(' ')).take_while(|(a, b)| a == b).count() >= 3
}

/// What differs between what a step drops and what a later one makes in its place.
pub fn redefined(dropped: &PlanStep, made: &PlanStep) -> Difference {
    match (dropped.reverse.sql.as_ref().and_then(|sql| sql.first()), made.sql.first()) {
        (Some(old), Some(new)) => compare(old, new),
        _ => Difference::None,
    }
}

/// The reason of a replacement as the end of a sentence: `columns and query differ`, `rests on view public.v`.
pub fn because(reason: &str) -> String {
    if let Some(rests) = reason.strip_prefix("it ").filter(|_| reason.starts_with(RESTS)) {
        return rests.strip_suffix(", which is changed").unwrap_or(rests).to_owned();
    }
    match reason.strip_suffix(" differs").map(|fields| fields.replace('_', " ")) {
        Some(fields) => match fields.rsplit_once(", ") {
            Some((first, last)) => format!("{first} and {last} differ"),
            None if fields.ends_with('s') => format!("{fields} differ"),
            None => format!("{fields} differs"),
        },
        None => reason.to_owned(),
    }
}

/// What a new column is: its type and what else stands behind its name.
pub fn column(step: &PlanStep) -> Option<&str> {
    let only = step.sql.first().filter(|_| step.change == "create" && step.object.class() == "column")?;
    let added = format!(" ADD COLUMN {} ", ident(step.object.base()));
    only.split_once(&added).map(|(_, what)| what)
}

/// The names of changed fields for a person: `using, row security`.
pub fn fields(step: &PlanStep) -> String {
    step.fields.join(", ").replace('_', " ")
}

/// What stands on which side and is not managed, as sentences. What is on one side only, or differs, is all named.
pub fn unmanaged_sentences(plan: &Plan, live: &str, wanted: &str, verbose: bool) -> Vec<String> {
    let on = |side: &str| -> Vec<String> {
        plan.unmanaged.iter().filter(|u| u.side == side).map(|u| format!("{} {}", u.class, u.identity)).collect()
    };
    let mut sentences = Vec::new();
    for (side, place) in [("live", live), ("desired", wanted)] {
        let names = on(side);
        if !names.is_empty() {
            sentences.push(format!("Not managed, and only in {place}: {}.", names.join(", ")));
        }
    }
    let differ = on("differs");
    if !differ.is_empty() {
        sentences.push(format!("Not managed, and defined differently on the two sides: {}.", differ.join(", ")));
    }
    let both = on("both");
    if !both.is_empty() {
        let named = some_of(&both, if verbose { usize::MAX } else { 3 });
        sentences.push(format!("Not managed, alike on both sides: {} ({named}).", count(both.len(), "object")));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(numbers(&[1, 2, 4, 6, 7, 8, 9]), "1, 2, 4, 6-9");
        assert_eq!(thousands(1_204_551), "1,204,551");
        assert_eq!(thousands(12), "12");
        assert_eq!(count(2, "hazard"), "2 hazards");
    }

    #[test]
    fn satellites_keep_their_preposition() {
        let table = Id::new("table", ["public", "t"]);
        assert_eq!(name(&table), "public.t");
        assert_eq!(name(&Id::satellite("owner", &table)), "of table public.t");
        assert_eq!(name(&Id::new("policy", ["public", "t", "p"])), "p on public.t");
    }
}
