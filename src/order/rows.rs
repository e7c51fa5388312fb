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
        let from = going(graph, &change.id);
        if let Some(kept) = keep(&context, &change.id, &from) {
            graph.nodes.extend([Op::Save, Op::Restore].map(|op| Node { op, id: change.id.clone() }));
            let goes = tree(graph.live, &change.id).into_iter().filter(|id| graph.node(Op::Drop, id).is_some()).collect();
            graph.kept.insert(change.id.clone(), (kept, goes));
        }
    }
}

/// The relations that hold the rows of a table that goes: partitions that stay keep theirs.
fn going(graph: &Graph, table: &Id) -> Vec<Id> {
    let partitioned = graph.live.get(table).is_some_and(|t| t.definition.contains_key("partition_key"));
    if !partitioned {
        return vec![table.clone()];
    }
    let goes = |id: &Id| graph.node(Op::Drop, id).is_some() && !graph.kept.contains_key(id);
    partitions(graph.live, table).into_iter().filter(goes).flat_map(|p| going(graph, &p)).collect()
}

/// The tables that are partitions of a table.
fn partitions(catalog: &Catalog, table: &Id) -> Vec<Id> {
    let name = table.sql();
    let of = |o: &&Object| o.id.class() == "partition" && o.text("parent") == name;
    catalog.objects().filter(of).filter_map(|o| o.parent.clone()).collect()
}

/// A table and everything under it.
fn tree(catalog: &Catalog, table: &Id) -> BTreeSet<Id> {
    let mut found = BTreeSet::from([table.clone()]);
    let mut todo = vec![table.clone()];
    while let Some(next) = todo.pop() {
        todo.extend(partitions(catalog, &next).into_iter().filter(|p| found.insert(p.clone())));
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
        let whole = tree(graph.desired, table);
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
