//! Steps in order -> a plan document.

use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

use super::bodies::bodies;
use super::document::{
    FORMAT, Fingerprints, Group, LockFact, Names, Plan, PlanStep, Proof, Source, UnmanagedDifference, changed, unmanaged,
};
use super::phases::Phase;
use super::proposed;
use super::renamed::Renamed;
use super::standing::{Standing, Touched};
use crate::catalog::{Catalog, Id, fingerprint, fingerprint_of, fingerprints};
use crate::change::{Action, Changes, Scope};
use crate::hazard;
use crate::kind::{self, Space};
use crate::order::{Op, Step};
use crate::statement::{Batches, LockMode, Statement, Transaction};

/// What a plan is made from.
pub struct Context<'a> {
    /// The live catalog, whole.
    pub whole: &'a Catalog,
    /// The live catalog, in scope.
    pub live: &'a Catalog,
    /// The desired catalog, in scope.
    pub desired: &'a Catalog,
    /// What gets another name first; `whole` and `live` are as they are then.
    pub renamed: Option<&'a Renamed>,
    /// The scope.
    pub scope: &'a Scope,
    /// The changes.
    pub changes: &'a Changes,
    /// Where wanted objects stand in the files.
    pub source: &'a dyn Fn(&Id) -> Option<Source>,
    /// What was seen of the steps on a copy, by their numbers.
    pub seen: &'a BTreeMap<u32, Touched>,
    /// What a reviewer should know.
    pub warnings: Vec<String>,
    /// How many rows are given their values in one transaction.
    pub batch: u32,
}

impl<'a> Context<'a> {
    /// The live database, whole, before the plan.
    fn begin(&self) -> &'a Catalog {
        self.renamed.map_or(self.whole, |r| &r.whole)
    }
}

/// Makes the document, unproven.
pub fn build(context: &Context, steps: &[Step]) -> Plan {
    let live = context.renamed.map_or(context.live, |r| &r.live);
    let mut groups = groups(context, steps);
    let proposals = proposed::proposals(context);
    proposed::in_hazards(&proposals, &mut groups);
    let objects = |catalog| if steps.is_empty() { BTreeMap::new() } else { fingerprints(catalog) };
    let from = objects(live);
    let outside = context.scope.outside(context.begin()).iter().map(ToString::to_string).collect();
    Plan {
        format: FORMAT,
        plumb: env!("CARGO_PKG_VERSION").to_owned(),
        server: context.whole.server,
        id: String::new(),
        database: context.whole.database.clone(),
        role: context.whole.role.clone(),
        takes_back: None,
        up_to: None,
        roles: kind::roles(context.desired).into_iter().collect(),
        from: Fingerprints { scope: fingerprint(live), closure: closure(context, steps), objects: from.clone() },
        to: fingerprint(context.desired),
        to_objects: changed(&from, &objects(context.desired)),
        scope: context.scope.clone(),
        groups,
        pending: Vec::new(),
        unmanaged: unmanaged_in_scope(context),
        outside_scope: outside,
        proposals,
        warnings: warnings(context, steps),
        proof: Proof::Unproven { reason: "it was not tried (--no-prove)".to_owned() },
        observed: Map::new(),
        seals: BTreeMap::new(),
    }
    .seal()
}

/// What is known of the sides, and what statements say besides.
fn warnings(context: &Context, steps: &[Step]) -> Vec<String> {
    let mut warnings = context.warnings.clone();
    for warning in steps.iter().flat_map(|s| &s.statements).flat_map(|s| &s.warnings) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    warnings
}

fn unmanaged_in_scope(context: &Context) -> Vec<UnmanagedDifference> {
    unmanaged(&context.live.unmanaged, &context.desired.unmanaged)
}

