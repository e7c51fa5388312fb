//! Renames that somebody has declared: which of them are still to be done, in which order, and what is wrong with the others.
//!
//! One turn at a time (`kind::turn`): what is given is the database as it is after the turns before, so that what comes later has its
//! new schema and its new table already, and no address is worked out.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Dependency, Id};
use crate::kind;
use crate::sql::free_name;

/// Somebody says that something had another name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is wanted.
    pub new: Id,
    /// What it was called, by the names that everything around it has now: an address of the same class.
    pub old: Id,
    /// Who says it: a place in a list of the caller's.
    pub by: usize,
    /// Whether it is said once, for this run, and not by files that say it again the next time.
    pub once: bool,
}

/// One statement's worth of renaming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// What it is called when the statement runs.
    pub from: Id,
    /// What it is called then.
    pub to: Id,
    /// Who says so; none where it follows from another rename.
    pub by: Option<usize>,
}

/// What is wrong with what somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Neither name stands.
    Missing(usize),
    /// Neither name stands, and what it is a part of is new: there is nothing to rename, and nothing to lose.
    New(usize, Id),
    /// Both names stand, and the old one is not wanted any more.
    Both(usize),
    /// Two of them name the same object.
    Twice(usize, usize),
    /// Names go round, all of them stand, and nothing tells whether they have gone round already.
    Round(usize),
    /// It is called so already.
    Same(usize),
}

/// What is to be done of what is asked for in one turn, in an order that works, and what is wrong with the rest.
pub fn renames(now: &Catalog, wanted: &Catalog, asked: &[Asked]) -> (Vec<Rename>, Vec<Wrong>) {
    let mut wrong: Vec<Wrong> = asked.iter().filter(|a| a.old == a.new).map(|a| Wrong::Same(a.by)).collect();
    let links = Links::new(now, asked.iter().filter(|a| a.old != a.new), &mut wrong);
    let mut go: Vec<&Asked> = Vec::new();
    for link in links.by_new.values() {
        match links.verdict(now, wanted, link) {
            Ok(true) => go.push(link),
            Ok(false) => {}
            Err(found) => wrong.push(found),
        }
    }
    (in_order(now, wanted, go), wrong)
}

/// From old names to new ones.
struct Links<'a> {
    by_new: BTreeMap<&'a Id, &'a Asked>,
    by_old: BTreeMap<&'a Id, &'a Asked>,
}

