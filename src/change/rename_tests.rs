use super::*;
use crate::catalog::Object;
use serde_json::json;

fn table(name: &str, columns: &[&str]) -> Vec<Object> {
    let id = Id::new("table", ["s", name]);
    let object = |id: Id, parent: Option<Id>, definition: serde_json::Value| Object {
        id,
        parent,
        definition: definition.as_object().cloned().unwrap_or_default(),
        detail: Default::default(),
    };
    let column = |c: &&str| object(id.part("column", c), Some(id.clone()), json!({ "type": "text" }));
    std::iter::once(object(id.clone(), None, json!({}))).chain(columns.iter().map(column)).collect()
}

fn catalog(tables: &[(&str, &[&str])]) -> Catalog {
    Catalog::new(tables.iter().flat_map(|(name, columns)| table(name, columns)).collect(), [])
}

fn bare(names: &str) -> Catalog {
    let list: Vec<(&str, &[&str])> = names.split_whitespace().map(|n| (n, &[][..])).collect();
    catalog(&list)
}

/// Pairs `old=new` in this order.
fn asked(pairs: &str) -> Vec<Asked> {
    let id = |name: &str| Id::new("table", ["s", name]);
    let one = |(by, pair): (usize, &str)| {
        let (old, new) = pair.split_once('=').expect("a pair");
        Asked { new: id(new), old: id(old), by, once: false }
    };
    pairs.split_whitespace().enumerate().map(one).collect()
}

fn done(now: &Catalog, wanted: &Catalog, pairs: &str) -> Result<String, Vec<Wrong>> {
    let one = |r: &Rename| format!("{}={}", r.from.base(), r.to.base());
    let (list, wrong) = renames(now, wanted, &asked(pairs));
    if wrong.is_empty() { Ok(list.iter().map(one).collect::<Vec<_>>().join(" ")) } else { Err(wrong) }
}

#[test]
fn one_name_stands_or_none_or_both() {
    let wanted = bare("b");
    assert_eq!(done(&bare("a"), &wanted, "a=b"), Ok("a=b".to_owned()));
    assert_eq!(done(&bare("b"), &wanted, "a=b"), Ok(String::new()));
    assert_eq!(done(&bare("c"), &wanted, "a=b"), Err(vec![Wrong::Missing(0)]));
    assert_eq!(done(&bare("a b"), &wanted, "a=b"), Err(vec![Wrong::Both(0)]));
    assert_eq!(done(&bare("a b"), &bare("a b"), "a=b"), Ok(String::new()));
    assert_eq!(done(&bare("a"), &bare("b c"), "a=b a=c"), Err(vec![Wrong::Twice(0, 1)]));
    assert_eq!(done(&bare("a"), &bare("a"), "a=a"), Err(vec![Wrong::Same(0)]));
}

#[test]
fn a_database_may_be_behind_by_two_names() {
    let wanted = bare("c");
    assert_eq!(done(&bare("a"), &wanted, "a=c b=c"), Ok("a=c".to_owned()));
    assert_eq!(done(&bare("b"), &wanted, "a=c b=c"), Ok("b=c".to_owned()));
    assert_eq!(done(&bare("c"), &wanted, "a=c b=c"), Ok(String::new()));
    assert_eq!(done(&bare("a b"), &wanted, "a=c b=c"), Err(vec![Wrong::Twice(0, 1)]));
}

#[test]
fn a_chain_begins_at_its_end_and_is_done_once() {
    let wanted = bare("b c d");
    assert_eq!(done(&bare("a b c"), &wanted, "a=b b=c c=d"), Ok("c=d b=c a=b".to_owned()));
    assert_eq!(done(&bare("b c d"), &wanted, "a=b b=c c=d"), Ok(String::new()));
    assert_eq!(done(&bare("a b c d"), &wanted, "a=b b=c c=d"), Err(vec![Wrong::Both(0)]));
}

#[test]
fn names_go_round_once() {
    let (x, y): (&[&str], &[&str]) = (&["x"], &["y"]);
    let (before, after) = (catalog(&[("a", x), ("b", y)]), catalog(&[("a", y), ("b", x)]));
    let around = "a=a__plumb_aside b=a a__plumb_aside=b".to_owned();
    assert_eq!(done(&before, &after, "a=b b=a"), Ok(around.clone()));
    assert_eq!(done(&after, &after, "a=b b=a"), Ok(String::new()));
    // Nobody can tell.
    let alike = bare("a b");
    assert_eq!(done(&alike, &alike, "a=b b=a"), Err(vec![Wrong::Round(0)]));
    let once: Vec<Asked> = asked("a=b b=a").into_iter().map(|a| Asked { once: true, ..a }).collect();
    assert_eq!(renames(&alike, &alike, &once).0.len(), 3);
}
