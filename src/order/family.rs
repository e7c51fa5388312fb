//! A part of pass 4: a table that is parted from its parent table changes on its own after that, and one that comes to a parent
//! has to look like it before.

use super::absorb;
use super::edges::push;
use super::graph::{Edge, Graph, Node, Op};
use crate::catalog::{Catalog, Dependency, Id};
use crate::kind;

const ALL: [Op; 3] = [Op::Create, Op::Alter, Op::Drop];

/// Edges around DETACH, ATTACH, NO INHERIT and INHERIT.
pub fn family(graph: &Graph, list: &mut Vec<Edge>) {
    below_first(graph, list);
    for node in &graph.nodes {
        let table = node.id.as_class("table");
        match node.id.class() {
            "partition" if node.op == Op::Drop => {
                parted(graph, list, node, &table);
                referred_to(graph, list, node, &table);
                halfway(graph, list, node, &table);
            }
            "table" if node.op == Op::Drop => left(graph, list, node, &table),
            "table" if node.op == Op::Create => born(graph, list, node, &table),
            "partition" if node.op == Op::Create => {
                joined(graph, list, node, &table, &ALL);
                above_first(graph, list, node);
            }
            "foreign key" if node.op == Op::Create => refers(graph, list, node),
            "column" if node.op == Op::Alter => by_itself(graph, list, node),
            "table" if node.op == Op::Alter && graph.changes.alters(&table, "inherits") => {
                let parents = |c: &Catalog| c.get(&table).and_then(|t| t.definition.get("inherits").cloned());
                if parents(graph.live).is_some() {
                    parted(graph, list, node, &table);
                    left(graph, list, node, &table);
                }
                if parents(graph.desired).is_some() {
                    keys_gone(graph, list, node, &table);
                    let ops = if parents(graph.live).is_some() { &ALL[..1] } else { &ALL[..] };
                    joined(graph, list, node, &table, ops);
                }
            }
            _ => {}
        }
    }
}

/// Nothing of a partition can be changed that was detached halfway, before that has come to its end.
fn halfway(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    if !graph.live.get(&node.id).is_some_and(|partition| partition.flag("detaching")) {
        return;
    }
    let members = graph.live.children(table).chain(graph.desired.children(table)).map(|o| &o.id);
    for id in members.chain([table]).filter(|id| **id != node.id && id.of().is_none()) {
        for change in ALL.into_iter().filter_map(|op| graph.node(op, id)) {
            push(list, Some(node.clone()), Some(change), false, || {
                format!("{} was broken off halfway and comes to its end first", node.id)
            });
        }
    }
}

/// What is attached to a partition gets the identities that this has by then.
fn above_first(graph: &Graph, list: &mut Vec<Edge>, node: &Node) {
    let Some((from, between)) = kind::identity_from(graph.desired, &node.id) else { return };
    for parent in between {
        let sentence = || format!("{} has its identities from {from} when {parent} has them", node.id);
        push(list, graph.node(Op::Create, &parent), Some(node.clone()), true, sentence);
    }
}

/// DETACH takes identities from all partitions below, and fails when one has none.
fn below_first(graph: &Graph, list: &mut Vec<Edge>) {
    for (lacking, _) in kind::lacking_identity(graph.live) {
        for above in kind::above(graph.live, &lacking.id).iter().map(|table| table.as_class("partition")) {
            let sentence = || format!("{above} can be detached when nothing below lacks an identity, as {} does", lacking.id);
            push(list, graph.node(Op::Drop, &lacking.id), graph.node(Op::Drop, &above), false, sentence);
        }
    }
}

/// What a member has from its parent table is changed by itself once the tables are parted.
fn parted(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    // No column can be added to a partition, what is added to its parent it would have too, and DETACH takes triggers away,
    // so that one of the same name can be made.
    let own = |id: &&Id| ["column", "trigger", "check", "primary key", "unique", "index", "foreign key"].contains(&id.class());
    let parents = graph.live.uses(&node.id).iter().map(|(id, _)| id).filter(|id| id.class() == "table");
    for table in parents.chain([table]).filter(|_| node.op == Op::Drop) {
        for id in graph.desired.children(table).map(|c| &c.id).filter(own) {
            let sentence = || format!("{id} is the table's own after {}", node.id);
            push(list, Some(node.clone()), graph.node(Op::Create, id), false, sentence);
        }
    }
    for heir in graph.desired.used_by(table).iter().map(|(id, _)| id).filter(|id| id.class() == "table") {
        let sentence = || format!("{heir} cannot inherit from a partition");
        push(list, Some(node.clone()), graph.node(Op::Create, heir), false, sentence);
    }
    for (column, of_type) in retyped(graph, graph.live, table) {
        let sentence = || format!("{column} changes with {} by itself after {}", of_type.id, node.id);
        push(list, Some(node.clone()), Some(of_type.clone()), true, sentence);
    }
    for member in graph.live.children(table).map(|c| &c.id) {
        let theirs = graph.live.uses(member).iter().filter(|(_, d)| *d == Dependency::Inherited);
        let theirs: Vec<&Id> = theirs.map(|(id, _)| id).collect();
        if theirs.is_empty() {
            continue;
        }
        let sentence = || format!("{member} is the table's own after {}", node.id);
        // One that stays inherited from the same is altered with that, as long as the tables are not parted.
        let again = |theirs: &Id| graph.desired.uses(member).iter().any(|(id, d)| *d == Dependency::Inherited && id == theirs);
        let with_parent = |theirs: &Id| member.class() == "foreign key" && again(theirs);
        for op in [Op::Alter, Op::Drop] {
            push(list, Some(node.clone()), graph.node(op, member), false, sentence);
            for id in &theirs {
                match (op, with_parent(id)) {
                    (Op::Alter, true) => {
                        let sentence = || format!("{member} is altered with {id}");
                        push(list, graph.node(op, id), Some(node.clone()), false, sentence);
                    }
                    _ => push(list, Some(node.clone()), graph.node(op, id), false, sentence),
                }
            }
        }
    }
}

