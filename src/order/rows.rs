//! Pass 2: what holds rows and has to be made anew keeps them. They are put aside before the old one goes, and come back when
//! the new one stands with its partitions, before anything watches or checks them.

use std::collections::BTreeSet;

use super::graph::{Edge, Graph, Node, Op};
use crate::catalog::{Catalog, Id, Object};
use crate::change::Action;
use crate::kind::{self, Context};

/// Adds the nodes.
pub fn rows(graph: &mut Graph) {
    let nothing = BTreeSet::new();
    let context = Context { live: graph.live, desired: graph.desired, absorbed: &nothing };
    for change in graph.changes.list.values().filter(|c| c.action == Action::Replace) {
        let Some(keep) = kind::of(&change.id).keep_rows else { continue };
        // Partitions that stay keep their rows, and those that are made anew too have theirs saved by themselves.
        let goes = |id: &Id| graph.node(Op::Drop, id).is_some() && graph.node(Op::Create, id).is_none();
        let goes = tree(graph.live, &change.id, goes);
        let holds_rows = |id: &&Id| !graph.live.get(id).is_some_and(|t| t.definition.contains_key("partition_key"));
        let from: Vec<Id> = goes.iter().filter(holds_rows).cloned().collect();
        if let Some(kept) = keep(&context, &change.id, &from) {
            graph.nodes.extend([Op::Save, Op::Restore].map(|op| Node { op, id: change.id.clone() }));
            graph.kept.insert(change.id.clone(), (kept, goes));
        }
    }
}

/// A table, its partitions that are wanted, and theirs.
fn tree(catalog: &Catalog, table: &Id, wanted: impl Fn(&Id) -> bool) -> BTreeSet<Id> {
    let mut found = BTreeSet::from([table.clone()]);
    let mut todo = vec![table.clone()];
    while let Some(next) = todo.pop() {
        let partitions = catalog.used_by(&next).iter().filter(|(user, _)| user.class() == "partition");
        let tables = partitions.filter_map(|(p, _)| catalog.get(p)?.parent.clone()).filter(|t| *t != next && wanted(t));
        todo.extend(tables.filter(|t| found.insert(t.clone())));
    }
    found
}

/// What comes before and after the rows are saved and restored.
pub fn edges(graph: &Graph, list: &mut Vec<Edge>) {
    for (table, (_, goes)) in &graph.kept {
        let (save, restore) = (Node { op: Op::Save, id: table.clone() }, Node { op: Op::Restore, id: table.clone() });
        let mut push = |before: &Node, after: &Node, sentence: String| {
            list.push(Edge { before: before.clone(), after: after.clone(), sentence, weak: false });
        };
        push(&save, &restore, format!("the rows of {table} are put aside first"));
        for goes in goes.iter().filter_map(|id| graph.node(Op::Drop, id)) {
            push(&save, &goes, format!("the rows of {table} are put aside before {} goes", goes.id));
        }
        let whole = tree(graph.desired, table, |_| true);
        for node in graph.nodes.iter().filter(|n| n.op == Op::Create) {
            let Some(object) = graph.desired.get(&node.id) else { continue };
            let part = object.parent.as_ref().is_some_and(|p| whole.contains(p));
            let place = whole.contains(&node.id) || part && node.id.class() == "partition";
            if place {
                push(node, &restore, format!("the rows of {table} go into {}", node.id));
            } else if watches(graph, object, &whole) {
                push(&restore, node, format!("{} sees the rows of {table} come back otherwise", node.id));
            }
        }
        values(graph, table, goes, list);
    }
}

/// What is put aside has the types and collations of the old columns until it is given back.
fn values(graph: &Graph, table: &Id, goes: &BTreeSet<Id>, list: &mut Vec<Edge>) {
    let restore = Node { op: Op::Restore, id: table.clone() };
    let columns = goes.iter().flat_map(|id| graph.live.children(id)).filter(|o| o.id.class() == "column");
    for (used, _) in columns.flat_map(|column| graph.live.uses(&column.id)) {
        let of_its_own = graph.live.get(used).is_some_and(|o| o.parent.is_none() && !goes.contains(used));
        if let Some(drop) = graph.node(Op::Drop, used).filter(|_| of_its_own) {
            let sentence = format!("the rows of {table} hold values of {used} until they are given back");
            // What is made anew under its name goes before the new table comes.
            list.push(Edge { before: restore.clone(), after: drop, sentence, weak: true });
        }
    }
}

/// Whether an object acts on rows, or is filled from them, as soon as it stands.
fn watches(graph: &Graph, object: &Object, tables: &BTreeSet<Id>) -> bool {
    let part = |id: &Id| {
        tables.contains(id) || graph.desired.get(id).and_then(|o| o.parent.as_ref()).is_some_and(|p| tables.contains(p))
    };
    let uses = || graph.desired.uses(&object.id).iter().any(|(used, _)| part(used));
    match object.id.class() {
        "trigger" | "rule" => part(&object.id),
        "foreign key" => !part(&object.id) && uses(),
        "materialized view" => uses(),
        _ => false,
    }
}
