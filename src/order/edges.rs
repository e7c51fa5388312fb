//! Pass 4: what comes before what, each with its sentence.

use std::collections::BTreeMap;

use super::absorb::parted;
use super::family::{family, own};
use super::graph::{Edge, Graph, Node, Op};
use super::owned::owned;
use super::rows;
use super::twins::{referenced, taken, twins};
use crate::catalog::{Dependency, Id, Object};
use crate::kind::{self, Space};
use crate::sql::qualified;

/// Fills `graph.edges`.
pub fn edges(graph: &mut Graph) {
    let mut list = Vec::new();
    build(graph, &mut list);
    teardown(graph, &mut list);
    parts(graph, &mut list);
    names(graph, &mut list);
    overloads(graph, &mut list);
    column_grants(graph, &mut list);
    defaults_last(graph, &mut list);
    persistence(graph, &mut list);
    alone(graph, &mut list);
    told(graph, &mut list);
    released(graph, &mut list);
    rows::edges(graph, &mut list);
    family(graph, &mut list);
    owned(graph, &mut list);
    twins(graph, &mut list);
    referenced(graph, &mut list);
    taken(graph, &mut list);
    graph.edges = list;
}

const MAKE: [Op; 2] = [Op::Create, Op::Alter];

/// An edge between two nodes, where there are such.
pub fn push(list: &mut Vec<Edge>, before: Option<Node>, after: Option<Node>, weak: bool, sentence: impl FnOnce() -> String) {
    if let (Some(before), Some(after)) = (before, after)
        && before != after
    {
        list.push(Edge { before, after, sentence: sentence(), weak });
    }
}

/// What is used stands before what uses it: the desired catalog's dependencies.
fn build(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| MAKE.contains(&n.op)) {
        for (used, dependency) in graph.desired.uses(&node.id) {
            if *dependency == Dependency::Inherited && (attached_later(graph, &node.id) || own(graph, node, used)) {
                continue;
            }
            let child_first = *dependency == Dependency::Inherited && !kind::of(&node.id).made_by_parent;
            for op in MAKE {
                let other = graph.node(op, used);
                let sentence = || format!("{} needs {used}, says pg_depend", node.id);
                // A column that is computed no more has values of its own when what it is of, or was computed by, is made anew.
                let before = || graph.live.uses(&node.id).iter().any(|(u, _)| u == used);
                let values = op == Op::Alter && node.op == Op::Alter && graph.changes.alters(&node.id, "generated") && before();
                if values && graph.changes.list.get(used).is_some_and(|c| c.remade) {
                    let sentence = || format!("{} holds values of {used} from then on", node.id);
                    push(list, Some(node.clone()), other, false, sentence);
                } else if child_first {
                    let sentence = || format!("{used} takes up {}, which must stand before", node.id);
                    push(list, Some(node.clone()), other, false, sentence);
                } else {
                    push(list, other, Some(node.clone()), false, sentence);
                }
            }
        }
    }
}

/// Whether the table of a member becomes a partition in this plan: the two sides are made apart and meet when it is attached.
fn attached_later(graph: &Graph, id: &Id) -> bool {
    let table = graph.desired.get(id).and_then(|o| o.parent.as_ref());
    table.is_some_and(|t| graph.node(Op::Create, &t.as_class("partition")).is_some())
}

/// A column is computed no more before anything else of it changes.
fn released(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| n.op == Op::Release) {
        let sentence = || format!("{} is computed until then", node.id);
        push(list, Some(node.clone()), graph.node(Op::Alter, &node.id), false, sentence);
    }
}

/// Rows are given values by the expression of a directive: what it names stands before, and columns that it reads go after.
fn told(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| MAKE.contains(&n.op) && n.id.class() == "column") {
        let Some(object) = graph.desired.get(&node.id).filter(|o| o.detail.contains_key("reads")) else { continue };
        let Some(table) = &object.parent else { continue };
        let sentence = |named: &Id| format!("{} gets its values by way of {named}", node.id);
        for read in object.texts("reads").iter().map(|name| table.part("column", name)).filter(|read| *read != node.id) {
            push(list, graph.node(Op::Create, &read), Some(node.clone()), true, || sentence(&read));
            let filled = graph.changes.alters(&read, "not_null").then(|| graph.node(Op::Alter, &read)).flatten();
            push(list, filled, Some(node.clone()), true, || sentence(&read));
            push(list, Some(node.clone()), graph.node(Op::Drop, &read), true, || sentence(&read));
        }
        let named = object.texts("calls");
        let called = |n: &&Node| n.op == Op::Create && n.id.of().is_none() && named.contains(&qualified(n.id.name()));
        for made in graph.nodes.iter().filter(called) {
            push(list, Some(made.clone()), Some(node.clone()), true, || sentence(&made.id));
        }
    }
}

