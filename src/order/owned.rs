//! A part of pass 4: a sequence and the table of the column that owns it have one owner, and ALTER TABLE takes the sequences along
//! when the table changes its owner or becomes logged or unlogged.

use super::edges::push;
use super::graph::{Edge, Graph, Node, Op};
use crate::catalog::{Catalog, Id};
use crate::kind;

/// Edges around `OWNED BY`.
pub fn owned(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| n.id.class() == "owned by") {
        let (old, new) = (table(graph.live, &node.id), table(graph.desired, &node.id));
        if node.op == Op::Alter && old == new {
            continue;
        }
        let sequence = node.id.as_class("sequence");
        let sentence = || format!("{sequence} follows the table that owns it");
        if let Some(old) = old.filter(|_| node.op != Op::Create) {
            for changed in with_table(graph, &old) {
                push(list, Some(node.clone()), Some(changed), node.op == Op::Alter, sentence);
            }
        }
        if let Some(new) = new.filter(|_| node.op != Op::Drop) {
            for changed in with_table(graph, &new) {
                push(list, Some(changed), Some(node.clone()), false, sentence);
            }
        }
        let owner = graph.node(Op::Alter, &Id::satellite("owner", &sequence));
        match node.op {
            Op::Drop => push(list, Some(node.clone()), owner, false, sentence),
            _ => push(list, owner, Some(node.clone()), false, sentence),
        }
    }
}

/// The table of the column that owns a sequence.
fn table(catalog: &Catalog, owned_by: &Id) -> Option<Id> {
    kind::owning_column(catalog, owned_by)?.parent.clone()
}

/// What changes of a table and passes on to its sequences.
fn with_table(graph: &Graph, table: &Id) -> Vec<Node> {
    let owner = graph.node(Op::Alter, &Id::satellite("owner", table));
    let persistence = graph.node(Op::Alter, table).filter(|_| graph.changes.alters(table, "unlogged"));
    owner.into_iter().chain(persistence).collect()
}