impl<'a> Links<'a> {
    /// Of several old names of one object the one that stands counts: databases may be behind by more than one rename.
    fn new(now: &Catalog, asked: impl Iterator<Item = &'a Asked>, wrong: &mut Vec<Wrong>) -> Links<'a> {
        let mut of: BTreeMap<&Id, Vec<&Asked>> = BTreeMap::new();
        asked.for_each(|a| of.entry(&a.new).or_default().push(a));
        let mut links = Links { by_new: BTreeMap::new(), by_old: BTreeMap::new() };
        for (new, list) in of {
            let mut standing = list.iter().filter(|a| kind::has(now, &a.old));
            let link = standing.next().or(list.last()).copied();
            if let (Some(link), Some(other)) = (link, standing.next()) {
                wrong.push(Wrong::Twice(link.by, other.by));
            }
            let Some(link) = link else { continue };
            links.by_new.insert(new, link);
            if let Some(other) = links.by_old.insert(&link.old, link) {
                wrong.push(Wrong::Twice(other.by, link.by));
            }
        }
        links
    }

    /// Whether it is still to be done.
    fn verdict(&self, now: &Catalog, wanted: &Catalog, link: &Asked) -> Result<bool, Wrong> {
        match (kind::has(now, &link.old), kind::has(now, &link.new)) {
            (false, true) => Ok(false),
            (true, false) => Ok(true),
            (false, false) => Err(match part_of(wanted, &link.new).filter(|whole| !kind::has(now, whole)) {
                Some(whole) => Wrong::New(link.by, whole),
                None => Wrong::Missing(link.by),
            }),
            (true, true) => self.both(now, wanted, link),
        }
    }

    /// Both names stand: it is to be done when the new one is about to go elsewhere, and done when the old one has come from elsewhere.
    fn both(&self, now: &Catalog, wanted: &Catalog, link: &Asked) -> Result<bool, Wrong> {
        let mut next = self.by_old.get(&link.new);
        let mut round = vec![link];
        while let Some(later) = next {
            if later.new == link.new || round.len() > self.by_new.len() {
                break;
            }
            if !kind::has(now, &later.new) {
                return Ok(true);
            }
            round.push(later);
            next = self.by_old.get(&later.new);
        }
        if round.len() > 1 && round.last().is_some_and(|last| last.new == link.old) {
            return gone_round(now, wanted, &round);
        }
        let mut earlier = self.by_new.get(&link.old);
        while let Some(before) = earlier {
            if !kind::has(now, &before.old) {
                return Ok(false);
            }
            earlier = self.by_new.get(&before.old);
        }
        // Nothing is lost where both are wanted.
        if kind::has(wanted, &link.old) { Ok(false) } else { Err(Wrong::Both(link.by)) }
    }
}

/// Names that go round: what stands under each tells whether they have.
fn gone_round(now: &Catalog, wanted: &Catalog, round: &[&Asked]) -> Result<bool, Wrong> {
    if round.iter().all(|link| link.once) {
        return Ok(true);
    }
    // With their types, or else by their names alone: one may have changed its type at once.
    for typed in [true, false] {
        let shape = |side: &Catalog, id: &Id| shape(side, id, typed);
        let fits = |of: fn(&Asked) -> &Id| round.iter().all(|link| shape(now, of(link)) == shape(wanted, &link.new));
        match (fits(|link| &link.new), fits(|link| &link.old)) {
            (true, false) => return Ok(false),
            (false, true) => return Ok(true),
            _ => {}
        }
    }
    let first = round.iter().map(|link| link.by).min();
    // Said once of them all.
    if first == Some(round[0].by) { Err(Wrong::Round(round[0].by)) } else { Ok(false) }
}

/// What an object is like apart from its name: its definition or, for a relation, its columns.
fn shape(catalog: &Catalog, id: &Id, typed: bool) -> Option<String> {
    let object = catalog.get(&kind::bearer(id))?;
    let columns = catalog.children(&object.id).filter(|c| c.id.class() == "column");
    let mut columns: Vec<String> =
        columns.map(|c| format!("{} {}", c.id.base(), if typed { c.text("type") } else { "" })).collect();
    columns.sort();
    let own = if columns.is_empty() { serde_json::to_string(&object.definition).unwrap_or_default() } else { String::new() };
    Some(format!("{own}{}", columns.join(", ")))
}

/// What it is a part of, where that is not just a schema.
fn part_of(wanted: &Catalog, id: &Id) -> Option<Id> {
    let bearer = kind::bearer(id);
    if bearer == *id { wanted.get(id)?.parent.clone() } else { Some(bearer) }
}

/// First what frees a name, then what takes it; where names go round, the first one goes by way of a free name.
fn in_order(now: &Catalog, wanted: &Catalog, go: Vec<&Asked>) -> Vec<Rename> {
    let mut open: BTreeMap<&Id, &Asked> = go.iter().map(|link| (&link.old, *link)).collect();
    open.retain(|_, link| !with_parents(now, &go, link));
    let mut list = Vec::new();
    let mut late = Vec::new();
    while !open.is_empty() {
        let free: BTreeSet<Id> = open.values().filter(|l| !open.contains_key(&l.new)).map(|l| l.old.clone()).collect();
        if free.is_empty() {
            let Some((old, link)) = open.pop_first() else { break };
            let taken = |name: &String| {
                let other = sibling(old, name);
                kind::has(now, &other) || kind::has(wanted, &other)
            };
            let aside = sibling(old, &free_name(old.base(), "__plumb_aside", &taken));
            list.push(Rename { from: old.clone(), to: aside.clone(), by: Some(link.by) });
            late.push(Rename { from: aside, to: link.new.clone(), by: Some(link.by) });
            continue;
        }
        for old in free {
            if let Some(link) = open.remove(&old) {
                list.push(Rename { from: link.old.clone(), to: link.new.clone(), by: Some(link.by) });
            }
        }
    }
    list.into_iter().chain(late).collect()
}

/// Another name in the same place.
fn sibling(id: &Id, name: &str) -> Id {
    let whole = &id.name()[..id.name().len().saturating_sub(1)];
    id.with_name(whole.iter().map(String::as_str).chain([name]))
}

/// Whether the server renames it together with what it is inherited from.
fn with_parents(now: &Catalog, go: &[&Asked], link: &Asked) -> bool {
    let parents = now.uses(&link.old).iter().filter(|(_, d)| *d == Dependency::Inherited).map(|(id, _)| id);
    let by_name = ["column", "check", "trigger"].contains(&link.old.class());
    by_name && parents.into_iter().any(|p| go.iter().any(|g| g.old == *p && g.new.base() == link.new.base()))
}

#[cfg(test)]
#[path = "rename_tests.rs"]
mod tests;
