//! Steps in order -> a plan document.

use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

use super::document::{FORMAT, Fingerprints, Group, LockFact, Plan, PlanStep, Proof, Source, UnmanagedDifference, unmanaged};
use super::standing::{Standing, Touched};
use crate::catalog::{Catalog, Id, fingerprint, fingerprint_of, fingerprints};
use crate::change::{Action, Changes, Scope};
use crate::hazard;
use crate::kind;
use crate::order::{Op, Step};
use crate::statement::Transaction;

/// What a plan is made from.
pub struct Context<'a> {
    /// The live catalog, whole.
    pub whole: &'a Catalog,
    /// The live catalog, in scope.
    pub live: &'a Catalog,
    /// The desired catalog, in scope.
    pub desired: &'a Catalog,
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
}

/// Makes the document, unproven.
pub fn build(context: &Context, steps: &[Step]) -> Plan {
    let groups = groups(context, steps);
    let outside = context.scope.outside(context.whole).iter().map(ToString::to_string).collect();
    Plan {
        format: FORMAT,
        plumb: env!("CARGO_PKG_VERSION").to_owned(),
        server: context.whole.server,
        id: String::new(),
        database: context.whole.database.clone(),
        role: context.whole.role.clone(),
        roles: kind::roles(context.desired).into_iter().collect(),
        from: Fingerprints {
            scope: fingerprint(context.live),
            closure: closure(context, steps),
            objects: if steps.is_empty() { BTreeMap::new() } else { fingerprints(context.live) },
        },
        to: fingerprint(context.desired),
        scope: context.scope.clone(),
        groups,
        pending: Vec::new(),
        unmanaged: unmanaged_in_scope(context),
        outside_scope: outside,
        warnings: context.warnings.clone(),
        proof: Proof::Unproven { reason: "it was not tried (--no-prove)".to_owned() },
        observed: Map::new(),
    }
    .seal()
}

fn unmanaged_in_scope(context: &Context) -> Vec<UnmanagedDifference> {
    unmanaged(&context.live.unmanaged, &context.desired.unmanaged)
}

/// The fingerprint over what the plan touches, what that uses, and what depends on it.
fn closure(context: &Context, steps: &[Step]) -> String {
    let mut ids: BTreeSet<&Id> = BTreeSet::new();
    let mut add = |id: &Id| {
        let Some(object) = context.whole.get(id) else { return };
        ids.insert(&object.id);
        ids.extend(context.whole.uses(id).iter().map(|(u, _)| u));
        ids.extend(context.whole.used_by(id).iter().map(|(u, _)| u));
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
    let mut open: Option<Transaction> = None;
    let mut standing = Standing::new(context.whole);
    for (place, step) in steps.iter().enumerate() {
        let rule = step.statements.iter().map(|s| s.transaction).max().unwrap_or(Transaction::Inside);
        let joins = match open {
            Some(Transaction::Inside) => rule == Transaction::Inside,
            Some(Transaction::CommitAfter) => rule == Transaction::CommitAfter,
            _ => false,
        };
        let written = write_step(context, &standing, place, step);
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.steps.push(written),
            None => {
                let id = groups.len() as u32 + 1;
                groups.push(Group { id, transactional: rule != Transaction::Alone, after: None, steps: vec![written] });
            }
        }
        open = Some(rule);
        standing.pass(step, context.desired);
    }
    groups
}

fn write_step(context: &Context, standing: &Standing, place: usize, step: &Step) -> PlanStep {
    let hazards = hazard::judge(step);
    let seen = context.seen.get(&(place as u32 + 1));
    let declared = || standing.touched(&step.statements);
    let Touched { locks, rewrites, scans, validates } = seen.cloned().unwrap_or_else(declared);
    let brief = |relation: &String| !scans.contains(relation) && !rewrites.contains(relation);
    let change = match step.node.op {
        Op::Create => "create",
        Op::Alter | Op::Save | Op::Restore => "alter",
        Op::Drop => "drop",
    };
    PlanStep {
        id: place as u32 + 1,
        phase: phase(context, step).to_owned(),
        sql: step.statements.iter().map(|s| s.sql.clone()).collect(),
        object: step.node.id.clone(),
        change: change.to_owned(),
        fields: step.fields.clone(),
        reason: step.reason.clone(),
        source: (context.source)(&step.node.id),
        after: step.after.iter().map(|(i, s)| (*i as u32 + 1, s.clone())).collect(),
        locks: locks.into_iter().map(|(relation, mode)| LockFact { brief: brief(&relation), relation, mode }).collect(),
        rewrites: rewrites.into_iter().collect(),
        scans: scans.into_iter().collect(),
        validates: validates.into_iter().collect(),
        checks: step.statements.iter().flat_map(|s| s.needs.iter().cloned()).collect(),
        observed: seen.is_some(),
        hazards,
        reverse: super::reverse::reverse(context, step),
        before: definition(context.live, context, step),
        definition: definition(context.desired, context, step),
    }
}

/// The definition of an altered object on one side, as the SQL that would create it.
fn definition(side: &Catalog, context: &Context, step: &Step) -> Option<String> {
    if step.node.op != Op::Alter {
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

/// Old code survives additions; removals and tightening come last.
fn phase(context: &Context, step: &Step) -> &'static str {
    let tightens = step.fields.iter().any(|f| f == "not_null" || f == "type");
    let rebuilt = context.changes.list.get(&step.node.id).is_some_and(|c| c.action == Action::Replace);
    match step.node.op {
        _ if rebuilt => "migrate",
        Op::Create => "expand",
        Op::Alter if tightens => "migrate",
        Op::Alter | Op::Save | Op::Restore => "expand",
        Op::Drop => "contract",
    }
}
