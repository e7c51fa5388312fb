//! A plan of some phases only. It is a whole plan to a schema that lies between what is and what is wanted: what belongs to later
//! phases stays as it is there. A change is never divided: all of its parts, and whatever it cannot be without, go together.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::document::Pending;
use super::make::{Made, Sides};
use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::change::{Action, Change};
use crate::kind;
use crate::order::{Op, Step, called};

/// When a step may run in the life of the code that uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before new code comes: old code keeps working.
    Expand,
    /// When new code is there: values are brought over, rows are held to more than before.
    Migrate,
    /// When old code is gone: what only that needed goes.
    Contract,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 3] = [Phase::Expand, Phase::Migrate, Phase::Contract];

    /// As documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Migrate => "migrate",
            Phase::Contract => "contract",
        }
    }
}

impl FromStr for Phase {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Phase, Self::Err> {
        Phase::ALL.into_iter().find(|p| p.name() == text).ok_or("it is expand, migrate or contract")
    }
}

/// What a plan of some phases leads to, and what it leaves.
pub struct Cut {
    /// The schema in between.
    pub desired: Catalog,
    /// What is left for later phases.
    pub pending: Vec<Pending>,
    /// What could go now by itself and waits for something of a later phase, as sentences.
    pub warnings: Vec<String>,
}

/// For each change what it cannot be without, with the reason.
type Needs<'a> = BTreeMap<&'a Id, BTreeMap<&'a Id, String>>;

/// Cuts a plan after a phase.
pub fn cut(sides: &Sides, made: &Made, last: Phase) -> Cut {
    let own = phases(sides, made);
    let phases = carried(made, &needs(sides, made), &own);
    let chosen: BTreeSet<&Id> = phases.iter().filter(|(_, (phase, _))| *phase <= last).map(|(id, _)| *id).collect();
    let begins = |step: &&super::PlanStep| step.part.is_none_or(|(part, _)| part == 1);
    let left: Vec<_> = made.plan.steps().filter(|step| !chosen.contains(&step.object)).filter(begins).collect();
    let mut warnings = BTreeSet::new();
    let mut pending = Vec::new();
    for step in left {
        let Some((phase, why)) = phases.get(&step.object) else { continue };
        pending.push(Pending { phase: phase.name().to_owned(), object: step.object.clone(), change: step.change.clone() });
        if let (Some(by_itself), Some(why)) = (own.get(&step.object).filter(|p| **p <= last), why) {
            warnings.insert(format!("{}, of {}, waits for {}: {why}", step.object, by_itself.name(), phase.name()));
        }
    }
    Cut { desired: between(sides, made, &chosen), pending, warnings: warnings.into_iter().collect() }
}

/// The phase of each change by itself: the last one of its steps. What goes with another has none of its own.
fn phases<'a>(sides: &'a Sides, made: &'a Made) -> BTreeMap<&'a Id, Phase> {
    let mut phases: BTreeMap<&Id, Phase> = BTreeMap::new();
    // Another name is no change of what is compared: what has it by then has phases of its own.
    for step in made.plan.steps().filter(|step| step.change != "rename") {
        let phase = step.phase.parse().unwrap_or(Phase::Contract);
        let last = phases.entry(&step.object).or_insert(phase);
        *last = phase.max(*last);
    }
    for change in silent(made).filter(|c| by_others(sides, made, c).is_empty()) {
        phases.insert(&change.id, if change.new.is_some() { Phase::Expand } else { Phase::Contract });
    }
    phases
}

/// Changes that no step names, since others bring them about.
fn silent(made: &Made) -> impl Iterator<Item = &Change> {
    let told: BTreeSet<&Id> = made.steps.iter().flat_map(|s| s.with.iter().chain([&s.node])).map(|n| &n.id).collect();
    made.changes.list.values().filter(move |c| !told.contains(&c.id))
}

