//! What is probably a rename and was not declared: something goes, something comes in its place, and both are the same but for the
//! name.

use std::collections::BTreeMap;

use super::compare::{Action, Changes};
use crate::catalog::{Catalog, Id, Object, digest};
use crate::kind;

/// Something new, and what goes and is like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What is new.
    pub new: Id,
    /// What goes: more than one where nobody can tell which it was.
    pub old: Vec<Id>,
    /// Whether other new things are like it too.
    pub others: bool,
}

/// Classes whose definitions say nothing of their own names, so that two of them can be told to be the same.
const ALIKE: &[&str] = &[
    "table",
    "column",
    "sequence",
    "enum",
    "composite type",
    "domain",
    "range type",
    "view",
    "materialized view",
    "index",
    "primary key",
    "unique",
    "check",
    "foreign key",
    "exclusion",
    "policy",
];

/// All proposals, in the order of what is new.
pub fn proposals(changes: &Changes, live: &Catalog, desired: &Catalog) -> Vec<Proposal> {
    let mut alike: BTreeMap<String, (Vec<Id>, Vec<Id>)> = BTreeMap::new();
    for change in changes.list.values().filter(|c| ALIKE.contains(&c.id.class())) {
        match change.action {
            Action::Drop => {
                if let Some(key) = change.old.as_ref().and_then(|o| key(live, o, desired)) {
                    alike.entry(key).or_default().0.push(change.id.clone());
                }
            }
            Action::Create => {
                if let Some(key) = change.new.as_ref().and_then(|o| key(desired, o, live)) {
                    alike.entry(key).or_default().1.push(change.id.clone());
                }
            }
            Action::Alter(_) | Action::Replace => {}
        }
    }
    let mut found: Vec<Proposal> = Vec::new();
    for (old, new) in alike.into_values().filter(|(old, new)| !old.is_empty() && !new.is_empty()) {
        let others = new.len() > 1;
        found.extend(new.into_iter().map(|new| Proposal { new, old: old.clone(), others }));
    }
    found.extend(changes.list.values().filter_map(|c| member(c.old.as_ref()?, c.new.as_ref()?)));
    found.sort_by(|a, b| a.new.cmp(&b.new));
    found
}

/// What makes two of them the same: the definition, and of a relation its columns; in what stands on the other side too.
fn key(side: &Catalog, object: &Object, other: &Catalog) -> Option<String> {
    let class = object.id.class();
    if object.parent.as_ref().is_some_and(|p| !other.contains(p)) || object.flag("inherited") {
        return None;
    }
    let mut columns: Vec<String> = side
        .children(&object.id)
        .filter(|c| c.id.class() == "column")
        .map(|c| format!("{} {}", c.id.base(), own(side, c)))
        .collect();
    columns.sort();
    let whole = object.parent.as_ref().map_or_else(String::new, ToString::to_string);
    Some(format!("{class} {whole} {} {}", own(side, object), columns.join(",")))
}

/// A definition; that of a column with its default.
fn own(side: &Catalog, object: &Object) -> String {
    let default = side.get(&object.id.as_class("default")).filter(|_| object.id.class() == "column");
    digest(&(&object.definition, default.map(|d| &d.definition)))
}

/// The one label, or the one attribute, that stands where another one stood.
fn member(old: &Object, new: &Object) -> Option<Proposal> {
    let (before, after) = (kind::parts_with_names(old), kind::parts_with_names(new));
    let gone: Vec<&Id> = before.iter().filter(|id| !after.contains(id)).collect();
    let come: Vec<&Id> = after.iter().filter(|id| !before.contains(id)).collect();
    let ([old_part], [new_part]) = (gone.as_slice(), come.as_slice()) else { return None };
    let place = |list: &[Id], id: &Id| list.iter().position(|other| other == id);
    let attribute = |o: &Object, id: &Id| o.definition.get("attributes").and_then(|a| a.get(id.base())).cloned();
    let same = match old_part.class() {
        kind::LABEL => before.len() == after.len() && place(&before, old_part) == place(&after, new_part),
        "attribute" => attribute(old, old_part) == attribute(new, new_part),
        _ => false,
    };
    same.then(|| Proposal { new: (*new_part).clone(), old: vec![(*old_part).clone()], others: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::compare;
    use serde_json::json;

    fn object(id: Id, parent: Option<&Id>, definition: serde_json::Value) -> Object {
        let definition = definition.as_object().cloned().unwrap_or_default();
        Object { id, parent: parent.cloned(), definition, detail: Default::default() }
    }

    /// Tables of columns of a type.
    fn catalog(tables: &[(&str, &[(&str, &str)])]) -> Catalog {
        let mut all = Vec::new();
        for (name, columns) in tables {
            let table = Id::new("table", ["s", name]);
            let column = |(c, of): &(&str, &str)| object(table.part("column", c), Some(&table), json!({ "type": of }));
            all.extend(columns.iter().map(column));
            all.push(object(table, None, json!({})));
        }
        Catalog::new(all, [])
    }

    fn found(before: &[(&str, &[(&str, &str)])], after: &[(&str, &[(&str, &str)])]) -> Vec<String> {
        let (live, desired) = (catalog(before), catalog(after));
        let shown = |p: &Proposal| format!("{}={}", p.old.iter().map(Id::base).collect::<Vec<_>>().join("|"), p.new.base());
        proposals(&compare(&live, &desired, &live), &live, &desired).iter().map(shown).collect()
    }

    #[test]
    fn what_is_the_same_in_the_same_place_is_proposed() {
        let t = |columns: &'static [(&str, &str)]| ("t", columns);
        assert_eq!(found(&[t(&[("a", "int"), ("b", "text")])], &[t(&[("x", "int"), ("b", "text")])]), ["a=x"]);
        assert_eq!(found(&[t(&[("a", "int")])], &[t(&[("x", "text")])]), [""; 0]);
        assert_eq!(found(&[t(&[("a", "int"), ("b", "int")])], &[t(&[("x", "int")])]), ["a|b=x"]);
        assert_eq!(found(&[t(&[("a", "int")])], &[("u", &[("a", "int")])]), ["t=u"]);
    }
}
