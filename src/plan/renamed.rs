//! What gets another name before anything else of a plan, and what the database is like before and in between.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Id, Object};
use crate::kind;
use crate::order::{Node, Op, Step};
use crate::statement::Effect;

/// The renames of a plan.
#[derive(Clone)]
pub struct Renamed {
    /// The live database before, whole.
    pub whole: Catalog,
    /// The same, in scope.
    pub live: Catalog,
    /// A step for each.
    pub steps: Vec<Step>,
    /// The database before some of these steps, by their places in the list.
    pub pictures: BTreeMap<usize, Catalog>,
    /// For relations that are called otherwise afterwards: what they are called before, both as SQL.
    pub names: BTreeMap<String, String>,
}

impl Renamed {
    /// From what to what, in the order in which it is done.
    pub fn moves(&self) -> impl DoubleEndedIterator<Item = &(Id, Id)> {
        self.steps.iter().filter_map(|s| s.renamed.as_ref())
    }

    /// What something is called before all of it.
    pub fn before(&self, id: &Id) -> Id {
        self.moves().rev().fold(id.clone(), |id, (from, to)| kind::moved(&id, to, from))
    }

    /// What something is called after all of it.
    pub fn after(&self, id: &Id) -> Id {
        self.moves().fold(id.clone(), |id, (from, to)| kind::moved(&id, from, to))
    }

    /// The relations of a map by the names that they have before the plan.
    pub fn by_old_names<V>(&self, map: BTreeMap<String, V>) -> BTreeMap<String, V> {
        map.into_iter().map(|(name, value)| (self.names.get(&name).cloned().unwrap_or(name), value)).collect()
    }

    /// The database before a step of the whole plan, where it is another one than the steps before tell; `after` is what it is like
    /// when everything has its name.
    pub fn picture<'a>(&'a self, place: usize, after: &'a Catalog) -> Option<&'a Catalog> {
        if place == self.steps.len() { Some(after) } else { self.pictures.get(&place) }
    }

    /// The steps of the whole plan: these, and after them those that are made for what has its new names.
    pub fn first(&self, rest: &[Step]) -> Vec<Step> {
        let shift = self.steps.len();
        let mut all = self.steps.clone();
        for step in rest {
            let mut step = step.clone();
            step.after = step.after.into_iter().map(|(earlier, sentence)| (earlier + shift, sentence)).collect();
            all.push(step);
        }
        for place in 0..all.len() {
            let about = all[place].renamed.as_ref().map_or_else(|| all[place].node.id.clone(), |(from, _)| from.clone());
            let names = all[..place.min(shift)].iter().enumerate().filter_map(|(n, s)| Some((n, s.renamed.as_ref()?)));
            let names = names.filter(|(_, (from, to))| kind::bearer(to) == about || kind::moved(&about, to, from) != about);
            let names: Vec<(usize, String)> = names.map(|(n, (_, to))| (n, format!("{to} has its name by then"))).collect();
            all[place].after.extend(names);
        }
        all
    }
}

/// The step that gives `object` (or the part of its definition that is meant) another name.
pub fn step(object: &Object, from: &Id, to: &Id, why: &str) -> Step {
    let mut statements = kind::rename(object, from, to);
    let renamed = if kind::bearer(from) == *from { Object { id: to.clone(), ..object.clone() } } else { object.clone() };
    let back: Vec<String> = kind::rename(&renamed, to, from).into_iter().map(|s| s.sql).collect();
    // The way back is read from the last statement to the first.
    for (statement, back) in statements.iter_mut().rev().zip(back) {
        statement.back = Some(back);
    }
    let strains = Effect::Strains(format!("code that names {from} fails: it is {} from then on", short(from, to)));
    Step {
        node: Node { op: Op::Rename, id: kind::bearer(to) },
        renamed: Some((from.clone(), to.clone())),
        fields: Vec::new(),
        with: Vec::new(),
        statements,
        effects: if UNNAMED.contains(&from.class()) { Vec::new() } else { vec![strains] },
        reason: why.to_owned(),
        after: BTreeMap::new(),
        part: None,
    }
}

/// Classes that no program names.
const UNNAMED: &[&str] = &["index", "statistics", "policy", "rule", "trigger", "event trigger", "foreign key", "check"];

/// The new name, without what is the same of it.
fn short(from: &Id, to: &Id) -> String {
    let alike = from.name().split_last().map(|(_, whole)| whole) == to.name().split_last().map(|(_, whole)| whole);
    if alike { crate::sql::ident(to.base()) } else { to.sql() }
}
