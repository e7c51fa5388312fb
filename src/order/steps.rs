//! Pass 6: sorted nodes are written as statements.

use std::collections::{BTreeMap, BTreeSet};

use super::aside;
use super::edges::edges;
use super::graph::{Graph, Node, Op};
use super::online::{form, leaving, spread};
use super::rows::rows;
use super::sort::{Cycle, Sorted, sort};
use crate::catalog::{Catalog, Id};
use crate::change::{Action, Changes};
use crate::kind::{self, Absorbed, Context};
use crate::statement::{Effect, Statement, Transaction};

/// One step of a plan: one object, its statements, and why it stands where it stands.
#[derive(Clone, Debug)]
pub struct Step {
    /// What happens to what.
    pub node: Node,
    /// What it is called before and after, for another name.
    pub renamed: Option<(Id, Id)>,
    /// Fields that change, for an alteration.
    pub fields: Vec<String>,
    /// What else the step makes, changes or removes.
    pub with: Vec<Node>,
    /// The statements, in order.
    pub statements: Vec<Statement>,
    /// What it means for rights and for code that runs.
    pub effects: Vec<Effect>,
    /// Why the object changes.
    pub reason: String,
    /// Earlier steps (by place in the list) that must come before, each with the reason.
    pub after: BTreeMap<usize, String>,
    /// Where it is a part of a change that is made in several steps: which one, from 1, and of how many.
    pub part: Option<(usize, usize)>,
}

/// Orders changes and writes their statements; those on tables that are `hot` in their online forms. What is put `aside` is not
/// dropped.
///
/// # Errors
/// When no order exists: the sentences of a cycle.
pub fn order(
    (live, desired): (&Catalog, &Catalog),
    changes: &Changes,
    aside: &BTreeMap<Id, Id>,
    hot: &dyn Fn(&Id) -> bool,
) -> Result<Vec<Step>, Cycle> {
    let mut graph = Graph::new(live, desired, changes, aside);
    rows(&mut graph);
    edges(&mut graph);
    let (early, late) = (commits_first(&graph), runs_code(&graph));
    let place = |node: &Node| if late.contains(node) { LAST } else { place(node, early.contains(&node.id)) };
    let apart = leaving(&graph, hot);
    let sorted = sort(&mut graph, apart, |node| (place(node), kind::rank(node.id.class())))?;
    let mut forms = Vec::new();
    let steps = write(&graph, sorted, |node, members, rest| forms.push(form(&graph, node, members, rest, hot)));
    Ok(spread(steps, forms, live))
}

/// Alterations that later statements see only after a commit come first, so that the rest is one transaction.
fn commits_first(graph: &Graph) -> BTreeSet<Id> {
    let nothing = BTreeSet::new();
    let context = Context { live: graph.live, desired: graph.desired, absorbed: &nothing };
    let commits = |node: &&Node| {
        let statements = alter(graph, &context, node);
        !statements.is_empty() && statements.iter().all(|s| s.transaction == Transaction::CommitAfter)
    };
    graph.nodes.iter().filter(|n| n.op == Op::Alter && n.id.class() == "enum").filter(commits).map(|n| n.id.clone()).collect()
}

/// Where in the order what may run anybody's code stands: nobody knows what a body uses, so that all else is as wanted by then.
const LAST: u8 = 4;

/// What runs functions as it is made.
fn runs_code(graph: &Graph) -> BTreeSet<Node> {
    let made = graph.nodes.iter().filter(|n| n.op == Op::Create);
    // Rows are held to a check; even where there are none, what it calls is looked into.
    let holds = |id: &Id| id.class() == "check" && graph.desired.uses(id).iter().any(|(used, _)| used.class() == "function");
    made.filter(|n| holds(&n.id) || !called(graph.desired, &n.id).is_empty()).cloned().collect()
}

