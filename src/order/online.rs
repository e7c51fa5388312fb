//! Pass 7: changes of tables that hold rows in their online forms, cut into parts. The parts of all of them are put together so that
//! the plan has few transactions: one for what needs nothing that takes long, then what takes long by itself, then one for what had to
//! wait for that, and so on. What goes for good goes last, when what comes in its place stands.

use std::collections::BTreeSet;

use super::graph::{Graph, Node, Op};
use super::parts::{Part, Parts};
use super::steps::Step;
use crate::catalog::{Catalog, Id};
use crate::kind::{self, Context, Space};
use crate::sql::free_name;
use crate::statement::{Statement, Transaction};

/// The online form of a node and of the `members` that it has taken in: the statements, ending with `rest`, which are not its own.
/// None where the direct form is all there is.
pub fn form(graph: &Graph, node: &Node, members: &[Node], rest: &[Statement], hot: &dyn Fn(&Id) -> bool) -> Vec<Statement> {
    let object = if node.op == Op::Drop { graph.live.get(&node.id) } else { graph.desired.get(&node.id) };
    let stands = |t: &Id| graph.live.contains(t) && graph.desired.contains(t) && graph.node(Op::Create, t).is_none();
    let table = match (object.and_then(|o| o.parent.as_ref()), left(graph, node)) {
        (Some(table), Some(left)) => Some(left).filter(|_| stands(table) || !graph.desired.contains(table)),
        (table, _) => table.cloned(),
    };
    let (Some(object), Some(_)) = (object, table.filter(|t| stands(t) && hot(t))) else { return Vec::new() };
    let absorbed = members.iter().filter(|m| m.op == Op::Create && *m != node).map(|m| m.id.clone()).collect();
    let context = Context { live: graph.live, desired: graph.desired, absorbed: &absorbed };
    let online = kind::of(&node.id).online;
    let mut statements = match node.op {
        Op::Create => (online.create)(&context, object, &name(&context, node, online.beside)),
        Op::Alter => match (graph.live.get(&node.id), graph.fields(node)) {
            (Some(old), fields) if !fields.is_empty() => (online.alter)(&context, old, object, &fields),
            _ => Vec::new(),
        },
        Op::Drop if graph.desired.contains(&node.id) => Vec::new(),
        Op::Drop => (online.drop)(&context, object),
        Op::Save | Op::Restore | Op::Rename | Op::Release => Vec::new(),
    };
    if !statements.is_empty() {
        let late = statements.iter().position(|s| s.late).unwrap_or(statements.len());
        statements.splice(late..late, rest.iter().cloned());
    }
    statements
}

/// The table that a partition leaves: it is there that others are at work.
fn left(graph: &Graph, node: &Node) -> Option<Id> {
    match (node.op, node.id.class()) {
        (Op::Drop, "partition") => kind::above(graph.live, &node.id).into_iter().next(),
        _ => None,
    }
}

/// Partitions that are dropped with their rows, and detached by themselves before that: in a step of its own, so that nobody waits who is at
/// work with their table.
pub fn leaving(graph: &Graph, hot: &dyn Fn(&Id) -> bool) -> BTreeSet<Node> {
    let dropped = |node: &&Node| {
        let table = graph.live.get(&node.id).and_then(|o| o.parent.as_ref());
        let goes = |t: &Id| graph.node(Op::Drop, t).is_some() && !graph.aside.contains_key(t);
        left(graph, node).is_some() && table.is_some_and(goes)
    };
    let leaves = graph.nodes.iter().filter(dropped);
    leaves.filter(|node| !form(graph, node, &[], &[], hot).is_empty()).cloned().collect()
}

/// The name under which something is built: its own, or a free one while that is taken.
fn name(context: &Context, node: &Node, beside: bool) -> String {
    let base = node.id.base();
    if !beside || !context.live.contains(&node.id) {
        return base.to_owned();
    }
    free_name(base, "_new", &|name| context.is_relation(node.id.first(), name))
}

/// Cuts steps into the parts of their online forms, and puts all of them in order.
pub fn spread(steps: Vec<Step>, forms: Vec<Vec<Statement>>, live: &Catalog) -> Vec<Step> {
    let mut chosen: BTreeSet<usize> = forms.iter().enumerate().filter(|(_, f)| !f.is_empty()).map(|(i, _)| i).collect();
    while !chosen.is_empty() {
        let parts = Parts::new(&steps, cut(&steps, &forms, &chosen));
        let torn = parts.torn(&steps);
        if torn.is_empty() {
            return match parts.levels(&steps, |step| goes_last(step, live)) {
                Some(levels) => written(steps, parts, &levels),
                None => steps,
            };
        }
        chosen.retain(|step| !torn.contains(step));
    }
    steps
}

/// Each step's statements in parts: what may not share a transaction with others stands alone.
fn cut(steps: &[Step], forms: &[Vec<Statement>], chosen: &BTreeSet<usize>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let statements = if chosen.contains(&place) { &forms[place] } else { &step.statements };
        for (n, statement) in statements.iter().enumerate() {
            let apart = chosen.contains(&place) && statement.transaction >= Transaction::Own;
            match parts.last_mut().filter(|p| n > 0 && !apart && !p.apart) {
                Some(part) => {
                    part.turns |= statement.turns;
                    part.statements.push(statement.clone());
                }
                None => {
                    let (late, turns) = (apart && statement.late, chosen.contains(&place) && statement.turns);
                    parts.push(Part { step: place, apart, late, turns, statements: vec![statement.clone()] });
                }
            }
        }
    }
    parts
}

/// Whether it is gone for good and queries, or what comes in its place, may miss it: a relation, an index or a constraint.
fn goes_last(step: &Step, live: &Catalog) -> bool {
    let spaces = kind::of(&step.node.id).spaces;
    let invalid = || live.get(&step.node.id).is_some_and(|o| o.flag("invalid"));
    step.node.op == Op::Drop && spaces.iter().any(|s| matches!(s, Space::Relation | Space::Constraint)) && !invalid()
}

/// The steps that the parts become, with what they come after.
fn written(steps: Vec<Step>, parts: Parts, levels: &[usize]) -> Vec<Step> {
    let mut order: Vec<usize> = (0..parts.list.len()).collect();
    order.sort_by_key(|part| (levels[*part], *part));
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, part)| place[*part] = at);
    let mut list = Vec::with_capacity(order.len());
    for number in order {
        let part = &parts.list[number];
        let step = &steps[part.step];
        let first = parts.of(part.step).start;
        let after = parts.before[number].iter().map(|(before, sentence)| (place[*before], sentence.clone())).collect();
        let node = Node { op: if number == first { step.node.op } else { Op::Alter }, id: step.node.id.clone() };
        let tells = number == parts.stands(part.step, &steps);
        list.push(Step {
            node,
            renamed: step.renamed.clone(),
            fields: step.fields.clone(),
            with: if number == first { step.with.clone() } else { Vec::new() },
            statements: part.statements.clone(),
            effects: if tells { step.effects.clone() } else { Vec::new() },
            reason: step.reason.clone(),
            after,
            part: Some((number - first + 1, parts.of(part.step).len())).filter(|(_, of)| *of > 1),
        });
    }
    list
}
