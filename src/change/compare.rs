//! The comparison itself: per address create, drop, alter or replace, and what a replaced object takes along.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Id, Object};
use crate::kind::{self, Cost, KINDS};

use super::rebuild::rebuild;

/// What has to happen to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is wanted and not there.
    Create,
    /// It is there and not wanted.
    Drop,
    /// These fields differ and can be changed in place.
    Alter(Vec<String>),
    /// It has to be dropped and created.
    Replace,
}

/// One object's change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The address.
    pub id: Id,
    /// What happens.
    pub action: Action,
    /// As it is.
    pub old: Option<Object>,
    /// As it is wanted.
    pub new: Option<Object>,
    /// Why, as a sentence without a full stop.
    pub reason: String,
    /// Whether what uses it is taken down before and built up after although it stays (a column that changes its type).
    pub retype: bool,
    /// Whether it is a type that is made anew under its name, so that owner, grants and comment have to be given again.
    pub remade: bool,
}

impl Change {
    /// Whether this field is changed in place.
    pub fn alters(&self, field: &str) -> bool {
        matches!(&self.action, Action::Alter(fields) if fields.iter().any(|f| f == field))
    }
}

/// A change that something outside the scope stands in the way of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What should change.
    pub change: Id,
    /// What depends on it and may not be touched, for a person.
    pub by: String,
}

/// All changes by address, and what blocks some of them.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The changes.
    pub list: BTreeMap<Id, Change>,
    /// What cannot be done, and why.
    pub blocked: Vec<Blocked>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the object is dropped, be it to be made anew.
    pub fn goes(&self, id: &Id) -> bool {
        self.list.get(id).is_some_and(|c| matches!(c.action, Action::Drop | Action::Replace))
    }

    /// Whether this field of it is changed in place.
    pub fn alters(&self, id: &Id, field: &str) -> bool {
        self.list.get(id).is_some_and(|c| c.alters(field))
    }
}

/// Compares two catalogs. `live` and `desired` hold what is in scope; `whole` is all of the live database, so that dependents
/// outside the scope are seen.
pub fn compare(live: &Catalog, desired: &Catalog, whole: &Catalog) -> Changes {
    let mut changes = Changes::default();
    for object in live.objects() {
        let change = match desired.get(&object.id) {
            None => Some(dropped(object)),
            // What a view brings along is new with a view of another kind that takes its name.
            Some(new) if kind::of(&object.id).made_with_whole && object.parent != new.parent => {
                Some(Change { action: Action::Replace, old: Some(object.clone()), ..created(new) })
            }
            Some(new) => altered(object, new, live),
        };
        changes.list.extend(change.map(|c| (c.id.clone(), c)));
    }
    for object in desired.objects().filter(|o| !live.contains(&o.id)) {
        changes.list.insert(object.id.clone(), created(object));
    }
    rebuild(&mut changes, desired, whole);
    satellites(&mut changes, live, desired);
    changes
}

/// Turns changes in place into drop and create, for those of `ids` that lose nothing by it. Whether there was one.
pub fn replace(changes: &mut Changes, ids: &[Id], live: &Catalog, desired: &Catalog, whole: &Catalog) -> bool {
    let mut any = false;
    for id in ids.iter().filter(|id| kind::of(id).only_definition) {
        if let Some(change) = changes.list.get_mut(id) {
            change.action = Action::Replace;
            any = true;
        }
    }
    if any {
        rebuild(changes, desired, whole);
        satellites(changes, live, desired);
    }
    any
}

/// It goes and comes back, for the sake of something else.
pub(super) fn rebuilt(old: &Object, new: &Object, because: &Id) -> Change {
    let reason = format!("it rests on {because}, which is changed");
    Change { action: Action::Replace, old: Some(old.clone()), reason, ..created(new) }
}

fn dropped(object: &Object) -> Change {
    Change {
        id: object.id.clone(),
        action: Action::Drop,
        old: Some(object.clone()),
        new: None,
        reason: "it is in the database and not in the wanted schema".to_owned(),
        retype: false,
        remade: false,
    }
}

fn created(object: &Object) -> Change {
    Change {
        id: object.id.clone(),
        action: Action::Create,
        old: None,
        new: Some(object.clone()),
        reason: "it is in the wanted schema and not in the database".to_owned(),
        retype: false,
        remade: false,
    }
}

fn altered(old: &Object, new: &Object, live: &Catalog) -> Option<Change> {
    let fields = old.changed_fields(new);
    if fields.is_empty() {
        return None;
    }
    let kind = kind::of(&new.id);
    let cost = |name: &str| kind.field(name).map(|f| f.cost);
    let replace = fields.iter().any(|f| match cost(f) {
        Some(Cost::Replace) | None => true,
        Some(Cost::AlterOrReplace(can_alter) | Cost::RetypeOrReplace(can_alter)) => !can_alter(old, new),
        _ => false,
    });
    let retype =
        fields.iter().any(|f| matches!(cost(f), Some(Cost::Retype | Cost::RetypeOrReplace(_) | Cost::RetypeOrRemake(_))));
    let remade = !replace && kind::is_remade(live, old, new);
    Some(Change {
        id: new.id.clone(),
        reason: format!("{} differs", fields.join(", ").replace('_', " ")),
        action: if replace { Action::Replace } else { Action::Alter(fields) },
        old: Some(old.clone()),
        new: Some(new.clone()),
        retype: (retype || remade) && !replace,
        remade,
    })
}

/// What every new object has of owner, grants and comment before anybody says so, against what is wanted of them.
fn satellites(changes: &mut Changes, live: &Catalog, desired: &Catalog) {
    let made: Vec<Object> = changes
        .list
        .values()
        .filter(|c| (c.remade || matches!(c.action, Action::Create | Action::Replace)) && c.id.of().is_none())
        .filter_map(|c| c.new.clone())
        .collect();
    for target in made {
        for kind in KINDS.iter().filter(|k| k.query.is_none()) {
            let id = Id::satellite(kind.class, &target.id);
            let given = kind.state.and_then(|state| state(live, &target));
            let owned =
                live.contains(&Id::satellite("owner", &target.id)) || desired.contains(&Id::satellite("owner", &target.id));
            let given = given.filter(|g| g.id.class() != "owner" || owned);
            let change = match (given, desired.get(&id)) {
                (None, None) => None,
                (None, Some(new)) => Some(created(new)),
                (Some(old), None) => Some(dropped(&old)),
                (Some(old), Some(new)) => altered(&old, new, live),
            };
            match change {
                Some(change) => changes.list.insert(id, change),
                None => changes.list.remove(&id),
            };
        }
    }
}
