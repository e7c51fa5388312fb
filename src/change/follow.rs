//! Constraints, indexes and sequences that nobody names: they are known by what they are before they are known by what they are
//! called. With a table or a column of another name the server would choose other names for them too; they get these and stay. A file
//! that was dumped says these names, too: a name such as the server would choose counts as none.

use std::collections::BTreeMap;

use super::rename::Rename;
use crate::catalog::{Catalog, Dependency, Id, Object, digest};
use crate::kind;

/// Classes whose names the server chooses where nobody says one, and what these end in.
const CHOSEN: &[(&str, &str)] = &[
    ("primary key", "pkey"),
    ("unique", "key"),
    ("check", "check"),
    ("foreign key", "fkey"),
    ("exclusion", "excl"),
    ("index", "idx"),
    ("identity sequence", "seq"),
    ("owned by", "seq"),
];

/// The renames that follow: what stands and is not wanted, for what is wanted, is the same and has no name of its own in the files. `named`
/// tells what has one, `holds` what may be touched. Expressions are the same when they are the same `in_short`: what means something
/// else after all is made anew under its new name.
pub fn following(
    (now, wanted): (&Catalog, &Catalog),
    named: &dyn Fn(&Id) -> bool,
    holds: &dyn Fn(&Id) -> bool,
    in_short: &dyn Fn(&str) -> String,
) -> Vec<Rename> {
    let key = |object: &Object, other: &Catalog| key(object, other, in_short);
    let mut free: BTreeMap<String, Vec<&Id>> = BTreeMap::new();
    let gone = now.objects().filter(|o| !wanted.contains(&o.id));
    for (object, key) in gone.filter_map(|o| Some((o, key(o, wanted)?))) {
        free.entry(key).or_default().push(&object.id);
    }
    let mut list = Vec::new();
    if free.is_empty() {
        return list;
    }
    for object in wanted.objects().filter(|o| !now.contains(&o.id)) {
        let Some(key) = key(object, now) else { continue };
        let to = address(object);
        let own = || named(&to) && !is_chosen(wanted, object);
        let Some(candidates) = free.get_mut(&key).filter(|c| !c.is_empty() && holds(&to) && !own()) else { continue };
        let from = candidates.remove(0);
        let from = now.get(from).map_or_else(|| from.clone(), address);
        // An index or a sequence is where its table is; the check of a partition is renamed with that of its table.
        let with_parent = now.uses(&from).iter().any(|(_, d)| from.class() == "check" && *d == Dependency::Inherited);
        if from.name().len() == to.name().len() && from.first() == to.first() && !with_parent {
            list.push(Rename { from, to, by: None });
        }
    }
    list
}

/// Whether its name is such as the server would choose: the table's, and what it is.
fn is_chosen(wanted: &Catalog, object: &Object) -> bool {
    let column = || kind::owning_column(wanted, &object.id)?.parent.clone();
    let table = if object.id.class() == "owned by" { column() } else { object.parent.clone() };
    let end = CHOSEN.iter().find(|(class, _)| *class == object.id.class()).map_or("", |(_, end)| *end);
    let name = object.id.base().trim_end_matches(|c: char| c.is_ascii_digit());
    table.is_some_and(|table| name.starts_with(&format!("{}_", table.base())) && name.ends_with(&format!("_{end}")))
}

/// The address that gets another name: for a sequence that belongs to a column, its own.
fn address(object: &Object) -> Id {
    if object.id.class() == "owned by" { object.id.as_class("sequence") } else { object.id.clone() }
}

/// What makes two of them the same, where what they are a part of stands on the other side too.
fn key(object: &Object, other: &Catalog, in_short: &dyn Fn(&str) -> String) -> Option<String> {
    let class = object.id.class();
    if class == "owned by" {
        return Some(format!("{class} {}", object.text("column")));
    }
    let parent = object.parent.as_ref().filter(|p| CHOSEN.iter().any(|(c, _)| *c == class) && other.contains(p))?;
    // An identity has one sequence, which is altered in place.
    let mut definition = if class == "identity sequence" { Default::default() } else { object.definition.clone() };
    for (_, text) in definition.iter_mut().filter(|(field, _)| kind::of(&object.id).field(field).is_some_and(|f| f.expression)) {
        *text = text.as_str().map(in_short).into();
    }
    let definition = digest(&definition);
    Some(format!("{class} {parent} {definition}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog(constraints: &[(&str, &str)]) -> Catalog {
        let table = Id::new("table", ["s", "t"]);
        let object = |id: Id, parent: Option<Id>, definition: serde_json::Value| Object {
            id,
            parent,
            definition: definition.as_object().cloned().unwrap_or_default(),
            detail: Default::default(),
        };
        let check =
            |(name, text): &(&str, &str)| object(table.part("check", name), Some(table.clone()), json!({ "expression": text }));
        let all = std::iter::once(object(table.clone(), None, json!({}))).chain(constraints.iter().map(check));
        Catalog::new(all.collect(), [])
    }

    #[test]
    fn what_is_the_same_gets_the_name_that_is_chosen() {
        let (now, wanted) = (catalog(&[("a", "x"), ("b", "y"), ("c", "z")]), catalog(&[("d", "x"), ("e", "y"), ("c", "z")]));
        let chosen = catalog(&[("t_x_check1", "x")]);
        assert_eq!(following((&now, &chosen), &|_| true, &|_| true, &str::to_owned).len(), 1);
        let found = |named: &dyn Fn(&Id) -> bool| {
            let list = following((&now, &wanted), named, &|_| true, &str::to_owned);
            list.iter().map(|r| format!("{}={}", r.from.base(), r.to.base())).collect::<Vec<_>>()
        };
        assert_eq!(found(&|_| false), ["a=d", "b=e"]);
        assert_eq!(found(&|id| id.base() == "d"), ["b=e"]);
    }
}