/// A column changes by itself before it becomes that of a parent table too, and after it was.
fn by_itself(graph: &Graph, list: &mut Vec<Edge>, node: &Node) {
    for theirs in [graph.live, graph.desired].iter().flat_map(|side| of_parents(side, &node.id)) {
        if own(graph, node, &theirs) {
            let (gone, comes) = (graph.node(Op::Drop, &theirs), graph.node(Op::Create, &theirs));
            let sentence = || format!("{theirs} and {} are one while both stand", node.id);
            push(list, gone, Some(node.clone()), false, sentence);
            push(list, Some(node.clone()), comes, false, sentence);
        }
    }
}

/// The columns of this name that the tables have which the table of a column inherits from.
fn of_parents(side: &Catalog, column: &Id) -> Vec<Id> {
    let table = side.get(column).and_then(|c| c.parent.as_ref());
    let parents = table.into_iter().flat_map(|t| side.uses(t)).map(|(id, _)| id).filter(|id| id.class() == "table");
    let named =
        |table: &Id| side.children(table).map(|c| c.id.clone()).find(|c| c.class() == "column" && c.base() == column.base());
    parents.filter_map(named).collect()
}

/// Whether a column that is changed in place and one of its parent table are two: the parent's comes or goes in this plan, and the
/// child has its own as long as it does not.
pub fn own(graph: &Graph, node: &Node, theirs: &Id) -> bool {
    let stays = |side: &Catalog| side.get(&node.id).is_some_and(|c| c.id.class() == "column" && !c.flag("inherited"));
    let comes = graph.node(Op::Create, theirs).is_some() && stays(graph.live);
    let goes = graph.node(Op::Drop, theirs).is_some() && stays(graph.desired);
    node.op == Op::Alter && !absorb::parted(graph, &node.id) && comes != goes
}

/// The columns of a table whose types are made anew under their names, and the nodes that do it.
fn retyped<'c>(graph: &Graph, catalog: &'c Catalog, table: &Id) -> Vec<(&'c Id, Node)> {
    let columns = catalog.children(table).map(|c| &c.id).filter(|id| id.class() == "column");
    let types = columns.flat_map(|column| catalog.uses(column).iter().map(move |(used, _)| (column, used)));
    let remade = types.filter(|(_, used)| graph.changes.list.get(used).is_some_and(|c| c.remade));
    remade.filter_map(|(column, used)| Some((column, graph.node(Op::Alter, used)?))).collect()
}

/// A foreign key looks into every partition of the table that it refers to, and DROP TABLE is refused for those: what is no
/// partition any more goes before it comes.
fn refers(graph: &Graph, list: &mut Vec<Edge>, node: &Node) {
    let referenced = graph.desired.get(&node.id).map(|key| key.text("referenced")).unwrap_or_default();
    let used = graph.desired.uses(&node.id).iter().filter_map(|(used, _)| graph.desired.get(used)?.parent.clone());
    let mut todo: Vec<Id> = used.filter(|table| table.sql() == referenced).collect();
    while let Some(table) = todo.pop() {
        // Of two equal keys the server takes the older one.
        let stays = graph.node(Op::Drop, &table).is_none();
        let key = |id: &&Id| stays && ["primary key", "unique", "index"].contains(&id.class());
        for key in graph.live.children(&table).map(|c| &c.id).filter(key) {
            let sentence = || format!("{} would rest on {key}", node.id);
            push(list, graph.node(Op::Drop, key), Some(node.clone()), false, sentence);
        }
        for partition in graph.live.used_by(&table).iter().map(|(id, _)| id).filter(|id| id.class() == "partition") {
            let sentence = || format!("{} would look into {partition} too", node.id);
            push(list, graph.node(Op::Drop, partition), Some(node.clone()), false, sentence);
            todo.extend(graph.live.get(partition).and_then(|p| p.parent.clone()).filter(|t| *t != table));
        }
    }
}