/// What uses something goes, or lets go of it, before it goes: the live catalog's dependencies.
fn teardown(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| matches!(n.op, Op::Alter | Op::Drop)) {
        for (used, dependency) in graph.live.uses(&node.id) {
            let sentence = || format!("{} uses {used} now", node.id);
            // A column lets go of what it is computed from before it lets go of its type.
            let type_of = |column: &Object| column.text("type").trim_end_matches("[]") == used.sql();
            let of_type = || graph.live.get(&node.id).is_some_and(type_of);
            let released = graph.node(Op::Release, &node.id).filter(|_| node.op == Op::Alter && !of_type());
            let node = &released.unwrap_or_else(|| node.clone());
            // A parent table that goes has lost its children before; what they have from it is their own then.
            let whole = graph.live.get(used).and_then(|o| o.parent.as_ref()).and_then(|p| graph.node(Op::Drop, p));
            if node.op == Op::Alter && *dependency == Dependency::Inherited && whole.is_some() {
                continue;
            }
            // Tables that are parted are so before anything else of them changes.
            let apart = node.op == Op::Alter && node.id.class() == "column" && parted(graph, &node.id);
            if *dependency == Dependency::Inherited && (apart || own(graph, node, used)) {
                continue;
            }
            push(list, Some(node.clone()), graph.node(Op::Drop, used), false, sentence);
            let retyped = graph.changes.list.get(used).is_some_and(|c| c.retype);
            let lets_go = node.op == Op::Drop || retyped && !graph.desired.uses(&node.id).iter().any(|(u, _)| u == used);
            // A key holds on to its columns' NOT NULL.
            let nulls = node.op == Op::Drop && graph.changes.alters(used, "not_null");
            if node.op == Op::Alter && kind::passes_over(graph.live, graph.desired, &node.id, used) {
                push(list, graph.node(Op::Alter, used), Some(node.clone()), false, sentence);
            } else if lets_go {
                push(list, Some(node.clone()), graph.node(Op::Alter, used), !(retyped || nulls), sentence);
            }
            // Columns of a retyped type change with it: what rests on them goes first and comes back after.
        }
    }
    for change in graph.changes.list.values().filter(|c| c.retype) {
        let altered = graph.node(Op::Alter, &change.id);
        // The columns of a type, the keys and indexes of a column. What rests on a key of a column of the type is not seen by the server.
        let on_key = |user: &Id| change.id.class() != "column" && ["primary key", "unique", "index"].contains(&user.class());
        let carried = |id: &Id| change.id.class() == "column" || id.class() == "column";
        for (carried, _) in graph.live.used_by(&change.id).iter().filter(|(id, _)| carried(id)) {
            let sentence = || format!("{carried} changes with {}", change.id);
            for (user, dependency) in graph.live.used_by(carried) {
                // A child table's column is not computed from the one that it has from its parent.
                let gone = gone_or_computed_no_more(graph, user);
                let gone = gone.filter(|node| node.op == Op::Drop || *dependency != Dependency::Inherited);
                push(list, gone, altered.clone(), false, sentence);
                let over =
                    graph.live.used_by(user).iter().filter(|_| on_key(user)).filter_map(|(over, _)| graph.node(Op::Drop, over));
                over.for_each(|over| push(list, Some(over), altered.clone(), false, sentence));
            }
            for (user, _) in graph.desired.used_by(carried) {
                push(list, altered.clone(), graph.node(Op::Create, user), false, sentence);
                let over = graph
                    .desired
                    .used_by(user)
                    .iter()
                    .filter(|_| on_key(user))
                    .filter_map(|(over, _)| graph.node(Op::Create, over));
                over.for_each(|over| push(list, altered.clone(), Some(over), false, sentence));
            }
        }
        if change.remade {
            over_remade(graph, list, &change.id);
        }
    }
}

