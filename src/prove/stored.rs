//! A plan that somebody has kept, and perhaps edited, on a fresh copy of the live schema.

use std::collections::BTreeMap;

use super::copy::{copy, run_as};
use super::observe::{Observations, observe};
use super::run::{ProveError, differences, refused};
use super::settle::{candidates, settle};
use crate::catalog::{Catalog, fingerprint, fingerprints};
use crate::introspect::{IntrospectError, Seen, introspect_beside};
use crate::plan::Plan;
use crate::shadow::Scratch;

/// What the proof found.
pub struct Stored {
    /// Why the plan is not proven; nothing when it is.
    pub doubt: Option<String>,
    /// What each step was seen to do, where that was asked for.
    pub observations: Observations,
}

/// Names that are given of each sort.
const NAMED: usize = 5;

/// Runs a plan that starts from `live` in an empty scratch database, which is gone afterwards: in the groups that `apply` runs and,
/// where it is to be `watched`, on a second copy step by step.
///
/// # Errors
/// When the scratch database cannot be read.
pub async fn stored(scratch: Scratch, live: &Catalog, plan: &Plan, watched: bool) -> Result<Stored, ProveError> {
    let unseen = |doubt| Stored { doubt, observations: Observations::default() };
    if let Some(doubt) = copied(&scratch, live).await? {
        scratch.drop().await?;
        return Ok(unseen(Some(doubt)));
    }
    if !watched {
        let doubt = ends(&scratch, live, plan).await;
        scratch.drop().await?;
        return Ok(unseen(doubt?));
    }
    let (scratch, twin) = scratch.twins().await?;
    let (doubt, observations) = match twin {
        Ok(twin) => {
            let found = tokio::join!(ends(&scratch, live, plan), observe(&twin, &plan.groups));
            twin.drop().await?;
            found
        }
        Err(error) => {
            let observations = Observations { missing: Some(error.to_string()), ..Observations::default() };
            (ends(&scratch, live, plan).await, observations)
        }
    };
    scratch.drop().await?;
    Ok(Stored { doubt: doubt?, observations })
}

async fn copied(scratch: &Scratch, live: &Catalog) -> Result<Option<String>, IntrospectError> {
    if let Err(e) = copy(scratch, live).await? {
        return Ok(Some(format!("no copy of the live schema could be made: {e}")));
    }
    let before = introspect_beside(&scratch.session, &Seen::default()).await?;
    let differs = differences(scratch, &before, live).await?;
    Ok(differs.map(|text| format!("the copy of the live schema differs from it: {text}")))
}

/// Runs the groups; why they do not end in the plan's `to`.
async fn ends(scratch: &Scratch, live: &Catalog, plan: &Plan) -> Result<Option<String>, IntrospectError> {
    for group in &plan.groups {
        if let Err(failed) = run_as(scratch, group).await {
            return Ok(Some(refused(&failed)));
        }
    }
    let mut after = plan.scope.of(&introspect_beside(&scratch.session, &Seen::default()).await?);
    if fingerprint(&after) == plan.to {
        return Ok(None);
    }
    // What stays keeps the text that it has now, which only deparsing writes in another way.
    let pairs = candidates(&after, live);
    let equal = settle(&scratch.session, &after, &pairs).await?.equal;
    after.put(live.objects().filter(|o| equal.contains(&o.id)).cloned());
    if fingerprint(&after) == plan.to {
        return Ok(None);
    }
    Ok(Some(format!("run on a copy, the plan does not end in its `to`{}", otherwise(plan, &after))))
}

/// Lines that name the objects in which a catalog, cut to the plan's scope, is not as the plan says of its end. Nothing where the plan does not
/// say it of each object.
pub fn otherwise(plan: &Plan, found: &Catalog) -> String {
    let mut wanted = plan.from.objects.clone();
    wanted.extend(plan.to_objects.clone());
    wanted.retain(|_, print| !print.is_empty());
    if plan.to_objects.is_empty() { String::new() } else { named(&wanted, &fingerprints(found)) }
}

/// The objects in which the end differs from what was planned.
fn named(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> String {
    let missing = wanted.keys().filter(|name| !found.contains_key(*name)).collect();
    let more = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
    let other = wanted.iter().filter(|(name, print)| found.get(*name).is_some_and(|f| f != *print)).map(|(n, _)| n).collect();
    let sorts: [(&str, Vec<&String>); 3] = [("missing", missing), ("there and not planned", more), ("not as planned", other)];
    let one = |(words, names): &(&str, Vec<&String>)| {
        let shown = names.iter().take(NAMED).map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
        let left = names.len().saturating_sub(NAMED);
        (!names.is_empty())
            .then(|| format!("\n  {words}: {shown}{}", if left > 0 { format!(" and {left} more") } else { String::new() }))
    };
    sorts.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let map = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let wanted = map(&[("table a", "1"), ("table b", "1"), ("view v", "1")]);
        let found = map(&[("table a", "1"), ("table b", "2"), ("table c", "1")]);
        assert_eq!(named(&wanted, &found), "\n  missing: view v\n  there and not planned: table c\n  not as planned: table b");
    }
}
