//! What a dropped, replaced or retyped object takes along: everything that rests on it is taken down before and, where it is
//! wanted, built up again after. Nothing is ever dropped by CASCADE.

use crate::catalog::{Catalog, Dependency, Id};
use crate::kind;

use super::compare::{Action, Blocked, Change, Changes, rebuilt};
use super::partition;

/// Adds to `changes` what must be rebuilt because of them.
pub fn rebuild(changes: &mut Changes, desired: &Catalog, whole: &Catalog) {
    let torn = |c: &&Change| c.retype || matches!(c.action, Action::Drop | Action::Replace);
    part_indexes(changes, desired, whole);
    late_checks(changes, desired, whole);
    partition::keys(changes, desired, whole);
    let mut todo: Vec<Id> = changes.list.values().filter(torn).map(|c| c.id.clone()).collect();
    let mut retyped_only: Vec<(Id, Id)> = Vec::new();
    while let Some(id) = todo.pop() {
        // A part that its whole makes is known while something is attached to it, and stands without that too.
        if kind::of(&id).made_with_whole && !with_its_whole(changes, whole, &id) {
            continue;
        }
        for (dependent, dependency) in whole.used_by(&id).to_vec() {
            match verdict(changes, desired, whole, &id, &dependent, dependency) {
                Verdict::Stays => {}
                Verdict::Blocked => changes.blocked.push(Blocked { change: id.clone(), by: dependent.to_string() }),
                Verdict::Remade => remade(changes, desired, whole, &id, &dependent, &mut todo),
                Verdict::Carried => unseen_rebuilt(changes, desired, whole, (&id, &dependent), &mut todo),
                Verdict::Retyped => {
                    if !retyped_only.iter().any(|(c, _)| *c == dependent) {
                        retyped_only.push((dependent.clone(), id.clone()));
                        for (user, dependency) in whole.used_by(&dependent).to_vec() {
                            // One side of a foreign key has the new type before the other one has.
                            let apart = kind::of(&user).carried == kind::Carried::WithinFamily && id.class() != "collation";
                            let forgets = whole.get(&user).is_some_and(|user| kind::forgets(whole, user));
                            let direct = apart || forgets || kind::waits_as_text(&id);
                            let verdict = under_retype(changes, desired, &user, dependency, direct);
                            if verdict == Verdict::Stays && kind::of(&user).carried != kind::Carried::Never {
                                unseen_rebuilt(changes, desired, whole, (&dependent, &user), &mut todo);
                            }
                            apply(changes, desired, whole, &dependent, user, verdict, &mut todo);
                        }
                    }
                }
                verdict => apply(changes, desired, whole, &id, dependent, verdict, &mut todo),
            }
        }
        if changes.list.get(&id).is_some_and(|c| c.remade || c.action == Action::Replace) {
            for child in whole.children(&id).map(|c| c.id.clone()).filter(|c| c.of().is_none()).collect::<Vec<_>>() {
                if !changes.goes(&child) {
                    apply(changes, desired, whole, &id, child, Verdict::Rebuilt, &mut todo);
                } else if kind::of(&child).made_with_whole {
                    // It lost what was attached to it; now it goes indeed, and with it what uses it.
                    todo.push(child);
                }
            }
        }
    }
    if partition::computed(changes, desired, whole) || partition::identities(changes, desired, whole) {
        return rebuild(changes, desired, whole);
    }
    for (user, used) in whole.unmanaged.iter().flat_map(|u| u.uses.iter().map(move |used| (u, used))) {
        if let Some(change) = changes.list.get(used).filter(torn) {
            let by = format!("{} {} (not managed by plumb)", user.class, user.identity);
            changes.blocked.push(Blocked { change: change.id.clone(), by });
        }
    }
    changes.blocked.sort_by(|a, b| (&a.change, &a.by).cmp(&(&b.change, &b.by)));
    changes.blocked.dedup();
}

/// A type is made anew under its name with what it is made of, whether or not anything else of it changes.
fn remade(changes: &mut Changes, desired: &Catalog, whole: &Catalog, because: &Id, id: &Id, todo: &mut Vec<Id>) {
    let (Some(old), Some(new)) = (whole.get(id), desired.get(id)) else { return };
    let alone = Change { action: Action::Alter(Vec::new()), ..rebuilt(old, new, because) };
    let change = changes.list.entry(id.clone()).or_insert(alone);
    if !change.remade {
        (change.retype, change.remade) = (true, true);
        todo.push(id.clone());
    }
}