/// What takes away that something uses a column: it goes, or it is a column that is computed no more.
fn gone_or_computed_no_more(graph: &Graph, user: &Id) -> Option<Node> {
    let altered = || graph.node(Op::Release, user).or_else(|| graph.node(Op::Alter, user));
    let computed_no_more = || altered().filter(|_| graph.changes.alters(user, "generated"));
    graph.node(Op::Drop, user).or_else(computed_no_more)
}

/// Types that are made of one that is made anew are so in the same step: what rests on them goes before.
fn over_remade(graph: &Graph, list: &mut Vec<Edge>, id: &Id) {
    let mut todo = kind::held_over(graph.live, id);
    while let Some(over) = todo.pop() {
        let columns = graph.live.used_by(&over).iter().map(|(user, _)| user).filter(|user| user.class() == "column");
        let bases = columns.chain([&over]);
        let users = bases.flat_map(|base| graph.live.used_by(base)).map(|(user, _)| user);
        for user in users.chain(graph.live.children(&over).map(|c| &c.id)) {
            let sentence = || format!("{over} is made anew with {id}");
            push(list, gone_or_computed_no_more(graph, user), graph.node(Op::Alter, id), false, sentence);
        }
        todo.extend(kind::held_over(graph.live, &over));
    }
}

/// Parts come after the whole and go before it.
fn parts(graph: &Graph, list: &mut Vec<Edge>) {
    for node in &graph.nodes {
        let catalog = if node.op == Op::Drop { graph.live } else { graph.desired };
        let parent = catalog.get(&node.id).and_then(|o| o.parent.clone()).or_else(|| node.id.of().cloned());
        let Some(parent) = parent else { continue };
        let sentence = || format!("{} is part of {parent}", node.id);
        // What default privileges give to something new and nobody wants is taken away when it stands.
        let remade = |of: &Id| graph.changes.list.get(of).is_some_and(|c| c.remade);
        let anew = |of: &Id| graph.node(Op::Create, of).or_else(|| graph.node(Op::Alter, of).filter(|_| remade(of)));
        let of_new = node.id.of().and_then(anew).filter(|_| node.op == Op::Drop);
        if of_new.is_some() {
            push(list, of_new, Some(node.clone()), false, sentence);
        } else if node.op == Op::Drop {
            push(list, Some(node.clone()), graph.node(Op::Drop, &parent), false, sentence);
            push(list, Some(node.clone()), graph.node(Op::Alter, &parent), true, sentence);
        } else {
            push(list, graph.node(Op::Create, &parent), Some(node.clone()), false, sentence);
            let holds_rows = kind::of(&parent).holds_rows;
            push(list, graph.node(Op::Alter, &parent).filter(|_| !holds_rows), Some(node.clone()), false, sentence);
        }
    }
}

/// A name is free before it is taken.
fn names(graph: &Graph, list: &mut Vec<Edge>) {
    let mut taken: BTreeMap<(Space, Vec<String>), Vec<Id>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| n.op == Op::Drop) {
        for name in graph.live.get(&node.id).map(kind::names).unwrap_or_default() {
            taken.entry(name).or_default().push(node.id.clone());
        }
    }
    let names = |o: Option<&Object>| o.map(kind::names).unwrap_or_default();
    let mut given_up: BTreeMap<(Space, Vec<String>), Vec<Id>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(|n| n.op == Op::Alter) {
        let kept = names(graph.desired.get(&node.id));
        for name in names(graph.live.get(&node.id)).into_iter().filter(|n| !kept.contains(n)) {
            given_up.entry(name).or_default().push(node.id.clone());
        }
    }
    for node in &graph.nodes {
        let sentence = |old: &Id| format!("{} takes the name of {old}", node.id);
        // Two that change their names with each other cannot both wait.
        let (had, weak) = match node.op {
            Op::Create => (Vec::new(), false),
            Op::Alter => (names(graph.live.get(&node.id)), true),
            Op::Drop | Op::Release | Op::Save | Op::Restore | Op::Rename => continue,
        };
        if !weak {
            push(list, graph.node(Op::Drop, &node.id), Some(node.clone()), false, || sentence(&node.id));
        }
        for name in names(graph.desired.get(&node.id)).into_iter().filter(|n| !had.contains(n)) {
            for (op, olds) in [(Op::Alter, &given_up), (Op::Drop, &taken)] {
                for old in olds.get(&name).into_iter().flatten() {
                    push(list, graph.node(op, old), Some(node.clone()), weak, || sentence(old));
                }
            }
        }
    }
}

