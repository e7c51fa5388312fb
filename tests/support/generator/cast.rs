//! Where PostgreSQL has no cast from a column's type to its next one, nobody can plan the change without being told the values
//! (`-- plumb: using`). Such a column is another one by name.

use super::Pair;
use super::model::*;
use std::collections::BTreeMap;

impl Pair {
    /// Renames the columns of `after` whose values have no way from `before`, or none back.
    pub fn cast(&mut self) {
        loop {
            let old = columns(&self.before);
            let bad = columns(&self.after)
                .into_iter()
                .find_map(|(name, (key, form))| old.get(&name).filter(|(_, theirs)| !castable(theirs, &form)).map(|_| key));
            let Some(key) = bad else { return };
            self.after.items.get_mut(&key).unwrap().name = format!("cast{key}");
            self.after.settle();
        }
    }
}

/// What a type's casts depend on: what it is at the base, and its name.
type Form = (Class, String, bool);

fn form(model: &Model, ty: &Type) -> Form {
    match model.resolve(ty) {
        Type::Array(inner) => {
            let (class, name, _) = form(model, &inner);
            (class, name, true)
        }
        other => (model.class(&other), model.type_sql(&other), false),
    }
}

/// Columns by their table's and their own name; those of parents stand with every child.
fn columns(model: &Model) -> BTreeMap<(String, String), (Key, Form)> {
    let mut map = BTreeMap::new();
    for table in model.keys(|w| matches!(w, What::Table(_))) {
        for key in model.columns(table) {
            map.insert((model.full(table), model.name(key)), (key, form(model, &model.type_of(key))));
        }
    }
    map
}

fn castable(old: &Form, new: &Form) -> bool {
    let kind = |c: &Class| match c {
        Class::Enum(_) => Class::Enum(0),
        c => *c,
    };
    let (a, b) = (kind(&old.0), kind(&new.0));
    match (old.2, new.2) {
        (true, true) => a == b && !matches!(a, Class::Row | Class::Range) || old == new,
        (true, false) => b == Class::Text,
        (false, true) => a == Class::Text,
        _ if a == b => !matches!(a, Class::Row | Class::Range) || old.1 == new.1,
        _ => a == Class::Text || b == Class::Text,
    }
}
