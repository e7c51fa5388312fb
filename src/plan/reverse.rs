//! The way back from a step: the statements that undo it, with all that a dropped object takes along.

use std::collections::BTreeSet;

use super::build::Context;
use super::document::Reverse;
use crate::catalog::{Id, Object};
use crate::kind::{self, Absorbed, Cost, quarantine};
use crate::order::{Node, Op, Step};
use crate::statement::Statement;

/// The statements back where there are some; whole reverse plans are made by planning in the other direction.
pub fn reverse(context: &Context, step: &Step) -> Reverse {
    if step.part.is_some() || step.node.op == Op::Rename {
        let sql: Vec<String> = step.statements.iter().rev().filter_map(|s| s.back.clone()).collect();
        let why = sql.is_empty().then(|| "an earlier part takes back what this one did".to_owned());
        return Reverse { sql: Some(sql), why };
    }
    if let (Op::Drop, Some((from, to))) = (step.node.op, &step.renamed) {
        return from_quarantine(context, step, from, to);
    }
    let id = &step.node.id;
    let nothing = BTreeSet::new();
    let lost = step.statements.iter().any(|s| !s.losses.is_empty());
    let back = kind::Context { live: context.desired, desired: context.live, absorbed: &nothing };
    let statements = match step.node.op {
        Op::Create => context.desired.get(id).map(|o| (kind::of(id).drop)(&back, o)),
        Op::Alter => match (context.desired.get(id), context.live.get(id)) {
            (Some(old), Some(new)) if alters(old, new, &step.fields) => Some((kind::of(id).alter)(&back, old, new, &step.fields)),
            (Some(old), Some(new)) if kind::of(id).only_definition => {
                let drop = (kind::of(id).drop)(&back, old);
                Some(drop.into_iter().chain(rebuild(context, step, new)).collect())
            }
            _ => None,
        },
        Op::Save | Op::Restore | Op::Rename | Op::Release => None,
        Op::Drop => context.live.get(id).map(|o| rebuild(context, step, o)),
    };
    let sql: Option<Vec<String>> =
        statements.filter(|list| !list.is_empty()).map(|list| list.into_iter().map(|s| s.sql).collect());
    let why = match (&sql, lost) {
        (Some(_), true) => Some("it brings back the definition, not what it held".to_owned()),
        (None, _) => Some("PostgreSQL has no statement that takes this back".to_owned()),
        _ => None,
    };
    Reverse { sql, why }
}

/// The way back of what is put aside: its old name, and what was taken away of it. What it holds was never gone.
fn from_quarantine(context: &Context, step: &Step, from: &Id, to: &Id) -> Reverse {
    let Some(object) = context.live.get(from) else { return Reverse { sql: None, why: None } };
    let nothing = BTreeSet::new();
    let back = kind::Context { live: context.desired, desired: context.live, absorbed: &nothing };
    let mut statements = kind::rename(&Object { id: to.clone(), ..object.clone() }, to, from);
    statements.push(quarantine::unmarked(from));
    let mut without = object.clone();
    without.definition.retain(|field, _| !["not_null", "identity"].contains(&field.as_str()));
    let fields = without.changed_fields(object);
    if from.class() == "column" && !fields.is_empty() {
        statements.extend((kind::of(from).alter)(&back, &without, object, &fields));
    }
    let gone = |n: &&Node| n.op == Op::Drop && n.id != *from && quarantine::is_taken_away(context.live, from, &n.id, true);
    let mut gone: Vec<&Object> = step.with.iter().filter(gone).filter_map(|n| context.live.get(&n.id)).collect();
    gone.retain(|part| !part.flag("inherited"));
    gone.sort_by_key(|part| (kind::rank(part.id.class()), part.id.clone()));
    statements.extend(gone.iter().flat_map(|part| (kind::of(&part.id).create)(&back, part)));
    let columns = context.live.children(from).filter(|c| c.id.class() == "column" && from.class() == "table");
    let rights = std::iter::once(object).chain(columns);
    statements.extend(rights.flat_map(|o| satellites(context, &back, o)));
    let published = context.live.published.contains(&from.sql());
    let why = published.then(|| "it does not put it back into the publications that it was in".to_owned());
    Reverse { sql: Some(statements.into_iter().map(|s| s.sql).collect()), why }
}

/// Whether these fields can be changed in place in this direction: what goes one way may not go the other.
fn alters(old: &Object, new: &Object, fields: &[String]) -> bool {
    let cost = |f: &String| kind::of(&old.id).field(f).map(|f| f.cost);
    fields.iter().all(|f| match cost(f) {
        Some(Cost::Replace) | None => false,
        Some(Cost::AlterOrReplace(can_alter) | Cost::RetypeOrReplace(can_alter)) => can_alter(old, new),
        Some(_) => true,
    })
}

/// Makes a dropped object again: its CREATE with the parts that stand inside, the parts that follow it, and owner, rights and
/// comments of all of them.
fn rebuild(context: &Context, step: &Step, object: &Object) -> Vec<Statement> {
    let mut parts: Vec<&Object> = step.with.iter().filter(|n| n.op == Op::Drop).filter_map(|n| context.live.get(&n.id)).collect();
    parts.retain(|p| p.id.of().is_none() && p.id != object.id);
    parts.sort_by_key(|p| (kind::rank(p.id.class()), p.id.clone()));
    let absorbed: BTreeSet<Id> = parts.iter().map(|p| p.id.clone()).collect();
    let back = kind::Context { live: context.desired, desired: context.live, absorbed: &absorbed };
    let (inside, after): (Vec<&Object>, Vec<&Object>) = parts.into_iter().partition(|p| inside(&back, object, p));
    let mut statements = (kind::of(&object.id).create)(&back, object);
    statements.extend(inside.iter().flat_map(|p| (kind::of(&p.id).beyond_element)(p)));
    statements.extend(after.iter().flat_map(|p| (kind::of(&p.id).create)(&back, p)));
    let whole = std::iter::once(object).chain(inside).chain(after);
    statements.extend(whole.flat_map(|o| satellites(context, &back, o)));
    statements
}

/// Whether a part is written inside the CREATE of `whole` or of a part of it.
fn inside(back: &kind::Context, whole: &Object, part: &Object) -> bool {
    let kind = kind::of(&part.id);
    let of_it = part.parent.as_ref().is_some_and(|p| *p == whole.id || back.absorbed.contains(p));
    of_it && kind.absorbed == Absorbed::Inside && kind.element.is_none_or(|element| element(back, part).is_some())
}

/// What gives an object that was just made again its owner, rights and comment.
fn satellites(context: &Context, back: &kind::Context, object: &Object) -> Vec<Statement> {
    let mut own: Vec<&Object> = context.live.children(&object.id).filter(|c| c.id.of().is_some()).collect();
    own.sort_by_key(|s| (kind::rank(s.id.class()), s.id.clone()));
    let made = |satellite: &Object| {
        let kind = kind::of(&satellite.id);
        let fresh = kind.state.and_then(|state| state(context.live, object)).filter(|f| f.id == satellite.id);
        match fresh.map(|fresh| (fresh.changed_fields(satellite), fresh)) {
            Some((fields, _)) if fields.is_empty() => Vec::new(),
            Some((fields, fresh)) => (kind.alter)(back, &fresh, satellite, &fields),
            None => (kind.create)(back, satellite),
        }
    };
    own.into_iter().flat_map(made).collect()
}
