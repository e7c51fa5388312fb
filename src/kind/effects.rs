//! What several kinds say of a change beyond the object itself: names that go, rows that nobody can tell apart any more.

use super::Context;
use crate::catalog::{Catalog, Id, Object};
use crate::statement::Effect;

/// A name that code may use goes away.
pub fn gone(_: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    old.filter(|_| new.is_none()).map(|o| Effect::Gone(o.id.to_string())).into_iter().collect()
}

/// A published table loses what its rows are told apart by: updates and deletions fail from then on.
pub fn unidentified(context: &Context, old: Option<&Object>, new: Option<&Object>) -> Vec<Effect> {
    let Some(object) = old.or(new) else { return Vec::new() };
    let table = if object.id.class() == "table" { Some(&object.id) } else { object.parent.as_ref() };
    let Some(table) = table.filter(|t| context.live.published.contains(&t.sql())) else { return Vec::new() };
    let lost = context.desired.contains(table) && is_identified(context.live, table) && !is_identified(context.desired, table);
    lost.then(|| Effect::Unidentified(table.sql())).into_iter().collect()
}

/// Whether the table has a replica identity that works: what it says, else its primary key.
fn is_identified(catalog: &Catalog, table: &Id) -> bool {
    match catalog.get(table).map(|t| t.text("replica_identity")) {
        Some("n") | None => false,
        Some("f") => true,
        Some("i") => catalog.children(table).any(|c| c.flag("replica_identity")),
        Some(_) => catalog.children(table).any(|c| c.id.class() == "primary key"),
    }
}
