//! Pass 5: Kahn's algorithm with a heap and a total tie key, so that the same input gives the same order.

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};

use super::absorb::absorb;
use super::graph::{Edge, Graph, Node, Op};
use crate::catalog::Id;
use crate::kind;

/// No order exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// The sentences of one cycle, each "a before b, because ...".
    pub sentences: Vec<String>,
    /// What is changed in place on that cycle.
    pub altered: Vec<Id>,
}

/// Standing nodes in order, and for each the standing nodes that must come before it with the reason.
pub type Sorted = Vec<(Node, BTreeMap<Node, String>)>;

/// Sorts. Nodes in `apart` stand by themselves, and when absorbed parts make a cycle they are put apart too and the passes start over.
pub fn sort(graph: &mut Graph, mut apart: BTreeSet<Node>, key: impl Fn(&Node) -> (u8, usize)) -> Result<Sorted, Cycle> {
    let mut given_up = HashSet::new();
    loop {
        absorb(graph, &apart);
        match attempt(graph, &given_up, &key) {
            Ok(sorted) => return Ok(sorted),
            Err(knot) => {
                let (weak, mut parts) = (weak_edges(graph, &knot, &given_up), absorbed_parts(graph, &knot, &given_up));
                parts.retain(|part| !apart.contains(part));
                if !weak.is_empty() {
                    given_up.extend(weak);
                } else if parts.is_empty() {
                    return Err(cycle(graph, &knot, &given_up));
                } else {
                    apart.extend(parts);
                }
            }
        }
    }
}

/// The edges between standing nodes.
fn standing_edges<'g>(graph: &'g Graph, given_up: &HashSet<usize>) -> Vec<(Node, Node, &'g Edge)> {
    let edges = graph.edges.iter().enumerate().filter(|(i, _)| !given_up.contains(i)).map(|(_, e)| e);
    edges.map(|e| (graph.standing(&e.before), graph.standing(&e.after), e)).filter(|(a, b, _)| a != b).collect()
}

/// Those of them that lie within a knot.
fn knot_edges<'g>(graph: &'g Graph, knot: &BTreeSet<Node>, given_up: &HashSet<usize>) -> Vec<(Node, Node, &'g Edge)> {
    standing_edges(graph, given_up).into_iter().filter(|(a, b, _)| knot.contains(a) && knot.contains(b)).collect()
}

fn attempt(graph: &Graph, given_up: &HashSet<usize>, key: impl Fn(&Node) -> (u8, usize)) -> Result<Sorted, BTreeSet<Node>> {
    let standing: Vec<Node> = graph.groups().into_keys().collect();
    let index: HashMap<&Node, usize> = standing.iter().enumerate().map(|(i, n)| (n, i)).collect();
    let mut before: Vec<BTreeMap<Node, String>> = vec![BTreeMap::new(); standing.len()];
    let mut after: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); standing.len()];
    for (a, b, edge) in standing_edges(graph, given_up) {
        let (i, j) = (index[&a], index[&b]);
        before[j].entry(a).or_insert_with(|| edge.sentence.clone());
        after[i].insert(j);
    }
    let mut waiting: Vec<usize> = before.iter().map(BTreeMap::len).collect();
    let mut ready: BinaryHeap<Reverse<((u8, usize), usize)>> =
        waiting.iter().enumerate().filter(|(_, w)| **w == 0).map(|(i, _)| Reverse((key(&standing[i]), i))).collect();
    let mut sorted = Vec::with_capacity(standing.len());
    let mut done = vec![false; standing.len()];
    while let Some(Reverse((_, i))) = ready.pop() {
        done[i] = true;
        sorted.push((standing[i].clone(), std::mem::take(&mut before[i])));
        for &j in &after[i] {
            waiting[j] -= 1;
            if waiting[j] == 0 {
                ready.push(Reverse((key(&standing[j]), j)));
            }
        }
    }
    if sorted.len() == standing.len() { Ok(sorted) } else { Err(knot(graph, given_up)) }
}