/// The fingerprint over what the plan touches, what that uses, and what depends on it.
fn closure(context: &Context, steps: &[Step]) -> String {
    let mut ids: BTreeSet<&Id> = BTreeSet::new();
    let whole = context.begin();
    let mut add = |id: &Id| {
        let before = context.renamed.map(|r| r.before(id));
        let id = before.as_ref().unwrap_or(id);
        let Some(object) = whole.get(id) else { return };
        ids.insert(&object.id);
        ids.extend(whole.uses(id).iter().map(|(u, _)| u));
        ids.extend(whole.used_by(id).iter().map(|(u, _)| u));
        ids.extend(object.parent.iter());
    };
    for step in steps {
        add(&step.node.id);
        step.with.iter().for_each(|n| add(&n.id));
    }
    fingerprint_of(context.whole, &ids)
}

/// Cuts steps into groups: what later statements see only after a commit ends one, what cannot run in a transaction is alone.
fn groups(context: &Context, steps: &[Step]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let touched = touched(context, steps);
    let bounds = bounds(steps);
    let bodies = bodies(context, steps);
    let no_bodies = Vec::new();
    for (start, end, rule) in bounds {
        let held = held(&touched[start..end]);
        let written = (start..end).zip(held).map(|(place, held)| {
            let bodies = bodies.get(&place).unwrap_or(&no_bodies);
            write_step(context, place, &steps[place], (&touched[place], &held, bodies))
        });
        let id = groups.len() as u32 + 1;
        groups.push(Group { id, transactional: rule != Transaction::Alone, after: None, steps: written.collect() });
    }
    undivided(&mut groups);
    groups
}

/// The groups of steps with nothing but what runs: for what nobody reads.
pub fn bare(steps: Vec<Step>) -> Vec<Group> {
    let bounds = bounds(&steps);
    let mut steps = steps.into_iter().enumerate().map(|(place, step)| {
        let change = change(&step).to_owned();
        let sql = step.statements.into_iter().map(|s| s.sql).collect();
        PlanStep { id: place as u32 + 1, sql, change, ..PlanStep::of(step.node.id) }
    });
    let group = |(number, (start, end, rule)): (usize, (usize, usize, Transaction))| Group {
        id: number as u32 + 1,
        transactional: rule != Transaction::Alone,
        after: None,
        steps: steps.by_ref().take(end - start).collect(),
    };
    bounds.into_iter().enumerate().map(group).collect()
}

fn change(step: &Step) -> &'static str {
    match step.node.op {
        Op::Create => "create",
        Op::Alter | Op::Release | Op::Save | Op::Restore => "alter",
        Op::Drop if step.renamed.is_some() => "quarantine",
        Op::Drop => "drop",
        Op::Rename => "rename",
    }
}

/// Where each group begins and ends, and how it stands to transactions.
fn bounds(steps: &[Step]) -> Vec<(usize, usize, Transaction)> {
    let mut bounds: Vec<(usize, usize, Transaction)> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let rule = step.statements.iter().map(|s| s.transaction).max().unwrap_or(Transaction::Inside);
        match bounds.last_mut() {
            Some((_, end, open)) if *open == rule && rule < Transaction::Own => *end = place + 1,
            _ => bounds.push((place, place + 1, rule)),
        }
    }
    bounds
}

/// What each step does to relations that stand before it: as it was seen, else as its kind declares.
fn touched(context: &Context, steps: &[Step]) -> Vec<Touched> {
    let mut standing = Standing::new(context.begin());
    let one = |(place, step): (usize, &Step)| {
        if let Some(picture) = context.renamed.and_then(|r| r.picture(place, context.whole)) {
            standing = Standing::new(picture);
        }
        let declared = || standing.touched(&step.statements);
        let touched = context.seen.get(&(place as u32 + 1)).cloned().unwrap_or_else(declared);
        standing.pass(step, context.desired);
        touched
    };
    steps.iter().enumerate().map(one).collect()
}

pub(super) fn takes_long(touched: &Touched, relation: &str) -> bool {
    touched.rewrites.contains(relation) || touched.scans.contains(relation)
}