fn needs<'a>(sides: &'a Sides, made: &'a Made) -> Needs<'a> {
    let mut needs = Needs::new();
    for step in &made.steps {
        let own = &step.node.id;
        let binds = |earlier: &usize| !comes_beside(made, &made.steps[*earlier], step);
        for (earlier, sentence) in step.after.iter().filter(|(earlier, _)| binds(earlier)) {
            add(&mut needs, own, &made.steps[*earlier].node.id, || sentence.clone());
        }
        step.with.iter().for_each(|node| together(&mut needs, own, &node.id));
    }
    for change in silent(made) {
        by_others(sides, made, change).into_iter().for_each(|other| together(&mut needs, &change.id, other));
    }
    // What is new and used is needed, whichever of the two is written first.
    for change in made.changes.list.values() {
        let new = |id: &Id| made.changes.list.get_key_value(id).filter(|(_, c)| c.action == Action::Create);
        for (used, _) in sides.desired.uses(&change.id).iter().filter_map(|(id, _)| new(id)) {
            add(&mut needs, &change.id, used, || format!("{} needs {used}", change.id));
        }
    }
    // Made to be attached, it has from the first what it inherits.
    for change in made.changes.list.values().filter(|c| anew(c)) {
        attachments(made, &change.id).for_each(|attached| together(&mut needs, &change.id, attached));
    }
    // What comes from a parent, or is a table's own again, is so from the moment that the table is attached or detached.
    for change in made.changes.list.values().filter(|c| inherited(c.old.as_ref()) != inherited(c.new.as_ref())) {
        let table = change.new.as_ref().or(change.old.as_ref()).and_then(|o| o.parent.as_ref());
        table.into_iter().flat_map(|table| attachments(made, table)).for_each(|with| together(&mut needs, &change.id, with));
    }
    for step in made.steps.iter().filter(|s| s.node.op == Op::Create) {
        runs_new_code(sides, made, &step.node.id)
            .into_iter()
            .for_each(|(other, why)| add(&mut needs, &step.node.id, other, || why));
    }
    // What an object has of owner, rights and comment is its own from the moment that it is made.
    for change in made.changes.list.values() {
        if let Some((of, _)) = change.id.of().and_then(|of| made.changes.list.get_key_value(of)).filter(|(_, c)| anew(c)) {
            together(&mut needs, &change.id, of);
        }
    }
    needs
}

fn inherited(object: Option<&Object>) -> bool {
    object.is_some_and(|o| o.id.class() != "index" && o.flag("inherited"))
}

/// All that comes and changes, for what runs code that does so itself: nobody knows what a body uses.
fn runs_new_code<'a>(sides: &'a Sides, made: &'a Made, id: &'a Id) -> Vec<(&'a Id, String)> {
    let new = |id: &&Id| made.changes.list.get(*id).is_some_and(|c| c.action != Action::Drop);
    let Some(function) = called(&sides.desired, id).into_iter().find(new) else { return Vec::new() };
    made.changes.list.keys().filter(new).map(|other| (other, format!("{id} runs {function}, which may use {other}"))).collect()
}

/// Whether two steps have an order and do without each other: what changes of a column, less its type, is nothing to a view or a
/// function, nor to an index that comes.
fn comes_beside(made: &Made, earlier: &Step, later: &Step) -> bool {
    let column = |s: &Step| {
        let retyped = || made.changes.list.get(&s.node.id).is_none_or(anew_or_retyped);
        s.node.op == Op::Alter && s.node.id.class() == "column" && !retyped()
    };
    let definition = |s: &Step| kind::of(&s.node.id).only_definition || s.node.id.class() == "materialized view";
    let index = |s: &Step| s.node.op == Op::Create && s.node.id.class() == "index";
    column(earlier) && (definition(later) || index(later)) || definition(earlier) && column(later)
}

fn anew_or_retyped(change: &Change) -> bool {
    change.retype || anew(change)
}

