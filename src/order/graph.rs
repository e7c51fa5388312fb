//! The graph: nodes, edges with their sentences, and which node stands for which.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Catalog, Id};
use crate::change::{Action, Change, Changes};
use crate::kind::Kept;

/// What a node does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// It is made.
    Create,
    /// It is changed in place.
    Alter,
    /// It is removed.
    Drop,
    /// Its rows are put aside, since it is made anew.
    Save,
    /// Its rows come back.
    Restore,
    /// It gets another name.
    Rename,
    /// A column is computed no more, before it gets another type.
    Release,
}

/// One operation on one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// What happens.
    pub op: Op,
    /// To what.
    pub id: Id,
}

/// `before` comes before `after`, and why.
#[derive(Clone, Debug)]
pub struct Edge {
    pub before: Node,
    pub after: Node,
    pub sentence: String,
    /// It helps and may be given up when it closes a cycle.
    pub weak: bool,
}

/// Everything that the passes work on.
pub struct Graph<'a> {
    pub live: &'a Catalog,
    pub desired: &'a Catalog,
    pub changes: &'a Changes,
    /// What is put aside instead of being dropped, and as what.
    pub aside: &'a BTreeMap<Id, Id>,
    pub nodes: BTreeSet<Node>,
    /// Absorbed node -> the node that it is part of.
    pub within: HashMap<Node, Node>,
    pub edges: Vec<Edge>,
    /// Tables whose rows are carried over, with all that goes and whose rows are among them.
    pub kept: BTreeMap<Id, (Kept, BTreeSet<Id>)>,
}

impl<'a> Graph<'a> {
    /// The first pass: nodes for changes.
    pub fn new(live: &'a Catalog, desired: &'a Catalog, changes: &'a Changes, aside: &'a BTreeMap<Id, Id>) -> Graph<'a> {
        let mut nodes = BTreeSet::new();
        for change in changes.list.values() {
            nodes.extend(ops(change).iter().map(|op| Node { op: *op, id: change.id.clone() }));
        }
        let released = changes.list.values().filter(|c| is_released_first((live, desired), changes, c));
        nodes.extend(released.map(|c| Node { op: Op::Release, id: c.id.clone() }));
        Graph { live, desired, changes, aside, nodes, within: HashMap::new(), edges: Vec::new(), kept: BTreeMap::new() }
    }

    /// The node of `id` with this operation, if there is one.
    pub fn node(&self, op: Op, id: &Id) -> Option<Node> {
        let node = Node { op, id: id.clone() };
        self.nodes.contains(&node).then_some(node)
    }

    /// The fields of its object that a node changes: of a column that is released first, what that leaves to the rest.
    pub fn fields(&self, node: &Node) -> Vec<String> {
        let Some(Action::Alter(fields)) = self.changes.list.get(&node.id).map(|c| &c.action) else { return Vec::new() };
        let releases = |field: &&String| field.starts_with("generated");
        let first = self.node(Op::Release, &node.id).is_some();
        fields.iter().filter(|f| !first || releases(f) == (node.op == Op::Release)).cloned().collect()
    }

    /// The node that stands for `node` in the end.
    pub fn standing(&self, node: &Node) -> Node {
        let mut standing = node;
        while let Some(outer) = self.within.get(standing) {
            standing = outer;
        }
        standing.clone()
    }

    /// Standing nodes with all that they have absorbed.
    pub fn groups(&self) -> BTreeMap<Node, Vec<Node>> {
        let mut groups: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for node in &self.nodes {
            groups.entry(self.standing(node)).or_default().push(node.clone());
        }
        groups
    }
}

/// Whether a computed column becomes a plain one of a type that is made anew and was not its own: it has to let go of what it was computed
/// from before that type comes, and gets it after.
fn is_released_first((live, desired): (&Catalog, &Catalog), changes: &Changes, change: &Change) -> bool {
    let id = &change.id;
    let of_its_own = |used: &Id| live.uses(id).iter().any(|(u, _)| u == used);
    let anew = |used: &Id| changes.list.get(used).is_some_and(|c| c.remade) && !of_its_own(used);
    let plain = id.class() == "column" && change.alters("generated") && change.alters("type");
    plain && desired.uses(id).iter().any(|(used, _)| anew(used))
}

fn ops(change: &Change) -> &'static [Op] {
    match change.action {
        Action::Create => &[Op::Create],
        Action::Drop => &[Op::Drop],
        Action::Alter(_) => &[Op::Alter],
        Action::Replace => &[Op::Drop, Op::Create],
    }
}
