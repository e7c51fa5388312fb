//! What joining and leaving a partitioned table costs the members of a partition, beyond what differs of them.

use crate::catalog::{Catalog, Dependency, Id, Object};
use crate::kind;

use super::compare::{Action, Change, Changes, rebuilt};

/// Before 16 ATTACH compares what computed columns say as text, and a text that is read once more can be written in another way.
/// Where one of the two columns is made of such a text and the other one stands, that one is made anew too. Whether there was one.
pub fn computed(changes: &mut Changes, desired: &Catalog, whole: &Catalog) -> bool {
    if desired.server >= 160_000 {
        return false;
    }
    let joins = |c: &&Change| {
        let made = matches!(c.action, Action::Create | Action::Replace);
        made && c.id.class() == "partition" && whole.contains(&c.id.as_class("table"))
    };
    let tables: Vec<Id> = changes.list.values().filter(joins).map(|c| c.id.as_class("table")).collect();
    let columns = tables.iter().flat_map(|table| desired.children(table)).filter(|c| c.definition.contains_key("generated"));
    let again: Vec<(Id, Id)> = columns.flat_map(|column| read_apart(changes, desired, whole, column)).collect();
    let any = !again.is_empty();
    for (id, because) in again {
        if let (Some(old), Some(new)) = (whole.get(&id), desired.get(&id)) {
            changes.list.insert(id, rebuilt(old, new, &because));
        }
    }
    any
}

/// Which of a partition's computed column and the table's above has to be made anew, since the other one would differ, and that one.
fn read_apart(changes: &Changes, desired: &Catalog, whole: &Catalog, column: &Object) -> Vec<(Id, Id)> {
    let Some(theirs) = first_of(changes, desired, &column.id) else { return Vec::new() };
    let text = |id: &Id| whole.get(id).map(|c| c.text("generated")).filter(|text| !text.is_empty());
    let stands = |id: &Id| text(id).filter(|_| !changes.goes(id));
    let (own, above) = (&column.id, &theirs);
    match (stands(own), stands(above)) {
        (Some(own_text), Some(text)) if own_text != text => {
            let both = [(own.clone(), above.clone()), (above.clone(), own.clone())];
            both.into_iter().take(if reads_otherwise(text) { 2 } else { 1 }).collect()
        }
        (Some(text), None) if reads_otherwise(text) => vec![(own.clone(), above.clone())],
        (None, Some(text)) if reads_otherwise(text) => vec![(above.clone(), own.clone())],
        _ => Vec::new(),
    }
}

/// The column that one of a partition comes from: the first above whose table is no partition, or becomes one in this plan.
fn first_of(changes: &Changes, desired: &Catalog, column: &Id) -> Option<Id> {
    let parent = |id: &Id| desired.uses(id).iter().find(|(_, d)| *d == Dependency::Inherited).map(|(theirs, _)| theirs.clone());
    let mut theirs = parent(column)?;
    let stays = |id: &Id| {
        let table = desired.get(id).and_then(|c| c.parent.as_ref());
        table.is_some_and(|t| !changes.list.contains_key(&t.as_class("partition")))
    };
    while let Some(above) = parent(&theirs).filter(|_| stays(&theirs)) {
        theirs = above;
    }
    Some(theirs)
}

/// Whether the server writes an expression in another way once it has read it: a cast of ARRAY[...] as casts of its elements.
fn reads_otherwise(text: &str) -> bool {
    text.contains("])::")
}

/// ATTACH gives the identities of the tables above to what is attached, and to none of its partitions (17): those are attached once
/// more. Whether there was one.
pub fn identities(changes: &mut Changes, desired: &Catalog, whole: &Catalog) -> bool {
    let comes = |id: &Id| changes.list.get(id).is_some_and(|c| matches!(c.action, Action::Create | Action::Replace));
    let late = |new: &Object| kind::identity_from(desired, &new.id)?.1.into_iter().find(comes);
    let stay = whole.objects().filter(|o| o.id.class() == "partition" && !changes.list.contains_key(&o.id));
    let again = stay.filter_map(|old| desired.get(&old.id).and_then(|new| Some(rebuilt(old, new, &late(new)?))));
    let again: Vec<Change> = again.collect();
    let any = !again.is_empty();
    changes.list.extend(again.into_iter().map(|change| (change.id.clone(), change)));
    any
}

/// DETACH drops foreign keys, or fails over them: before 15 those by which a partition refers to the table that it leaves; in all
/// versions those of a partitioned table that refer to the partition. Those that are wanted are made after it.
pub fn keys(changes: &mut Changes, desired: &Catalog, whole: &Catalog) {
    let mut again = Vec::new();
    let mut anew = |key: &Object, because: &Id| {
        let wanted = desired.get(&key.id).filter(|new| !new.flag("inherited"));
        again.extend(wanted.map(|new| rebuilt(key, new, because)));
    };
    for key in whole.objects().filter(|o| o.id.class() == "foreign key") {
        if let Some(partition) = kind::lost_with(whole, key).into_iter().find(|partition| changes.goes(partition)) {
            anew(key, &partition);
        }
    }
    for partition in changes.list.values().map(|c| &c.id).filter(|id| id.class() == "partition" && changes.goes(id)) {
        kind::referring_in_parts(whole, &partition.as_class("table")).for_each(|key| anew(key, partition));
    }
    changes.list.extend(again.into_iter().map(|change| (change.id.clone(), change)));
}
