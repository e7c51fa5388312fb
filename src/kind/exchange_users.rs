//! What stands on a column that is exchanged for another one.

use super::{Context, carries};
use crate::catalog::{Catalog, Id, Object};
use crate::sql::ident;

/// What is built over the new column while the old one is in use, and then put in the place of the old one's.
pub const BUILT: &[&str] = &["primary key", "unique", "index"];
/// What goes and comes back in the transaction of the exchange, where it is the same before and after; otherwise, and like everything
/// else that the server does not carry over to another type, it is taken down and built up by steps of its own.
pub const AGAIN: &[&str] = &["check", "foreign key"];
/// What goes with the column and comes with the new one.
pub const OWN: &[&str] = &["default", "owned by", "identity sequence", "comment", "grant"];

/// What uses the column, or a key that it is in, each once.
fn users<'c>(context: &Context<'c>, column: &Id) -> Vec<&'c Id> {
    let using = |id: &Id| context.live.used_by(id).iter().map(|(user, _)| user).filter(|u| !OWN.contains(&u.class()));
    let mut all: Vec<&Id> = using(column).collect();
    let keys: Vec<&Id> = all.iter().copied().filter(|u| BUILT.contains(&u.class())).collect();
    all.extend(keys.into_iter().flat_map(using));
    all.sort_by_key(|id| (super::rank(id.class()), (*id).clone()));
    all.dedup();
    all
}

/// The keys and indexes that are built over the new column.
pub fn built<'c>(context: &Context<'c>, column: &Id) -> Vec<&'c Id> {
    users(context, column).into_iter().filter(|id| BUILT.contains(&id.class())).collect()
}

/// What goes and comes back in the transaction of the exchange.
pub fn again<'c>(context: &Context<'c>, old: &Object, new: &Object) -> Vec<&'c Id> {
    let carried = |id: &Id| context.live.get(id).is_some_and(|o| carries(o, old, new));
    users(context, &old.id).into_iter().filter(|id| AGAIN.contains(&id.class()) && same(context, id) && carried(id)).collect()
}

/// Why what uses the column stands in the way of an exchange.
pub fn in_the_way(context: &Context, old: &Object, new: &Object) -> Option<String> {
    let column = &old.id;
    const NEVER: &[&str] = &["column", "exclusion", "materialized view"];
    users(context, column).into_iter().find_map(|user| {
        if NEVER.contains(&user.class()) {
            return Some(format!("{user} uses it"));
        }
        let key = context.live.get(user).filter(|_| BUILT.contains(&user.class()))?;
        if !same(context, user) {
            return Some(format!("{user} changes in the same plan"));
        }
        let retyped = |id: &&Id| {
            let is = |side: &Catalog| side.get(id).map(|o| (o.text("type").to_owned(), o.text("collation").to_owned()));
            id.class() == "column" && *id != column && is(context.live) != is(context.desired)
        };
        if let Some(other) = context.live.uses(user).iter().map(|(id, _)| id).find(retyped) {
            return Some(format!("{user} is over {other} as well, which changes its type too: one plan for each does it"));
        }
        let put_in_place = carries(key, old, new) && over(key, column, "x").is_some();
        (!put_in_place).then(|| format!("{user} computes something, or has a condition on it"))
    })
}

/// Whether an object is the same on both sides, with what belongs to it.
pub fn same(context: &Context, id: &Id) -> bool {
    let definition = |side: &Catalog| side.get(id).map(|o| o.definition.clone());
    let own = |side| satellites(side, id).into_iter().map(|o| (o.id.clone(), o.definition.clone())).collect::<Vec<_>>();
    definition(context.live) == definition(context.desired) && own(context.live) == own(context.desired)
}

/// The objects that belong to another one: its comment, the comment of its index.
pub fn satellites<'c>(catalog: &'c Catalog, id: &Id) -> Vec<&'c Object> {
    let own = catalog.children(id).filter(|c| ["comment", "constraint index"].contains(&c.id.class()));
    let mut all: Vec<&Object> = own.flat_map(|c| std::iter::once(c).chain(catalog.children(&c.id))).collect();
    all.retain(|o| o.id.class() != "constraint index");
    all.sort_by_key(|o| &o.id);
    all
}

/// A key or an index as it is over a column of another name; none where that name would have to be found in an expression, or where it
/// cannot be built before it is needed.
pub fn over(object: &Object, column: &Id, name: &str) -> Option<Object> {
    if object.flag("without_overlaps") {
        return None;
    }
    let base = column.base();
    let mut changed = object.clone();
    for field in ["columns", "include"].into_iter().filter(|f| object.definition.contains_key(*f)) {
        let list = object.texts(field).into_iter().map(|c| if c == base { name.to_owned() } else { c });
        changed.definition.insert(field.to_owned(), list.collect::<Vec<_>>().into());
    }
    if object.id.class() == "index" {
        let body = in_lists(object.text("body"), &ident(base), &ident(name))?;
        changed.definition.insert("body".to_owned(), body.into());
    }
    (!object.text("predicate").contains(base)).then_some(changed)
}

/// A name in the lists of columns of an index (`USING btree (a, b DESC) INCLUDE (c)`) in the place of another one; none where a
/// list has an expression.
fn in_lists(body: &str, from: &str, to: &str) -> Option<String> {
    let (mut text, mut rest) = (String::new(), body);
    let (mut depth, mut begins) = (0, false);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' | ',' | ' ' => 1,
            '"' => quoted_end(rest)?,
            _ => rest.find(['(', ')', ',', ' ', '"']).unwrap_or(rest.len()),
        };
        let (piece, after) = rest.split_at(end);
        match first {
            '(' if depth == 1 => return None,
            '(' => (depth, begins) = (1, true),
            ')' => depth = 0,
            ',' => begins = true,
            ' ' => {}
            _ => {
                text += if depth == 1 && begins && piece == from { to } else { piece };
                (begins, rest) = (false, after);
                continue;
            }
        }
        text += piece;
        rest = after;
    }
    Some(text)
}

/// Where a quoted name ends with which a text begins. Two quotes in it stand for one.
fn quoted_end(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find('"')? + 1;
        if !text[at..].starts_with('"') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_an_index_lists_its_columns() {
        let cases = [
            ("USING btree (a, b DESC) INCLUDE (a)", "a", Some("USING btree (x, b DESC) INCLUDE (x)")),
            ("USING btree (b, a text_pattern_ops DESC)", "a", Some("USING btree (b, x text_pattern_ops DESC)")),
            (
                "USING btree (\"a, b\", \"A\"\"(\") NULLS NOT DISTINCT",
                "\"A\"\"(\"",
                Some("USING btree (\"a, b\", x) NULLS NOT DISTINCT"),
            ),
            ("USING btree (\"x, a, y\")", "a", Some("USING btree (\"x, a, y\")")),
            ("USING btree (btree COLLATE \"C\")", "btree", Some("USING btree (x COLLATE \"C\")")),
            ("USING btree (lower(a))", "a", None),
        ];
        for (body, from, wanted) in cases {
            assert_eq!(in_lists(body, from, "x").as_deref(), wanted, "{body}");
        }
    }
}
