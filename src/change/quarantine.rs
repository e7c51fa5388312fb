//! What is put aside instead of being dropped: tables and columns, and whatever of the rest of a plan they cannot be without.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Action, Blocked, Changes};
use super::scope::Scope;
use crate::catalog::{Catalog, Id, Object};
use crate::kind::{self, Space, quarantine};

/// What of a plan is put aside.
#[derive(Clone, Debug, Default)]
pub struct Asides {
    /// From what to what.
    pub moves: BTreeMap<Id, Id>,
    /// Tables and columns that are dropped all the same, and why.
    pub dropped: BTreeMap<Id, &'static str>,
}

/// A table that is made anew leaves behind what was put aside of its columns: it stays as it is until that is purged.
pub fn held(changes: &mut Changes, scope: &Scope, whole: &Catalog) {
    let anew = changes.list.values().filter(|c| c.action == Action::Replace && c.id.class() == "table");
    let columns = anew.flat_map(|c| whole.children(&c.id).map(move |part| (&c.id, &part.id)));
    let held = columns.filter(|(_, part)| part.class() == "column" && scope.quarantines(part));
    let held: Vec<Blocked> = held.map(|(table, part)| Blocked { change: table.clone(), by: part.to_string() }).collect();
    changes.blocked.extend(held);
}

/// What of the changes is put aside in `schema`, or one beside it. What only that stood in the way of is in the way no longer; what
/// cannot go because of it is.
pub fn asides(changes: &mut Changes, scope: &Scope, desired: &Catalog, whole: &Catalog, schema: &str) -> Asides {
    let mut work = Work { changes, scope, desired, whole, schema, taken: taken(scope, whole), asides: Asides::default() };
    let gone: Vec<Id> = work.changes.list.values().filter(|c| c.action == Action::Drop).map(|c| c.id.clone()).collect();
    for table in gone.iter().filter(|id| id.class() == "table") {
        work.put(table);
    }
    for column in gone.iter().filter(|id| id.class() == "column") {
        work.column(column);
    }
    // What these use goes with them, and what that uses.
    loop {
        // A schema is where things are, and not what they are made of.
        let alone = |id: &&Id| {
            id.class() != "schema" && whole.get(id).is_some_and(|o| o.parent.is_none()) && !work.asides.moves.contains_key(*id)
        };
        let used: Vec<&Id> = gone.iter().filter(alone).filter(|id| !work.owned(id) && work.needed(id)).collect();
        if used.is_empty() {
            break;
        }
        for id in used {
            if !kind::moves(id.class()) {
                let by = work.asides.moves.values().next().map_or_else(String::new, ToString::to_string);
                work.changes.blocked.push(Blocked { change: id.clone(), by });
                return work.asides;
            }
            work.put(id);
        }
    }
    let Work { asides, .. } = work;
    let aside: BTreeSet<String> = whole.objects().filter(|o| scope.quarantines(&o.id)).map(|o| o.id.to_string()).collect();
    changes.blocked.retain(|b| !(asides.moves.contains_key(&b.change) && aside.contains(&b.by)));
    asides
}

type Name = (Space, Vec<String>);

/// The names that are taken where things are put aside.
fn taken(scope: &Scope, whole: &Catalog) -> BTreeSet<Name> {
    whole.objects().filter(|o| scope.quarantines(&o.id)).flat_map(kind::names).collect()
}

struct Work<'a> {
    changes: &'a mut Changes,
    scope: &'a Scope,
    desired: &'a Catalog,
    whole: &'a Catalog,
    schema: &'a str,
    taken: BTreeSet<Name>,
    asides: Asides,
}