/// Relations under locks, and what is worked on meanwhile.
pub(super) type Held = BTreeMap<String, BTreeSet<String>>;

/// For each step of a transaction the relations that it is the first to lock against others, and what is read or written in full
/// from then on. A step that works on what it locks says so by itself.
pub(super) fn held(works: &[Touched]) -> Vec<Held> {
    // Few steps of many take long.
    let long: Vec<usize> =
        (0..works.len()).filter(|at| !works[*at].rewrites.is_empty() || !works[*at].scans.is_empty()).collect();
    let mut blocked: BTreeMap<&String, LockMode> = BTreeMap::new();
    let mut all = Vec::new();
    for (at, work) in works.iter().enumerate() {
        let mut held = Held::new();
        for (relation, mode) in work.locks.iter().filter(|(_, m)| m.blocks_writes()) {
            let as_strong = |m: &LockMode| m.blocks_reads() || !mode.blocks_reads();
            if blocked.get(relation).is_some_and(as_strong) {
                continue;
            }
            blocked.insert(relation, *mode);
            let says_itself = |w: &Touched| takes_long(w, relation) && w.locks.get(relation).is_some_and(as_strong);
            let later = long.iter().filter(|l| **l >= at).map(|l| &works[*l]).filter(|w| !says_itself(w));
            let over: BTreeSet<String> = later.flat_map(|w| w.rewrites.iter().chain(&w.scans)).cloned().collect();
            if !over.is_empty() {
                held.insert(relation.clone(), over);
            }
        }
        all.push(held);
    }
    all
}

fn write_step(
    context: &Context,
    place: usize,
    step: &Step,
    (work, held, bodies): (&Touched, &Held, &[hazard::Body]),
) -> PlanStep {
    let reverse = super::reverse::reverse(context, step);
    let facts = hazard::Facts {
        step,
        locks: &work.locks,
        rewrites: &work.rewrites,
        scans: &work.scans,
        held,
        // What is put aside comes back by the plan itself.
        no_way_back: reverse.why.as_deref().filter(|_| reverse.sql.is_none() && !matches!(step.node.op, Op::Save | Op::Restore)),
        bodies,
    };
    let sizes = if step.node.op == Op::Rename { &context.begin().sizes } else { &context.whole.sizes };
    let judged = hazard::judge(&facts, sizes);
    let brief = |relation: &String| !takes_long(work, relation);
    let locks = work.locks.iter().map(|(r, mode)| LockFact { brief: brief(r), relation: r.clone(), mode: *mode });
    PlanStep {
        id: place as u32 + 1,
        phase: phase(context, step).name().to_owned(),
        sql: step.statements.iter().map(|s| s.sql.clone()).collect(),
        object: step.node.id.clone(),
        part: step.part,
        renamed: step.renamed.clone().map(|(from, to)| Names { from, to }),
        change: change(step).to_owned(),
        fields: step.fields.clone(),
        reason: step.reason.clone(),
        source: (context.source)(&step.node.id),
        after: step.after.iter().map(|(i, s)| (*i as u32 + 1, s.clone())).collect(),
        locks: locks.collect(),
        rewrites: work.rewrites.iter().cloned().collect(),
        scans: work.scans.iter().cloned().collect(),
        validates: work.validates.iter().cloned().collect(),
        batches: batches(context, step),
        checks: step.statements.iter().flat_map(|s| s.needs.iter().cloned()).collect(),
        asserts: Vec::new(),
        observed: context.seen.contains_key(&(place as u32 + 1)),
        edited: false,
        hazards: judged.hazards,
        sizes: match context.renamed {
            Some(renamed) if step.node.op != Op::Rename => renamed.by_old_names(judged.sizes),
            _ => judged.sizes,
        },
        reverse,
        before: definition(context.live, context, step),
        definition: definition(context.desired, context, step),
    }
}

