//! The relations that stood before the plan and still do, and which of them go together: how far the locks of a step reach.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Id};
use crate::kind;
use crate::order::{Op, Step};
use crate::sql::qualified;
use crate::statement::{LockMode, Reach, Statement};

/// What one relation is called, and whether it holds rows.
struct Relation {
    /// A table has its name, an index its table's: nobody can plan a query on one without the other.
    name: String,
    holds_rows: bool,
}

/// The relations as they are before the next step.
#[derive(Default)]
pub struct Standing {
    relations: BTreeMap<String, Relation>,
    partitions: BTreeMap<String, BTreeSet<String>>,
    heirs: BTreeMap<String, BTreeSet<String>>,
    defaults: BTreeMap<String, String>,
}

/// What a step does to them, as its kind declares or as it was seen on a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The strongest lock on each.
    pub locks: BTreeMap<String, LockMode>,
    /// Tables and materialized views that have new files, or whose indexes have.
    pub rewrites: BTreeSet<String>,
    /// Those that are read in full without being written anew; where it was seen, only of what is locked.
    pub scans: BTreeSet<String>,
    /// Constraints that hold for all rows only since this step, as `name of table`; only where it was seen.
    pub validates: BTreeSet<String>,
}

impl Standing {
    /// Before the first step.
    pub fn new(whole: &Catalog) -> Standing {
        let mut standing = Standing::default();
        for object in whole.objects() {
            let id = &object.id;
            // Whoever has used a composite type needs no lock for it any more.
            let relation = kind::of(id).spaces.contains(&kind::Space::Relation) && id.class() != "composite type";
            if relation || id.class() == "identity sequence" {
                let of_table = object.parent.as_ref().filter(|p| kind::of(p).holds_rows || p.class() == "materialized view");
                let partitioned = object.definition.contains_key("partition_key");
                let stores = kind::of(id).holds_rows || id.class() == "materialized view";
                let holds_rows = of_table.is_none() && stores && !partitioned;
                let name = of_table.map_or_else(|| qualified(&[id.first(), id.base()]), Id::sql);
                standing.relations.insert(qualified(&[id.first(), id.base()]), Relation { name, holds_rows });
            }
            standing.join(whole, id);
        }
        standing
    }

    /// Takes note of whose partition or heir something is.
    fn join(&mut self, catalog: &Catalog, id: &Id) {
        if !["partition", "table"].contains(&id.class()) {
            return;
        }
        let Some(object) = catalog.get(id) else { return };
        match id.class() {
            "partition" => {
                let parent = object.text("parent").to_owned();
                if object.text("bound") == "DEFAULT" {
                    self.defaults.insert(parent.clone(), qualified(id.name()));
                }
                self.partitions.entry(parent).or_default().insert(qualified(id.name()));
            }
            "table" => {
                let parents = object.definition.get("inherits").and_then(|p| p.as_array());
                let heir = id.sql();
                for parent in parents.into_iter().flatten().filter_map(|p| p.as_str()) {
                    self.heirs.entry(parent.to_owned()).or_default().insert(heir.clone());
                }
            }
            _ => {}
        }
    }

    /// After a step: what it has dropped, attached and detached.
    pub fn pass(&mut self, step: &Step, desired: &Catalog) {
        for node in step.with.iter().chain([&step.node]) {
            let name = qualified(node.id.name());
            if let Some((from, to)) = &step.renamed {
                self.rename(from, to);
            }
            match (node.op, node.id.class()) {
                (Op::Drop, "partition") => {
                    self.partitions.values_mut().for_each(|p| p.retain(|p| *p != name));
                    self.defaults.retain(|_, default| *default != name);
                }
                (Op::Drop, _) if kind::of(&node.id).spaces.contains(&kind::Space::Relation) => {
                    self.relations.remove(&name);
                    self.partitions.remove(&name);
                    self.heirs.remove(&name);
                }
                // In parts, the last one attaches it.
                (Op::Create | Op::Alter, "partition") if step.part.is_none_or(|(part, of)| part == of) => {
                    self.join(desired, &node.id);
                }
                (Op::Create | Op::Alter, class) => {
                    // What the plan makes is nobody's yet, whatever had the name before.
                    if node.op == Op::Create && kind::of(&node.id).spaces.contains(&kind::Space::Relation) {
                        self.relations.remove(&name);
                    }
                    if class == "table" {
                        let heir = node.id.sql();
                        self.heirs.values_mut().for_each(|heirs| heirs.retain(|h| *h != heir));
                        self.join(desired, &node.id);
                    }
                }
                _ => {}
            }
        }
    }