fn add<'a>(needs: &mut Needs<'a>, of: &'a Id, needed: &'a Id, sentence: impl FnOnce() -> String) {
    if of != needed {
        needs.entry(of).or_default().entry(needed).or_insert_with(sentence);
    }
}

fn together<'a>(needs: &mut Needs<'a>, one: &'a Id, other: &'a Id) {
    add(needs, one, other, || format!("it is done together with {one}"));
    add(needs, other, one, || format!("it is done together with {other}"));
}

/// Whether the object is made, made anew or dropped, so that what hangs on it is too.
fn anew(change: &Change) -> bool {
    change.remade || !matches!(change.action, Action::Alter(_))
}

/// The changes that attach a table to a partitioned one, or an index to its.
fn attachments<'a>(made: &'a Made, id: &Id) -> impl Iterator<Item = &'a Id> {
    let attached = ["partition", "index partition"].map(|class| made.changes.list.get_key_value(&id.as_class(class)));
    attached.into_iter().flatten().map(|(id, _)| id)
}

/// The changes that bring this one about: of what it is inherited from and how, else of what it is a part of.
fn by_others<'a>(sides: &'a Sides, made: &'a Made, change: &'a Change) -> Vec<&'a Id> {
    let both = || [&sides.desired, &sides.whole].into_iter();
    let used = both().flat_map(|side| side.uses(&change.id));
    let inherited = used.filter(|(_, d)| *d == Dependency::Inherited).map(|(id, _)| id);
    let changed = |id: &'a Id| made.changes.list.get_key_value(id).map(|(id, _)| id);
    let mut found: Vec<&Id> = inherited.filter_map(changed).collect();
    let wholes = both().filter_map(|side| side.get(&change.id)?.parent.as_ref());
    found.extend(wholes.flat_map(|whole| attachments(made, whole)));
    if !found.is_empty() {
        return found;
    }
    let whole = both().filter_map(|side| side.get(&change.id)?.parent.as_ref());
    whole.chain(change.id.of()).filter_map(changed).collect()
}

/// The phase that each change goes with: its own or, when it cannot be without one of a later phase, that one, and why.
fn carried<'a>(made: &'a Made, needs: &Needs<'a>, own: &BTreeMap<&'a Id, Phase>) -> BTreeMap<&'a Id, (Phase, Option<String>)> {
    let mut needed_by: BTreeMap<&Id, Vec<(&Id, &String)>> = BTreeMap::new();
    for (id, list) in needs {
        list.iter().for_each(|(needed, why)| needed_by.entry(needed).or_default().push((id, why)));
    }
    let mut carried = BTreeMap::new();
    for phase in Phase::ALL.into_iter().rev() {
        let of_it = made.changes.list.keys().filter(|id| own.get(id) == Some(&phase));
        let mut todo: Vec<(&Id, Option<String>)> = of_it.map(|id| (id, None)).collect();
        while let Some((id, why)) = todo.pop() {
            if carried.contains_key(id) {
                continue;
            }
            carried.insert(id, (phase, why));
            todo.extend(needed_by.get(id).into_iter().flatten().map(|(other, why)| (*other, Some((*why).clone()))));
        }
    }
    carried
}

/// What is wanted of the changes that are chosen, and what is of everything else.
fn between(sides: &Sides, made: &Made, chosen: &BTreeSet<&Id>) -> Catalog {
    let as_wanted = |id: &Id| {
        let made_with = id.of().filter(|of| made.changes.list.get(*of).is_some_and(anew));
        chosen.contains(made_with.unwrap_or(id))
    };
    let wanted = |o: &&Object| as_wanted(&o.id);
    let objects = sides.desired.objects().filter(wanted).chain(sides.live.objects().filter(|o| !wanted(o)));
    let new = sides.desired.edges().filter(|e| as_wanted(&e.dependent));
    let old = sides.live.edges().filter(|e| !as_wanted(&e.dependent));
    Catalog::new(objects.cloned().collect(), new.chain(old)).with_header(&sides.desired)
}