/// How a statement that is a transaction of its own is cut; together with others it is not.
fn batches(context: &Context, step: &Step) -> Option<Batches> {
    let [Statement { transaction: Transaction::Own, batches, .. }] = step.statements.as_slice() else { return None };
    batches.clone().map(|b| Batches { size: context.batch, ..b })
}

/// The definition of an altered object on one side, as the SQL that would create it.
fn definition(side: &Catalog, context: &Context, step: &Step) -> Option<String> {
    let continues = step.part.is_some_and(|(part, _)| part > 1);
    if step.node.op != Op::Alter || continues {
        return None;
    }
    sql_of(side, context, &step.node.id)
}

/// The SQL that creates an object as it is on one side.
fn sql_of(side: &Catalog, context: &Context, id: &Id) -> Option<String> {
    let object = side.get(id)?;
    let nothing = BTreeSet::new();
    let context = kind::Context { live: context.live, desired: side, absorbed: &nothing };
    let statements = (kind::of(id).create)(&context, object);
    (!statements.is_empty()).then(|| statements.iter().map(|s| s.sql.as_str()).collect::<Vec<_>>().join(";\n"))
}

/// Old code survives additions; what holds rows or code to more than before comes later, removals last.
fn phase(context: &Context, step: &Step) -> Phase {
    let tightens = step.fields.iter().any(|f| f == "not_null" || f == "type");
    let rebuilt = context.changes.list.get(&step.node.id).is_some_and(|c| c.action == Action::Replace);
    let by_itself = step.part.is_some() && step.statements.iter().any(|s| s.transaction == Transaction::Own && !s.late);
    let values = step.statements.iter().any(|s| s.batches.is_some());
    match step.node.op {
        // What runs now names the old one and fails from then on: there is no earlier phase that it survives.
        Op::Rename => Phase::Contract,
        _ if rebuilt => Phase::Migrate,
        // In whatever form a new column comes: what it asks of the rows is its own affair, unless their values have to be worked out.
        _ if is_new_column(context, &step.node.id) => {
            if is_told(context, &step.node.id) {
                Phase::Migrate
            } else {
                Phase::Expand
            }
        }
        _ if by_itself || values => Phase::Migrate,
        Op::Drop => Phase::Contract,
        Op::Create if restrains(context, &step.node.id) => Phase::Migrate,
        Op::Alter if tightens => Phase::Migrate,
        Op::Create | Op::Alter | Op::Release | Op::Save | Op::Restore => Phase::Expand,
    }
}

fn is_new_column(context: &Context, id: &Id) -> bool {
    id.class() == "column" && context.desired.contains(id) && !context.live.contains(id)
}

/// Whether a directive gives values to the rows that stand.
fn is_told(context: &Context, id: &Id) -> bool {
    context.desired.get(id).is_some_and(|o| o.detail.contains_key("backfill"))
}

/// Whether it is something new that rows of a table, or values of a domain, have to fulfil from then on.
fn restrains(context: &Context, id: &Id) -> bool {
    let object = context.desired.get(id);
    let unique = object.is_some_and(|o| id.class() == "index" && o.flag("unique"));
    let stands = object.and_then(|o| o.parent.as_ref()).is_some_and(|whole| context.live.contains(whole));
    stands && (unique || kind::of(id).spaces.contains(&Space::Constraint))
}

/// The parts of one change have one phase, its last: between them it would be half done.
fn undivided(groups: &mut [Group]) {
    let mut last: BTreeMap<Id, Phase> = BTreeMap::new();
    let steps = || groups.iter().flat_map(|g| &g.steps).filter(|s| s.part.is_some());
    for (id, phase) in steps().filter_map(|s| Some((s.object.clone(), s.phase.parse().ok()?))) {
        let known = last.entry(id).or_insert(phase);
        *known = phase.max(*known);
    }
    for step in groups.iter_mut().flat_map(|g| &mut g.steps) {
        if let Some(phase) = last.get(&step.object) {
            step.phase = phase.name().to_owned();
        }
    }
}