/// The old routine goes before the new one of its name comes, where nothing stands against it: calls would be ambiguous.
fn overloads(graph: &Graph, list: &mut Vec<Edge>) {
    let routine = |n: &&Node| kind::of(&n.id).spaces.contains(&Space::Routine);
    let mut dropped: BTreeMap<&[String], Vec<&Node>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(routine).filter(|n| n.op == Op::Drop) {
        dropped.entry(node.id.name()).or_default().push(node);
    }
    for node in graph.nodes.iter().filter(routine).filter(|n| n.op == Op::Create) {
        for old in dropped.get(node.id.name()).into_iter().flatten() {
            let sentence = || format!("calls of {} could mean {} too", node.id, old.id);
            push(list, Some((*old).clone()), Some(node.clone()), true, sentence);
            ambiguous(graph, list, old, node);
        }
    }
}

/// What calls the old routine now and the new one then, and says so in its definition, is made anew between the two where both take
/// the same call.
fn ambiguous(graph: &Graph, list: &mut Vec<Edge>, old: &Node, new: &Node) {
    let defaults = |o: Option<&Object>| o.and_then(|o| o.definition.get("defaults")?.as_u64()).is_some_and(|n| n > 0);
    if !defaults(graph.live.get(&old.id)) && !defaults(graph.desired.get(&new.id)) {
        return;
    }
    for (user, _) in graph.desired.used_by(&new.id).iter().filter(|(user, _)| kind::of(user).only_definition) {
        let calls = graph.live.uses(user).iter().any(|(used, _)| *used == old.id);
        let sentence = || format!("what {user} calls could be {} too", old.id);
        push(list, Some(old.clone()), graph.node(Op::Alter, user).filter(|_| calls), false, sentence);
        push(list, Some(old.clone()), graph.node(Op::Create, user), true, sentence);
    }
}

/// A REVOKE on a table takes the grants on its columns away, so these are given after.
fn column_grants(graph: &Graph, list: &mut Vec<Edge>) {
    for node in graph.nodes.iter().filter(|n| n.id.class() == "grant") {
        let Some(of) = node.id.of() else { continue };
        // What a column of a view had last may be all that it is known for; it goes with the view where that goes.
        let wanted = graph.desired.contains(of);
        let side = if wanted { graph.desired } else { graph.live };
        let whole = side.get(of).and_then(|o| o.parent.as_ref());
        let whole = whole.filter(|whole| wanted || graph.node(Op::Drop, whole).is_none());
        // The owner of a sequence that belongs to a column changes with that of the table.
        let tables = [graph.live, graph.desired].map(|side| Some(&kind::owning_column(side, &of.as_class("owned by"))?.parent));
        let tables = tables.into_iter().flatten().flatten().filter(|_| of.class() == "sequence");
        // That of an identity is part of a column, which is the table's.
        let above = whole.and_then(|whole| side.get(whole)?.parent.as_ref());
        for owned in [Some(of), whole, above].into_iter().flatten().chain(tables) {
            let owner = Id::satellite("owner", owned);
            let sentence = || format!("{owner} decides whose rights are the owner's");
            push(list, graph.node(Op::Alter, &owner), Some(node.clone()), false, sentence);
        }
        let given = |id: &Id| id.class() == "column" && graph.desired.contains(&Id::satellite("grant", id));
        let anew = |id: &&Id| given(id) && graph.node(Op::Drop, id).is_some() && graph.node(Op::Create, of).is_none();
        for column in graph.desired.children(of).map(|c| &c.id).filter(anew) {
            let sentence = || format!("{} gives those on {column} again", node.id);
            push(list, graph.node(Op::Create, column), Some(node.clone()), false, sentence);
        }
        let Some(table) = graph.desired.get(of).and_then(|o| o.parent.clone()) else { continue };
        let grant = Id::satellite("grant", &table);
        for op in [Op::Create, Op::Alter, Op::Drop].into_iter().filter(|_| node.op != Op::Drop) {
            let sentence = || format!("{grant} takes grants on columns away");
            push(list, graph.node(op, &grant), Some(node.clone()), true, sentence);
        }
    }
}

