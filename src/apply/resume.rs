//! Where a plan that was broken off goes on, and what is there of a step that nobody saw the end of. Pure.

use std::collections::BTreeSet;

use super::ledger::Deployment;
use crate::catalog::{Catalog, Id};
use crate::plan::{Group, Plan};

/// A plan cut at the first group that is not done.
pub struct Cut<'a> {
    /// The groups that are done, in order.
    pub done: &'a [Group],
    /// Those that are not.
    pub left: &'a [Group],
    /// Whether the first of these began outside a transaction and may have come to its end.
    pub in_doubt: bool,
}

impl Cut<'_> {
    /// The last step that is done for sure; 0 when there is none.
    pub fn last_done(&self) -> u32 {
        self.done.last().and_then(|g| g.steps.last()).map_or(0, |s| s.id)
    }
}

/// Cuts a plan where its deployment was broken off. A group is done when all its steps are: those in one transaction are so together,
/// and outside of one each step is a group.
pub fn cut<'a>(plan: &'a Plan, deployment: &Deployment) -> Cut<'a> {
    let done = |g: &&Group| g.steps.iter().all(|s| deployment.done.contains(&s.id));
    let at = plan.groups.iter().take_while(done).count();
    let (done, left) = plan.groups.split_at(at);
    let in_doubt = left.first().is_some_and(|g| g.steps.iter().any(|s| deployment.in_doubt.contains(&s.id)));
    Cut { done, left, in_doubt }
}

/// The objects that stand otherwise in `found` than in `wanted`, outermost first.
pub fn differing(found: &Catalog, wanted: &Catalog) -> BTreeSet<Id> {
    let ids = found.objects().chain(wanted.objects()).map(|o| &o.id);
    ids.filter(|id| !found.agrees(wanted, id)).cloned().collect()
}

/// What `before` becomes when it changes as a copy of it has changed, from `first` to `then`: what stays as it is on the copy stays as
/// it is, whatever the copy's server makes of its texts.
pub fn carried(before: &Catalog, first: &Catalog, then: &Catalog) -> Catalog {
    let objects = then.objects().map(|o| match (first.agrees(then, &o.id), before.get(&o.id)) {
        (true, Some(old)) => old.clone(),
        _ => o.clone(),
    });
    Catalog::new(objects.collect(), std::iter::empty()).with_header(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Object;
    use serde_json::{Map, json};

    fn catalog(objects: &[(&str, &str)]) -> Catalog {
        let object = |(name, text): &(&str, &str)| {
            let mut definition = Map::new();
            definition.insert("text".to_owned(), json!(text));
            Object { id: Id::new("view", ["public", name]), parent: None, definition, detail: Map::new() }
        };
        Catalog::new(objects.iter().map(object).collect(), std::iter::empty())
    }

    #[test]
    fn what_a_copy_shows_is_carried_over() {
        let live = catalog(&[("stays", "live's words"), ("changes", "old"), ("goes", "x")]);
        let first = catalog(&[("stays", "copy's words"), ("changes", "old"), ("goes", "x")]);
        let then = catalog(&[("stays", "copy's words"), ("changes", "new"), ("comes", "y")]);
        let expected = catalog(&[("stays", "live's words"), ("changes", "new"), ("comes", "y")]);
        assert!(differing(&carried(&live, &first, &then), &expected).is_empty());
        let names: Vec<String> = differing(&live, &expected).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["view public.changes", "view public.comes", "view public.goes"]);
    }
}
