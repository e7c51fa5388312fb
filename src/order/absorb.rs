//! Pass 3: what people read stays whole. CREATE TABLE takes its columns and constraints in, a dropped table takes its parts along,
//! and owner, grants and comment of a new object follow it in the same step.

use std::collections::{BTreeSet, HashMap};

use super::graph::{Graph, Node, Op};
use crate::catalog::{Dependency, Id};
use crate::kind::{self, Absorbed, Context};

/// Fills `graph.within`; nodes in `apart` stand alone, if they can.
pub fn absorb(graph: &mut Graph, apart: &BTreeSet<Node>) {
    let mut within: HashMap<Node, Node> = HashMap::new();
    for node in &graph.nodes {
        let outer = match node.op {
            // The server drops what a child table has from its parent with the parent's only.
            Op::Drop if apart.contains(node) => gone_with_parents(graph, node),
            _ if apart.contains(node) => None,
            Op::Create => made_with(graph, node),
            Op::Drop if graph.aside.contains_key(&node.id) => None,
            Op::Alter | Op::Release => altered_with(graph, node),
            Op::Drop => gone_with(graph, node),
            Op::Save | Op::Restore | Op::Rename => None,
        };
        if let Some(outer) = outer.filter(|o| o != node) {
            within.insert(node.clone(), outer);
        }
    }
    graph.within = within;
}

/// What it is part of; of two wholes the one that it is wanted in.
fn parent(graph: &Graph, id: &Id) -> Option<Id> {
    graph.desired.get(id).or_else(|| graph.live.get(id)).and_then(|o| o.parent.clone()).or_else(|| id.of().cloned())
}

fn made_with(graph: &Graph, node: &Node) -> Option<Node> {
    let object = graph.desired.get(&node.id)?;
    let kind = kind::of(&node.id);
    let outer = graph.node(Op::Create, object.parent.as_ref()?);
    match kind.absorbed {
        Absorbed::Never => from_parent_table(graph, node),
        Absorbed::After => outer,
        Absorbed::Inside => {
            let nothing = BTreeSet::new();
            let context = Context { live: graph.live, desired: graph.desired, absorbed: &nothing };
            let fits = kind.element.is_none_or(|element| element(&context, object).is_some());
            outer.filter(|_| fits).or_else(|| from_parent_table(graph, node))
        }
    }
}

/// A member that making the parent table's member makes too.
fn from_parent_table(graph: &Graph, node: &Node) -> Option<Node> {
    // Columns of a table that comes to a parent or leaves one are its own while that happens.
    if !kind::of(&node.id).made_by_parent || node.id.class() == "column" && parted(graph, &node.id) {
        return None;
    }
    let mut parents = graph.desired.uses(&node.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    parents.find_map(|(id, _)| graph.node(node.op, id))
}

/// Whether the table of a member comes to another parent table in this plan, or is parted from the one that it has.
pub fn parted(graph: &Graph, id: &Id) -> bool {
    parent(graph, id).is_some_and(|table| changes_parent(graph, &table))
}

fn changes_parent(graph: &Graph, table: &Id) -> bool {
    let partition = table.as_class("partition");
    [Op::Create, Op::Drop].iter().any(|op| graph.node(*op, &partition).is_some()) || graph.changes.alters(table, "inherits")
}

/// The same of the table that has it now, for what goes.
fn parted_now(graph: &Graph, id: &Id) -> bool {
    parent_now(graph, id).is_some_and(|table| changes_parent(graph, &table))
}

fn altered_with(graph: &Graph, node: &Node) -> Option<Node> {
    if node.id.of().is_some() {
        // The owner of something new is altered as soon as it exists.
        return graph.node(Op::Create, &parent(graph, &node.id)?);
    }
    from_parent_table(graph, node)
}

/// Whether a table that stays has this one as its partition, and foreign keys look into it by way of that one: DROP TABLE is
/// refused while it is attached.
fn referenced(graph: &Graph, partition: &Id) -> bool {
    let above = |id: &Id| graph.live.uses(id).iter().map(|(t, _)| t).find(|t| t.class() == "table").cloned();
    let mut next = above(partition).filter(|parent| graph.desired.contains(parent));
    while let Some(table) = next {
        let name = table.sql();
        let refers = |id: &Id| id.class() == "foreign key" && graph.live.get(id).is_some_and(|o| o.text("referenced") == name);
        if graph.live.children(&table).any(|c| graph.live.used_by(&c.id).iter().any(|(user, _)| refers(user))) {
            return true;
        }
        next = above(&table.as_class("partition"));
    }
    false
}

/// What it goes with: what it is part of now, not what has a part of its name later.
fn parent_now(graph: &Graph, id: &Id) -> Option<Id> {
    graph.live.get(id).and_then(|o| o.parent.clone()).or_else(|| parent(graph, id))
}

/// The drop of the parent table's member.
fn gone_with_parents(graph: &Graph, node: &Node) -> Option<Node> {
    let inherited = graph.live.get(&node.id).is_some_and(|o| o.flag("inherited")) && !parted_now(graph, &node.id);
    let parents = graph.live.uses(&node.id).iter().filter(|(_, d)| inherited && *d == Dependency::Inherited);
    parents.map(|(id, _)| id).find_map(|id| graph.node(Op::Drop, id))
}

/// The drop that takes this one along: of what it is part of, or of what it cannot be without (automatic dependencies).
fn gone_with(graph: &Graph, node: &Node) -> Option<Node> {
    if node.id.class() == "partition" && referenced(graph, &node.id) {
        return None;
    }
    let whole = parent_now(graph, &node.id).filter(|p| kind::of(p).made_with_whole);
    if let Some(view) = whole.and_then(|p| parent_now(graph, &p)) {
        return graph.node(Op::Drop, &view);
    }
    if let Some(of) = node.id.of() {
        return graph.node(Op::Drop, of).filter(|_| graph.node(Op::Create, of).is_none()).or_else(|| graph.node(Op::Create, of));
    }
    if let Some(outer) = parent_now(graph, &node.id).and_then(|p| graph.node(Op::Drop, &p)) {
        return Some(outer);
    }
    // What ties a sequence to its column is undone by itself where the sequence stays.
    if kind::of(&node.id).holds_rows || kind::of(&node.id).ties_parent {
        return None;
    }
    let ties = graph.live.children(&node.id).filter(|c| kind::of(&c.id).ties_parent).map(|c| &c.id);
    let tied = std::iter::once(&node.id).chain(ties).flat_map(|id| graph.live.uses(id));
    let apart = parted_now(graph, &node.id);
    let automatic = tied.filter(|(_, d)| *d != Dependency::Normal && !(apart && *d == Dependency::Inherited));
    // What a parent table's member takes along goes with that and not by itself, wherever that one goes.
    let (inherited, others): (Vec<_>, Vec<_>) = automatic.partition(|(_, d)| *d == Dependency::Inherited);
    // Columns of a view that stays only lose what was attached to them.
    let stays =
        |id: &Id| kind::of(id).made_with_whole && parent_now(graph, id).is_some_and(|p| graph.node(Op::Drop, &p).is_none());
    // Before 15 a computed column would go with the types and functions that its expression uses: it goes by itself before.
    let takes = |id: &Id| !stays(id) && (node.id.class() != "column" || id.class() == "column");
    inherited.into_iter().chain(others).filter(|(id, _)| takes(id)).find_map(|(id, _)| graph.node(Op::Drop, id))
}