    /// A relation has another name from now on; what is inside of a schema is looked at anew when all of them have theirs.
    fn rename(&mut self, from: &Id, to: &Id) {
        if !kind::of(&kind::bearer(from)).spaces.contains(&kind::Space::Relation) {
            return;
        }
        let (old, new) = (qualified(from.name()), qualified(to.name()));
        if let Some(relation) = self.relations.remove(&old) {
            self.relations.insert(new.clone(), relation);
        }
        self.relations.values_mut().filter(|r| r.name == old).for_each(|r| r.name.clone_from(&new));
        for map in [&mut self.partitions, &mut self.heirs] {
            if let Some(below) = map.remove(&old) {
                map.insert(new.clone(), below);
            }
            for below in map.values_mut() {
                if below.remove(&old) {
                    below.insert(new.clone());
                }
            }
        }
        if let Some(default) = self.defaults.remove(&old) {
            self.defaults.insert(new.clone(), default);
        }
        self.defaults.values_mut().filter(|d| **d == old).for_each(|d| d.clone_from(&new));
    }

    /// What a step's statements do to what stands.
    pub fn touched(&self, statements: &[Statement]) -> Touched {
        let mut touched = Touched::default();
        for statement in statements {
            let mut lock = |found: &Relation, mode: LockMode| {
                let strongest = touched.locks.entry(found.name.clone()).or_insert(mode);
                *strongest = (*strongest).max(mode);
            };
            for (relation, mode) in &statement.locks {
                self.relations.get(relation).into_iter().for_each(|found| lock(found, *mode));
            }
            for (relation, reach, mode) in &statement.reaches {
                self.below(relation, *reach).iter().filter_map(|r| self.relations.get(*r)).for_each(|found| lock(found, *mode));
            }
            let rows = |list: &[String]| -> Vec<String> {
                let all = list.iter().flat_map(|r| self.with_reach(r, statement)).filter_map(|name| self.relations.get(name));
                all.filter(|r| r.holds_rows).map(|r| r.name.clone()).collect()
            };
            touched.rewrites.extend(rows(&statement.rewrites));
            touched.scans.extend(rows(&statement.scans));
        }
        touched.scans.retain(|r| !touched.rewrites.contains(r));
        touched
    }

    /// A relation with all that a statement goes to from it.
    fn with_reach<'a>(&'a self, relation: &'a str, statement: &Statement) -> BTreeSet<&'a str> {
        let reach = statement.reaches.iter().filter(|(r, ..)| r == relation).map(|(_, reach, _)| *reach).max();
        let mut names = reach.map(|reach| self.below(relation, reach)).unwrap_or_default();
        names.insert(relation);
        names
    }

    /// The partitions, or all heirs, of a relation, and theirs.
    fn below(&self, relation: &str, reach: Reach) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        if reach == Reach::Default {
            return self.defaults.get(relation).into_iter().map(String::as_str).collect();
        }
        let mut todo = vec![relation];
        while let Some(next) = todo.pop() {
            let heirs = if reach == Reach::Heirs { self.heirs.get(next) } else { None };
            for below in self.partitions.get(next).into_iter().chain(heirs).flatten() {
                if names.insert(below.as_str()) {
                    todo.push(below);
                }
            }
        }
        names
    }
}