/// What rests on a key or an index that is made anew with a column's new type, and not on the column: the server does not see it
/// (a foreign key, where the key only includes the column).
fn unseen(whole: &Catalog, column: &Id, key: &Id) -> Vec<Id> {
    let sees = |user: &Id| whole.uses(user).iter().any(|(used, _)| used == column);
    let part = |user: &Id| whole.get(user).is_some_and(|o| o.parent.as_ref() == Some(key));
    let users = whole.used_by(key).iter().filter(|(_, d)| *d == Dependency::Normal).map(|(user, _)| user);
    let carried = |user: &Id| kind::of(user).carried == kind::Carried::Always;
    users.filter(|user| !sees(user) && !part(user) && !carried(user)).cloned().collect()
}

/// Makes anew what rests on a key or an index over a column with another type, and not on the column.
fn unseen_rebuilt(changes: &mut Changes, desired: &Catalog, whole: &Catalog, (column, key): (&Id, &Id), todo: &mut Vec<Id>) {
    for user in unseen(whole, column, key) {
        let verdict = under_retype(changes, desired, &user, Dependency::Normal, true);
        apply(changes, desired, whole, column, user, verdict, todo);
    }
}

/// No statement takes an index away from the index of the partitioned table, nor a key from its key: that one is made anew.
fn part_indexes(changes: &mut Changes, desired: &Catalog, whole: &Catalog) {
    let of_index = |c: &Change| match c.id.class() {
        "index partition" if c.action != Action::Create => {
            c.old.as_ref().and_then(|o| o.parent.as_ref()).and_then(|i| whole.get(i))
        }
        "index" | "primary key" | "unique" if changes.goes(&c.id) => whole.get(&c.id),
        _ => None,
    };
    let mut parents = Vec::new();
    for (change, index) in changes.list.values().filter_map(|c| Some((c, of_index(c)?))) {
        let table = index.parent.clone().unwrap_or_else(|| index.id.clone());
        let partition = table.as_class("partition");
        let parent = whole.uses(&index.id).iter().filter(|(_, d)| *d == Dependency::Inherited).map(|(p, _)| p.clone());
        let stays = |p: &Id| !changes.goes(p) && desired.contains(p);
        if !changes.goes(&table) && !changes.goes(&partition) {
            parents.extend(parent.filter(stays).map(|p| (p, change.id.clone())));
        }
    }
    let again = !parents.is_empty();
    for (parent, because) in parents {
        if let (Some(old), Some(new)) = (whole.get(&parent), desired.get(&parent)) {
            changes.list.insert(parent, rebuilt(old, new, &because));
        }
    }
    if again {
        part_indexes(changes, desired, whole);
    }
}

