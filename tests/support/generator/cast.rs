//! Where PostgreSQL has no cast from a column's type to its next one, nobody can plan the change without being told the values
//! (`-- plumb: using`). Such a column is another one by name.

use super::Pair;
use super::model::*;
use std::collections::BTreeMap;

impl Pair {
    /// Renames the columns of `after` whose values have no way from `before`, or none back.
    pub fn cast(&mut self) {
        self.heirs();
        self.attributes();
        loop {
            let old = columns(&self.before);
            let bad = columns(&self.after).into_iter().find_map(|(name, (key, form))| {
                let differs = |(was, theirs): &&(Key, Form)| {
                    let own = self.before.passed_on(&name.0, *was) != self.after.passed_on(&name.0, key);
                    own || !castable(theirs, &form) || self.computed_far_down(*was, key)
                };
                old.get(&name).filter(differs).map(|_| key)
            });
            let Some(key) = bad else { return };
            self.after.items.get_mut(&key).unwrap().name = format!("cast{key}");
            self.after.settle();
        }
    }
}

impl Model {
    /// Whether a table that inherits has a column from its parent: one that it had by itself before stays its own for ever, and
    /// no statement makes it the parent's.
    fn passed_on(&self, table: &str, column: Key) -> bool {
        let heir =
            self.keys(|w| matches!(w, What::Table(t) if t.inherits.is_some())).into_iter().find(|k| self.full(*k) == table);
        heir.is_some_and(|heir| self.items.get(&column).is_some_and(|i| i.within != heir))
    }
}

impl Pair {
    /// Whether a column is computed on one side only and its table has grandchildren: DROP EXPRESSION refuses those ("must be
    /// applied to child tables too") however it is written.
    fn computed_far_down(&self, was: Key, is: Key) -> bool {
        let computed = |m: &Model, k: Key| m.column(k).is_some_and(|c| c.generated.is_some());
        let far = |m: &Model, k: Key| m.items.get(&k).is_some_and(|i| m.levels(m.root(i.within)) > 2);
        computed(&self.before, was) != computed(&self.after, is) && (far(&self.before, was) || far(&self.after, is))
    }
}

impl Pair {
    /// A table that stays has the parents that it has: columns that stand before INHERIT are the table's own for ever, which
    /// those of CREATE TABLE ... INHERITS are not, and no statement makes the one of the other.
    fn heirs(&mut self) {
        loop {
            let heirs = |m: &Model| -> BTreeMap<String, (Key, Option<String>)> {
                let parent = |k: Key| m.table(k).and_then(|t| t.inherits).map(|p| m.full(p));
                let tables = m.keys(|w| matches!(w, What::Table(_)));
                tables.into_iter().map(|k| (m.full(k), (k, parent(k)))).collect()
            };
            let old = heirs(&self.before);
            let differs = |(name, (_, parent)): &(String, (Key, Option<String>))| old.get(name).is_some_and(|o| o.1 != *parent);
            let Some((_, (key, _))) = heirs(&self.after).into_iter().find(differs) else { return };
            self.after.items.get_mut(&key).unwrap().name = format!("heir{key}");
            self.after.settle();
        }
    }
}

impl Pair {
    /// ALTER TYPE refuses another type of an attribute while a column is of the composite type, and plumb knows no way round
    /// yet: such an attribute is another one by name.
    fn attributes(&mut self) {
        let fields = |m: &Model| -> BTreeMap<(String, String), String> {
            let one = |k: Key| match m.what(k) {
                Some(What::Composite(list)) => list.iter().map(|(n, t)| ((m.full(k), n.clone()), m.type_sql(t))).collect(),
                _ => Vec::new(),
            };
            m.items.keys().flat_map(|k| one(*k)).collect()
        };
        let (old, new) = (fields(&self.before), fields(&self.after));
        let names: BTreeMap<Key, String> =
            self.after.keys(|w| matches!(w, What::Composite(_))).into_iter().map(|k| (k, self.after.full(k))).collect();
        for (key, full) in names {
            let Some(What::Composite(list)) = self.after.items.get_mut(&key).map(|i| &mut i.what) else { continue };
            for (i, field) in list.iter_mut().enumerate() {
                let place = (full.clone(), field.0.clone());
                if old.get(&place).is_some_and(|t| Some(t) != new.get(&place)) {
                    field.0 = format!("other{i}");
                }
            }
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