/// Default privileges change after everything is made, so that what is made gets what stood before.
fn defaults_last(graph: &Graph, list: &mut Vec<Edge>) {
    let class = "default privileges";
    let Some(first) = graph.nodes.iter().find(|n| n.id.class() == class).cloned() else { return };
    for privileges in graph.nodes.iter().filter(|n| n.id.class() == class) {
        for node in graph.nodes.iter().filter(|n| n.op == Op::Create && n.id.class() != class && n.id.of().is_none()) {
            let needs = graph.desired.uses(&node.id).iter().any(|(u, _)| u.class() == class);
            let sentence = || format!("{} must not change what {} is given", first.id, node.id);
            push(list, Some(node.clone()).filter(|_| !needs), Some(privileges.clone()), false, sentence);
        }
    }
}

/// A logged table may not refer to an unlogged one: what is referenced is logged first and unlogged last.
fn persistence(graph: &Graph, list: &mut Vec<Edge>) {
    if !graph.changes.list.values().any(|change| change.alters("unlogged")) {
        return;
    }
    let alters =
        |id: &Id| graph.changes.alters(id, "unlogged").then(|| graph.desired.get(id).is_some_and(|t| t.flag("unlogged")));
    let drops = graph.live.objects().filter(|o| graph.node(Op::Drop, &o.id).is_some()).map(|o| (graph.live, o, Op::Drop));
    let makes =
        graph.desired.objects().filter(|o| graph.node(Op::Create, &o.id).is_some()).map(|o| (graph.desired, o, Op::Create));
    for (catalog, key, op) in drops.chain(makes).filter(|(_, o, _)| o.id.class() == "foreign key") {
        let referenced = catalog.uses(&key.id).iter().filter_map(|(u, _)| catalog.get(u)?.parent.as_ref());
        for table in key.parent.iter().chain(referenced).filter(|t| alters(t).is_some()) {
            let (key_node, altered) = (graph.node(op, &key.id), graph.node(Op::Alter, table));
            let (first, then) = if op == Op::Drop { (key_node, altered) } else { (altered, key_node) };
            push(list, first, then, false, || format!("{} stands only between tables of one kind", key.id));
        }
    }
    for key in graph.desired.objects().filter(|o| o.id.class() == "foreign key") {
        let Some(table) = &key.parent else { continue };
        let Some(unlogged) = alters(table) else { continue };
        let used = graph.desired.uses(&key.id).iter().filter_map(|(u, _)| graph.desired.get(u)?.parent.as_ref());
        for referenced in used.filter(|r| *r != table && alters(r).is_some()) {
            let (first, then) = if unlogged { (table, referenced) } else { (referenced, table) };
            let sentence = || format!("{} lets no logged table refer to an unlogged one", key.id);
            push(list, graph.node(Op::Alter, first), graph.node(Op::Alter, then), false, sentence);
        }
    }
}

/// An index of a partitioned table that has not those of all partitions behind it is made when all of them are attached: a
/// partition that comes later would bring one along.
fn alone(graph: &Graph, list: &mut Vec<Edge>) {
    let made = |n: &&Node| n.op == Op::Create;
    let mut partitions: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(made).filter(|n| n.id.class() == "partition") {
        let Some(partition) = graph.desired.get(&node.id) else { continue };
        partitions.entry(partition.text("parent")).or_default().push(node);
    }
    for node in graph.nodes.iter().filter(made) {
        let Some(index) = graph.desired.get(&node.id).filter(|o| o.flag("invalid")) else { continue };
        for partition in partitions.get(index.text("table")).into_iter().flatten() {
            let sentence = || format!("{} stands ON ONLY {}", node.id, index.text("table"));
            push(list, Some((*partition).clone()), Some(node.clone()), false, sentence);
        }
    }
}