/// A new heir has its parent table's check as a valid one from the start. Where it is wanted NOT VALID there too, the parent's comes
/// once more, after the heir.
fn late_checks(changes: &mut Changes, desired: &Catalog, whole: &Catalog) {
    let made = |table: &Id| changes.list.get(table).is_some_and(|c| matches!(c.action, Action::Create | Action::Replace));
    let heirs = changes.list.values().filter_map(|c| c.new.as_ref()).filter(|check| {
        let heir = check.parent.as_ref().filter(|table| made(table)).and_then(|table| desired.get(table));
        let late = check.id.class() == "check" && check.flag("inherited") && check.flag("not_valid");
        late && heir.is_some_and(|table| table.definition.contains_key("inherits"))
    });
    let mut todo: Vec<(Id, Id)> = heirs.map(|check| (check.id.clone(), check.id.clone())).collect();
    while let Some((check, because)) = todo.pop() {
        let parents = desired.uses(&check).iter().filter(|(_, d)| *d == Dependency::Inherited);
        todo.extend(parents.map(|(parent, _)| (parent.clone(), because.clone())));
        if let (Some(old), Some(new)) = (whole.get(&check), desired.get(&check).filter(|new| !new.flag("inherited"))) {
            changes.list.insert(check, rebuilt(old, new, &because));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Stays,
    Carried,
    Rebuilt,
    Retyped,
    Remade,
    Blocked,
}

fn apply(changes: &mut Changes, desired: &Catalog, whole: &Catalog, because: &Id, id: Id, verdict: Verdict, todo: &mut Vec<Id>) {
    match verdict {
        Verdict::Rebuilt => {}
        Verdict::Blocked => return changes.blocked.push(Blocked { change: because.clone(), by: id.to_string() }),
        _ => return,
    }
    let (Some(old), Some(new)) = (whole.get(&id), desired.get(&id)) else { return };
    changes.list.insert(id.clone(), rebuilt(old, new, because));
    todo.push(id);
}

/// What becomes of `dependent` when `id` is dropped, replaced or retyped.
fn verdict(changes: &Changes, desired: &Catalog, whole: &Catalog, id: &Id, dependent: &Id, dependency: Dependency) -> Verdict {
    if changes.goes(dependent) || dependent.of().is_some() {
        return Verdict::Stays;
    }
    let rests_on = kind::of(dependent).rests_on;
    if !rests_on.is_empty() && !rests_on.contains(&id.class()) {
        return Verdict::Stays;
    }
    if !desired.contains(dependent) {
        return Verdict::Blocked;
    }
    let Some(change) = changes.list.get(id) else { return Verdict::Stays };
    if change.retype {
        if change.remade && kind::held_over(whole, id).contains(dependent) {
            // Where it is not made of that type any more, its own change lets go of it before.
            let still = desired.uses(dependent).iter().any(|(used, _)| used == id);
            return if still { Verdict::Remade } else { Verdict::Stays };
        }
        // A type whose attributes change in place changes with what is made of it.
        if !change.remade && kind::is_made_of_types(id) && kind::is_made_of_types(dependent) {
            return Verdict::Stays;
        }
        if id.class() != "column" {
            // One that is computed no more keeps its values.
            let sides = [whole.get(dependent), desired.get(dependent)];
            let column = sides.into_iter().flatten().any(|side| kind::is_of_type(side, id));
            return if column { Verdict::Retyped } else { under_retype(changes, desired, dependent, dependency, true) };
        }
        let carried = match (&change.old, &change.new) {
            (Some(old), Some(new)) => {
                whole.get(dependent).is_some_and(|d| kind::carries(d, old, new) && !kind::forgets(whole, d))
            }
            _ => false,
        };
        return if carried { Verdict::Carried } else { under_retype(changes, desired, dependent, dependency, true) };
    }
    // Where the parent table itself goes, the two are parted before, and the child's columns stay with its rows.
    if dependency == Dependency::Inherited && dependent.class() == "column" && with_its_whole(changes, whole, id) {
        return Verdict::Stays;
    }
    if dependency == Dependency::Inherited && taken_along(changes, whole, id, dependent) {
        return Verdict::Rebuilt;
    }
    // A foreign key that is validated rests on the key that it rested on before.
    let lets_go = dependent.class() != "foreign key";
    let altered = lets_go && changes.list.get(dependent).is_some_and(|c| matches!(c.action, Action::Alter(_)));
    // Columns of a view are known where something is attached to them: whatever of it is used, the view is.
    let view = whole.get(id).and_then(|o| o.parent.as_ref()).filter(|_| kind::of(id).made_with_whole);
    let of_view = |u: &Id| view.is_some_and(|view| u == view || desired.get(u).and_then(|o| o.parent.as_ref()) == Some(view));
    let still_used = desired.uses(dependent).iter().any(|(u, _)| u == id || of_view(u));
    if kind::of(dependent).holds_rows || altered && !still_used {
        return Verdict::Stays;
    }
    // A column is never dropped and added for the sake of its type: its values would go.
    let holds_values = whole.get(dependent).is_some_and(|d| d.id.class() == "column" && !d.definition.contains_key("generated"));
    let with_table = dependency == Dependency::Inherited || id.class() == "column";
    if holds_values && !with_table { Verdict::Blocked } else { Verdict::Rebuilt }
}

/// Whether the server drops a member of a child table (an index, a constraint) together with that of the parent table: it came
/// from there, and the two tables are not parted before.
fn taken_along(changes: &Changes, whole: &Catalog, id: &Id, dependent: &Id) -> bool {
    let Some(table) = whole.get(dependent).filter(|o| o.flag("inherited")).and_then(|o| o.parent.clone()) else { return false };
    let parent_goes = with_its_whole(changes, whole, id);
    let partition = table.as_class("partition");
    let parted = changes.goes(&partition) || changes.alters(&table, "inherits");
    dependent.class() != "column" && !parent_goes && !parted
}

/// Whether what an object is part of goes too.
fn with_its_whole(changes: &Changes, whole: &Catalog, id: &Id) -> bool {
    whole.get(id).and_then(|o| o.parent.as_ref()).is_none_or(|p| changes.goes(p))
}

/// A column that something uses changes its type: what the server cannot carry along is rebuilt.
fn under_retype(changes: &Changes, desired: &Catalog, user: &Id, dependency: Dependency, direct: bool) -> Verdict {
    let kind = kind::of(user);
    let inherited = dependency == Dependency::Inherited && kind.made_by_parent;
    let elsewhere = !kind.rests_on.is_empty() && !kind.rests_on.contains(&"column");
    // A column that is computed no more has let go of it before, and keeps its values.
    let let_go = changes.alters(user, "generated");
    if changes.goes(user) || let_go || kind.holds_rows || inherited || elsewhere || user.of().is_some() {
        return Verdict::Stays;
    }
    if !direct && kind.carried != kind::Carried::Never {
        return Verdict::Stays;
    }
    if desired.contains(user) { Verdict::Rebuilt } else { Verdict::Blocked }
}