/// The functions that run as an object is made: those that a materialized view calls, be it through views, when it is filled, and
/// those of the checks of a partition that is attached.
pub fn called<'a>(desired: &'a Catalog, id: &'a Id) -> BTreeSet<&'a Id> {
    let through = |id: &Id| ["view", "materialized view", "function"].contains(&id.class());
    let table = id.as_class("table");
    let mut todo: Vec<&Id> = match id.class() {
        "materialized view" => vec![id],
        "partition" => desired.children(&table).map(|c| &c.id).filter(|c| c.class() == "check").collect(),
        _ => return BTreeSet::new(),
    };
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        let used = desired.uses(id).iter().map(|(used, _)| used);
        todo.extend(used.filter(|used| through(used) && seen.insert(*used)));
    }
    seen.retain(|used| used.class() == "function");
    seen
}

/// The tie key's first part: new things first, then changes, removals last.
fn place(node: &Node, early: bool) -> u8 {
    match node.op {
        Op::Alter if early => 0,
        Op::Create | Op::Save => 1,
        Op::Alter | Op::Release | Op::Restore | Op::Rename => 2,
        Op::Drop => 3,
    }
}

fn alter(graph: &Graph, context: &Context, node: &Node) -> Vec<Statement> {
    match graph.changes.list.get(&node.id).map(|c| (&c.action, &c.old, &c.new)) {
        Some((Action::Alter(_), Some(old), Some(new))) => (kind::of(&node.id).alter)(context, old, new, &graph.fields(node)),
        _ => Vec::new(),
    }
}

fn write(graph: &Graph, sorted: Sorted, mut written: impl FnMut(&Node, &[Node], &[Statement])) -> Vec<Step> {
    let mut groups = graph.groups();
    let mut places: BTreeMap<Node, usize> = BTreeMap::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut silent: BTreeMap<Node, BTreeMap<usize, String>> = BTreeMap::new();
    for (node, before) in sorted {
        let members = groups.remove(&node).unwrap_or_default();
        let mut after: BTreeMap<usize, String> = BTreeMap::new();
        for (earlier, sentence) in &before {
            match places.get(earlier) {
                Some(place) => drop(after.entry(*place).or_insert_with(|| sentence.clone())),
                None => after.extend(silent.get(earlier).cloned().unwrap_or_default()),
            }
        }
        let (statements, own) = statements(graph, &node, &members);
        if statements.is_empty() {
            silent.insert(node, after);
            continue;
        }
        written(&node, &members, &statements[own..]);
        places.insert(node.clone(), steps.len());
        let change = graph.changes.list.get(&node.id);
        steps.push(Step {
            fields: if matches!(node.op, Op::Save | Op::Restore) { vec!["rows".to_owned()] } else { graph.fields(&node) },
            effects: effects(graph, &node, &members),
            with: members.into_iter().filter(|m| *m != node).collect(),
            statements,
            reason: change.map_or(String::new(), |c| c.reason.clone()),
            after,
            part: None,
            renamed: graph.aside.get(&node.id).filter(|_| node.op == Op::Drop).map(|to| (node.id.clone(), to.clone())),
            node,
        });
    }
    steps
}

/// What a standing node means for rights and for running code. What is made anew is compared with what it was, once and with all
/// that it loses or keeps of its rights; of what goes for good its name says it all.
fn effects(graph: &Graph, node: &Node, members: &[Node]) -> Vec<Effect> {
    let nothing = BTreeSet::new();
    let context = Context { live: graph.live, desired: graph.desired, absorbed: &nothing };
    let mut ids = BTreeSet::from([node.id.clone()]);
    match node.op {
        Op::Save | Op::Restore | Op::Rename | Op::Release => return Vec::new(),
        Op::Drop if graph.desired.contains(&node.id) => return Vec::new(),
        Op::Drop => {}
        Op::Create | Op::Alter => {
            ids.extend(members.iter().filter(|m| m.id.of().is_some()).map(|m| m.id.clone()));
            let remade = node.op == Op::Create || graph.changes.list.get(&node.id).is_some_and(|c| c.remade);
            let anew = members.iter().filter(|m| remade && m.op != Op::Drop && graph.live.contains(&m.id));
            ids.extend(anew.flat_map(|m| graph.live.children(&m.id)).filter(|c| c.id.of().is_some()).map(|c| c.id.clone()));
        }
    }
    let of = |id: &Id| (kind::of(id).effects)(&context, graph.live.get(id), graph.desired.get(id));
    let found: BTreeSet<Effect> = ids.iter().flat_map(of).collect();
    found.into_iter().collect()
}