/// A foreign key of a partitioned table that refers to a partition goes before the partition leaves.
fn referred_to(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    for key in kind::referring_in_parts(graph.live, table) {
        let sentence = || format!("DETACH fails while {} refers to the partition", key.id);
        push(list, graph.node(Op::Drop, &key.id), Some(node.clone()), false, sentence);
        push(list, Some(node.clone()), graph.node(Op::Create, &key.id), false, sentence);
    }
}

/// A new child table has what its parents have when it is made: not what they lose in the same plan.
fn born(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    if let Some(from) = kind::columns_from(graph.desired, table) {
        let columns = [graph.live, graph.desired].into_iter().flat_map(|side| side.children(&from)).map(|c| &c.id);
        for id in columns.filter(|id| id.class() == "column").chain([&from]) {
            // The table itself where it is made.
            for op in if *id == from { &ALL[..1] } else { &ALL[..] } {
                let sentence = || format!("{table} takes its columns over from {from}");
                push(list, graph.node(*op, id), Some(node.clone()), false, sentence);
            }
        }
    }
    keys_gone(graph, list, node, table);
    for parent in graph.desired.uses(table).iter().map(|(id, _)| id).filter(|id| id.class() == "table") {
        for member in graph.live.children(parent).map(|c| &c.id).filter(|id| ["column", "check"].contains(&id.class())) {
            let sentence = || format!("{member} would pass on to {table}");
            push(list, graph.node(Op::Drop, member), Some(node.clone()), false, sentence);
        }
        let stands = graph.node(Op::Create, parent).is_none();
        for column in graph.desired.children(parent).map(|c| &c.id).filter(|id| stands && id.class() == "column") {
            let default = column.as_class("default");
            // The column itself for the sake of its storage.
            let changes = [Op::Drop, Op::Alter, Op::Create].map(|op| graph.node(op, &default));
            for change in changes.into_iter().chain([graph.node(Op::Alter, column)]).flatten() {
                let sentence = || format!("{table} takes {} over as it is then", change.id);
                push(list, Some(change.clone()), Some(node.clone()), true, sentence);
            }
        }
    }
}

/// A key that a table had as a partition counts as one that its children have, and cannot be dropped when it has some.
fn keys_gone(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    for parent in graph.desired.uses(table).iter().map(|(id, _)| id).filter(|id| id.class() == "table") {
        for key in graph.live.children(parent).filter(|o| o.flag("inherited")).map(|o| &o.id) {
            let of_partition = ["primary key", "unique"].contains(&key.class());
            let sentence = || format!("{key} would be looked for in {table}");
            push(list, graph.node(Op::Drop, key).filter(|_| of_partition), Some(node.clone()), false, sentence);
        }
    }
}

/// What a parent table gets when a child has left it does not pass on to that.
fn left(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id) {
    let tables =
        |c: &Catalog| c.uses(table).iter().map(|(id, _)| id.clone()).filter(|id| id.class() == "table").collect::<Vec<_>>();
    let stays = tables(graph.desired);
    for parent in tables(graph.live).iter().filter(|p| !stays.contains(p)) {
        for member in graph.desired.children(parent).map(|c| &c.id).filter(|id| ["column", "check"].contains(&id.class())) {
            let sentence = || format!("{member} would pass on to {table}");
            push(list, Some(node.clone()), graph.node(Op::Create, member), false, sentence);
        }
    }
}

/// Columns and checks are those of the parent table when the table comes to it, and what neither keeps is gone.
fn joined(graph: &Graph, list: &mut Vec<Edge>, node: &Node, table: &Id, ops: &[Op]) {
    for (column, of_type) in retyped(graph, graph.desired, table) {
        let sentence = || format!("{column} changes with {} by itself before {}", of_type.id, node.id);
        push(list, Some(of_type.clone()), Some(node.clone()), true, sentence);
    }
    let parents = graph.desired.uses(&node.id).iter().map(|(id, _)| id).filter(|id| id.class() == "table");
    for side in parents.chain([table]) {
        let members = graph.live.children(side).chain(graph.desired.children(side)).map(|c| &c.id);
        for member in members {
            let shared = ["column", "check"].contains(&member.class());
            // ATTACH makes what the partition does not have; then it could not be made again.
            let own = side == table && ["primary key", "unique", "index", "foreign key"].contains(&member.class());
            let sentence = || format!("{member} has to be as both tables want it before {}", node.id);
            // Only a foreign key that says the same becomes the table's.
            let alike = member.class() == "foreign key";
            let before = |op: &&Op| {
                let anew = **op == Op::Drop || **op == Op::Create && own || **op == Op::Alter && alike;
                shared || node.op == Op::Create && anew
            };
            for op in ops.iter().filter(before) {
                push(list, graph.node(*op, member), Some(node.clone()), false, sentence);
            }
        }
    }
}
