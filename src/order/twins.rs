//! A part of pass 4: of keys and indexes that are alike the server takes the oldest, on a partitioned table as well as on its
//! partitions, and pairs them so.

use serde_json::Value;
use std::collections::BTreeMap;

use super::edges::push;
use super::graph::{Edge, Graph, Node, Op};
use crate::catalog::{Dependency, Id, Object};
use crate::kind;

/// Edges between those that are made: in one order everywhere.
pub fn twins(graph: &Graph, list: &mut Vec<Edge>) {
    let made = graph.nodes.iter().filter(|n| n.op == Op::Create).filter_map(|n| graph.desired.get(&n.id));
    let mut alike: BTreeMap<(&Id, String), Vec<&Object>> = BTreeMap::new();
    for object in made {
        if let Some((table, likeness)) = kind::likeness_in_tree(graph.desired, object) {
            alike.entry((table, likeness)).or_default().push(object);
        }
    }
    for (_, mut twins) in alike {
        twins.sort_by_cached_key(|object| age(graph, object));
        for pair in twins.windows(2) {
            let (first, then) = (&pair[0].id, &pair[1].id);
            let sentence = || format!("{first} and {then} are alike, and partitions have them in this order");
            push(list, graph.node(Op::Create, first), graph.node(Op::Create, then), false, sentence);
        }
    }
}

/// A partition's own that goes while its table gets one like it: the server would take that for the partition's part of the new one, and it
/// could not be dropped any more.
pub fn taken(graph: &Graph, list: &mut Vec<Edge>) {
    let in_tree = |n: &&Node| graph.desired.get(&n.id).is_some_and(|o| kind::likeness_in_tree(graph.desired, o).is_some());
    for node in graph.nodes.iter().filter(|n| n.op == Op::Create).filter(in_tree) {
        for (heir, _) in graph.desired.used_by(&node.id).iter().filter(|(_, d)| *d == Dependency::Inherited) {
            let Some(heir) = graph.desired.get(heir) else { continue };
            let own = heir.parent.iter().flat_map(|table| graph.live.children(table));
            for old in own.filter(|o| o.id != heir.id && kind::alike(heir, o)) {
                let sentence = || format!("{} would become a part of {}", old.id, node.id);
                push(list, graph.node(Op::Drop, &old.id), Some(node.clone()), true, sentence);
            }
        }
    }
}

/// Of keys that are alike a foreign key rests on the oldest: the one that it is known to rest on comes first.
pub fn referenced(graph: &Graph, list: &mut Vec<Edge>) {
    let made = |id: &Id| graph.node(Op::Create, id);
    let keys = graph.nodes.iter().filter(|n| n.op == Op::Create && n.id.class() == "foreign key");
    for (used, _) in keys.flat_map(|key| graph.desired.uses(&key.id)) {
        let Some(object) = graph.desired.get(used).filter(|_| made(used).is_some()) else { continue };
        let table = object.parent.iter().flat_map(|table| graph.desired.children(table));
        let rests = |o: &Object| graph.desired.used_by(&o.id).iter().any(|(user, _)| user.class() == "foreign key");
        for twin in table.filter(|o| o.id != *used && kind::alike(object, o) && !rests(o)) {
            push(list, made(used), made(&twin.id), true, || format!("foreign keys rest on {used} and not on {}", twin.id));
        }
    }
}

/// What sorts the twins of a table: those that stay by age, then those that are made, as the parent table's or as they were made
/// where they come from.
fn age(graph: &Graph, object: &Object) -> Vec<(u8, u64, Option<Id>)> {
    let older = |o: &Object| o.detail.get("age").and_then(Value::as_u64).unwrap_or_default();
    if graph.node(Op::Create, &object.id).is_none() {
        return vec![(0, graph.live.get(&object.id).map_or(0, older), None)];
    }
    let mut parents = graph.desired.uses(&object.id).iter().filter(|(_, d)| *d == Dependency::Inherited);
    match parents.find_map(|(id, _)| graph.desired.get(id)) {
        Some(parent) => std::iter::once((1, 0, None)).chain(age(graph, parent)).collect(),
        None => vec![(2, older(object), Some(object.id.clone()))],
    }
}