/// The statements of a standing node and of what it has absorbed, and how many are its own.
fn statements(graph: &Graph, node: &Node, members: &[Node]) -> (Vec<Statement>, usize) {
    let absorbed: BTreeSet<Id> = members.iter().filter(|m| m.op == Op::Create && *m != node).map(|m| m.id.clone()).collect();
    let context = Context { live: graph.live, desired: graph.desired, absorbed: &absorbed };
    if let Some(statements) = aside::statements(graph, &context, node, members) {
        let own = statements.len();
        return (statements, own);
    }
    let mut statements = one(graph, &context, node);
    let own = statements.len();
    for id in &absorbed {
        let object = graph.desired.get(id).filter(|o| inside(graph, &Node { op: Op::Create, id: o.id.clone() }));
        let more = object.map(|o| (kind::of(id).beyond_element)(o)).unwrap_or_default();
        statements.extend(more.into_iter().map(|s| Statement { locks: Vec::new(), ..s }));
    }
    let mut rest: Vec<&Node> = members.iter().filter(|m| *m != node && speaks(graph, m)).collect();
    // What is revoked of a table is revoked of its columns too, so that their grants follow.
    let whole_first = |m: &Node| m.id.of().map_or(0, |of| of.name().len());
    rest.sort_by_key(|m| (kind::rank(m.id.class()), whole_first(m), (*m).clone()));
    for member in rest {
        statements.extend(one(graph, &context, member));
    }
    if node.op == Op::Drop
        && let Some(whole) = statements.first_mut()
    {
        // What goes with it is locked as if it went by itself.
        let own = |m: &&Node| !graph.live.get(&m.id).is_some_and(|o| o.flag("inherited"));
        let gone = members.iter().filter(|m| *m != node && m.op == Op::Drop && m.id.of().is_none()).filter(own);
        for part in gone.flat_map(|m| one(graph, &context, m)) {
            whole.locks.extend(part.locks);
            whole.reaches.extend(part.reaches);
        }
    }
    if node.op == Op::Create && kind::of(&node.id).holds_rows {
        for s in &mut statements {
            s.scans.clear();
        }
    }
    (statements, own)
}

/// Whether an absorbed node still has something to say after the one that took it in.
fn speaks(graph: &Graph, node: &Node) -> bool {
    let satellite_of_made = node.id.of().is_some() && graph.standing(node).op != Op::Drop;
    match node.op {
        Op::Create => kind::of(&node.id).absorbed == Absorbed::After || !inside(graph, node),
        Op::Alter => true,
        Op::Drop => satellite_of_made,
        Op::Save | Op::Restore | Op::Rename | Op::Release => false,
    }
}

/// Whether it is written inside the CREATE of what took it in.
fn inside(graph: &Graph, node: &Node) -> bool {
    let parent = graph.desired.get(&node.id).and_then(|o| o.parent.clone());
    kind::of(&node.id).absorbed == Absorbed::Inside
        && parent.is_some_and(|p| graph.node(Op::Create, &p).is_some_and(|outer| graph.within.get(node) == Some(&outer)))
}

pub(super) fn one(graph: &Graph, context: &Context, node: &Node) -> Vec<Statement> {
    let kind = kind::of(&node.id);
    let change = graph.changes.list.get(&node.id);
    let saved = graph.kept.values().any(|(_, goes)| goes.contains(&node.id));
    match node.op {
        Op::Save => graph.kept.get(&node.id).map(|(k, _)| k.save.clone()).unwrap_or_default(),
        Op::Restore => graph.kept.get(&node.id).map(|(k, _)| k.restore.clone()).unwrap_or_default(),
        Op::Create => graph.desired.get(&node.id).map(|o| (kind.create)(context, o)).unwrap_or_default(),
        Op::Alter | Op::Release => alter(graph, context, node),
        // Names are given before anything is compared.
        Op::Rename => Vec::new(),
        Op::Drop => {
            let mut statements = change.and_then(|c| c.old.as_ref()).map(|o| (kind.drop)(context, o)).unwrap_or_default();
            statements.iter_mut().filter(|_| saved).for_each(|s| s.losses.clear());
            statements
        }
    }
}
