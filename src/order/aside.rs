//! A part of pass 6: what is put aside instead of being dropped, with what is taken away of it before.

use std::cmp::Reverse;

use super::graph::{Graph, Node, Op};
use super::steps::one;
use crate::catalog::Id;
use crate::kind::{self, Context, quarantine};
use crate::statement::Statement;

/// Whether a table that is put aside leaves one that is not.
pub fn parted(graph: &Graph, table: &Id) -> bool {
    let partition = table.as_class("partition");
    let above = graph.live.uses(&partition).iter().map(|(used, _)| used).find(|used| used.class() == "table" && *used != table);
    above.is_some_and(|above| !graph.aside.contains_key(above))
}

/// The statements that put the object of a node aside; none where it is dropped.
pub fn statements(graph: &Graph, context: &Context, node: &Node, members: &[Node]) -> Option<Vec<Statement>> {
    let to = graph.aside.get(&node.id).filter(|_| node.op == Op::Drop)?;
    let object = graph.live.get(&node.id)?;
    let parted = parted(graph, &node.id);
    let goes = |m: &&Node| m.op == Op::Drop && *m != node && quarantine::is_taken_away(graph.live, &node.id, &m.id, parted);
    let mut gone: Vec<&Node> = members.iter().filter(goes).collect();
    // A partition is detached first: what it has of the table above is its own then. What rests on others goes before them.
    gone.sort_by_key(|m| (m.id.class() != "partition", Reverse(kind::rank(m.id.class())), (*m).clone()));
    let mut statements: Vec<Statement> = gone.into_iter().flat_map(|m| one(graph, context, m)).collect();
    statements.iter_mut().for_each(|s| s.losses.clear());
    statements.extend(quarantine::set_aside(context, object, to));
    Some(statements)
}