impl Work<'_> {
    /// Puts something aside with its name, in the first schema in which nothing of it is taken.
    fn put(&mut self, id: &Id) {
        let mut names: BTreeSet<Name> = BTreeSet::new();
        let mut todo = vec![id.clone()];
        while let Some(part) = todo.pop() {
            names.extend(self.whole.get(&part).into_iter().flat_map(kind::names).filter(|(_, name)| name.len() >= 2));
            todo.extend(self.whole.children(&part).map(|c| c.id.clone()));
            // Sequences of columns go where the table goes.
            let owned = self.whole.used_by(&part).iter().filter(|(user, _)| user.class() == "owned by");
            todo.extend(owned.map(|(user, _)| user.as_class("sequence")).filter(|_| id.class() == "table"));
        }
        let there = |schema: &String| -> BTreeSet<Name> {
            let moved =
                |(space, name): &Name| (*space, std::iter::once(schema.clone()).chain(name[1..].iter().cloned()).collect());
            names.iter().map(moved).collect()
        };
        let free = quarantine::schemas(self.schema).find(|schema| there(schema).is_disjoint(&self.taken));
        if let Some(schema) = free {
            self.taken.extend(there(&schema));
            let to = id.with_name([schema.as_str(), id.base()]);
            self.asides.moves.insert(id.clone(), to);
        }
    }

    fn column(&mut self, id: &Id) {
        let Some(object) = self.whole.get(id) else { return };
        let table = object.parent.as_ref().and_then(|t| self.whole.get(t));
        let goes = |id: &Id| self.changes.goes(id);
        // What another table's column takes along goes with that; what is computed is nobody's only copy.
        if table.is_none_or(|t| goes(&t.id) && !self.desired.contains(&t.id)) {
            return;
        }
        if object.flag("inherited") || object.definition.contains_key("generated") {
            return;
        }
        match self.why_not(object, table) {
            Some(why) => _ = self.asides.dropped.insert(id.clone(), why),
            None => {
                self.asides.moves.insert(id.clone(), quarantine::column(self.whole, id));
                let owned = self.whole.used_by(id).iter().filter(|(user, _)| user.class() == "owned by");
                let sequences: Vec<Id> = owned.map(|(user, _)| user.as_class("sequence")).collect();
                let gone = |id: &&Id| self.changes.list.get(*id).is_some_and(|c| c.action == Action::Drop);
                let sequences: Vec<Id> = sequences.iter().filter(gone).cloned().collect();
                sequences.iter().for_each(|sequence| self.put(sequence));
            }
        }
    }

    /// Why a column cannot stay where it is under another name.
    fn why_not(&self, column: &Object, table: Option<&Object>) -> Option<&'static str> {
        let table = table?;
        let partition = self.changes.goes(&table.id.as_class("partition"));
        if self.changes.goes(&table.id) {
            return Some("its table is made anew");
        }
        if table.definition.contains_key("of_type") {
            return Some("its table is one of a type");
        }
        if self.changes.alters(&table.id, "inherits") || partition {
            return Some("its table leaves a parent table, or comes to one");
        }
        let heirs = self.heirs(&table.id).into_iter().map(|heir| heir.part("column", column.id.base()));
        let stays = |heir: &Id| self.desired.contains(heir) || self.whole.get(heir).is_some_and(|o| !o.flag("inherited"));
        heirs
            .into_iter()
            .any(|heir| stays(&heir))
            .then_some("a table that inherits from its table has one of its name of its own")
    }

    /// The partitions of a table and the tables that inherit from it, and theirs.
    fn heirs(&self, table: &Id) -> BTreeSet<Id> {
        let (mut found, mut todo) = (BTreeSet::new(), vec![table.clone()]);
        while let Some(next) = todo.pop() {
            let users = self.whole.used_by(&next).iter().map(|(user, _)| user);
            let heirs = users.filter(|user| ["table", "partition"].contains(&user.class())).map(|user| user.as_class("table"));
            todo.extend(heirs.filter(|heir| *heir != next && found.insert(heir.clone())));
        }
        found
    }

    /// Whether it is a sequence that goes with its table.
    fn owned(&self, id: &Id) -> bool {
        let column = kind::owning_column(self.whole, &id.as_class("owned by")).filter(|_| id.class() == "sequence");
        column.and_then(|c| c.parent.as_ref()).is_some_and(|table| self.asides.moves.contains_key(table))
    }

    /// Whether something that is put aside now, or has been before, uses it.
    fn needed(&self, id: &Id) -> bool {
        self.whole.used_by(id).iter().any(|(user, _)| {
            let user = user.of().unwrap_or(user);
            // What is taken away of a table or a column holds nothing.
            let stays = |whole: &Id| !quarantine::is_taken_away(self.whole, whole, user, true);
            let within = std::iter::successors(Some(user), |part| self.whole.get(part).and_then(|o| o.parent.as_ref()));
            let aside = |part: &Id| self.asides.moves.contains_key(part) && (part == user || stays(part));
            self.scope.quarantines(user) || within.into_iter().any(aside)
        })
    }
}