/// All standing nodes that lie on some cycle.
fn knot(graph: &Graph, given_up: &HashSet<usize>) -> BTreeSet<Node> {
    let mut petgraph: DiGraph<Node, ()> = DiGraph::new();
    let mut index: HashMap<Node, NodeIndex> = HashMap::new();
    for (a, b, _) in standing_edges(graph, given_up) {
        let from = *index.entry(a.clone()).or_insert_with(|| petgraph.add_node(a));
        let to = *index.entry(b.clone()).or_insert_with(|| petgraph.add_node(b));
        petgraph.add_edge(from, to, ());
    }
    tarjan_scc(&petgraph).into_iter().filter(|c| c.len() > 1).flatten().map(|i| petgraph[i].clone()).collect()
}

fn weak_edges(graph: &Graph, knot: &BTreeSet<Node>, given_up: &HashSet<usize>) -> Vec<usize> {
    let inside = |e: &Edge| knot.contains(&graph.standing(&e.before)) && knot.contains(&graph.standing(&e.after));
    graph.edges.iter().enumerate().filter(|(i, e)| e.weak && !given_up.contains(i) && inside(e)).map(|(i, _)| i).collect()
}

/// Absorbed nodes of the knot that an edge of the knot starts or ends at, and that can stand alone.
fn absorbed_parts(graph: &Graph, knot: &BTreeSet<Node>, given_up: &HashSet<usize>) -> Vec<Node> {
    let mut parts = BTreeSet::new();
    for (_, _, edge) in knot_edges(graph, knot, given_up) {
        for node in [&edge.before, &edge.after].map(|n| with_parent(graph, n)) {
            // Owner, grants and comment go with their object, a view's columns with the view; a part of a table that goes can go
            // by itself before.
            let whole = node.id.of().is_none() && !kind::of(&node.id).made_with_whole;
            let alone = whole && (node.op == Op::Create || node.id.class() != "column");
            if graph.within.contains_key(node) && alone {
                parts.insert(node.clone());
            }
        }
    }
    // Columns stay inside their table as long as anything else can be taken out.
    let (columns, others): (Vec<Node>, Vec<Node>) = parts.into_iter().partition(|n: &Node| n.id.class() == "column");
    if others.is_empty() { columns } else { others }
}

/// A member that goes with the parent table's goes nowhere without that: the one that takes it along.
fn with_parent<'g>(graph: &'g Graph, node: &'g Node) -> &'g Node {
    let mut part = node;
    while let Some(outer) = graph.within.get(part).filter(|o| o.op == Op::Drop && o.id.class() == part.id.class()) {
        part = outer;
    }
    part
}

/// One cycle of the knot.
fn cycle(graph: &Graph, knot: &BTreeSet<Node>, given_up: &HashSet<usize>) -> Cycle {
    let edges = knot_edges(graph, knot, given_up);
    let Some(mut at) = knot.first().cloned() else { return Cycle::default() };
    let mut path: Vec<(Node, String)> = Vec::new();
    loop {
        let Some((_, next, edge)) = edges.iter().find(|(a, _, _)| *a == at) else { return Cycle::default() };
        let sentence = format!("{} comes before {}: {}", words(&at), words(next), edge.sentence);
        path.push((at.clone(), sentence));
        if let Some(start) = path.iter().position(|(n, _)| n == next) {
            let path = path.split_off(start);
            let altered = path.iter().filter(|(n, _)| n.op == Op::Alter).map(|(n, _)| n.id.clone()).collect();
            return Cycle { sentences: path.into_iter().map(|(_, s)| s).collect(), altered };
        }
        at = next.clone();
    }
}

/// A node for a person.
pub fn words(node: &Node) -> String {
    let verb = match node.op {
        Op::Create => "creating",
        Op::Alter => "altering",
        Op::Release => "computing no more",
        Op::Drop => "dropping",
        Op::Save => "saving the rows of",
        Op::Restore => "restoring the rows of",
        Op::Rename => "renaming",
    };
    format!("{verb} {}", node.id)
}
