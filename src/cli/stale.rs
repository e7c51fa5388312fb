//! Whether a live database is still the one that a plan was made for, and what differs when it is not.

use std::collections::BTreeMap;

use super::failure::Failure;
use crate::catalog::{Catalog, fingerprint, fingerprints};
use crate::exit_code::REFUSED;
use crate::plan::Plan;

/// Names that are given of each sort.
const NAMED: usize = 5;

/// A plan that may not be run here.
pub fn stale(why: impl Into<String>) -> Failure {
    Failure::new("plan::stale", why).help("make a new plan with `plumb plan`").exit(REFUSED)
}

/// A plan that takes back what is not there.
pub fn not_there(taken_back: &str) -> Failure {
    stale(format!("this plan takes back plan {taken_back}, and the live database is as it is without that one"))
        .help("there is nothing to take back: apply that plan first if it is wanted")
}

/// Refuses when the scope of `now` is not what the plan starts from.
pub fn unchanged(plan: &Plan, now: &Catalog) -> Result<(), Failure> {
    let scope = plan.scope.of(now);
    if fingerprint(&scope) == plan.from.scope {
        return Ok(());
    }
    let mut why = match plan.short_takes_back() {
        None => "the live database is not as it was when the plan was made".to_owned(),
        Some(id) => format!("the live database is not as plan {id} leaves it, which this plan takes back"),
    };
    if now.server != plan.server {
        why += &format!("\nserver: PostgreSQL {}, then {}", crate::pg::Version(now.server), crate::pg::Version(plan.server));
    }
    if !plan.from.objects.is_empty() {
        why += &differences(&plan.from.objects, &fingerprints(&scope));
    }
    let stale = stale(why);
    Err(if plan.takes_back.is_some() {
        stale.help("make a new one with `plumb plan --reverse` before that plan is applied")
    } else {
        stale
    })
}

/// Refuses what has become another between the look at it and the first step.
pub fn changed_meanwhile(then: &Catalog, now: &Catalog) -> Failure {
    let differences = differences(&fingerprints(then), &fingerprints(now));
    stale(format!("somebody has changed the live database since it was looked at, a moment ago{differences}"))
        .help("no step was run. Take that change back and apply the plan again, or make a new one with `plumb plan`")
}

/// Lines that name what is new, gone and changed.
pub fn differences(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> String {
    let new = now.keys().filter(|name| !then.contains_key(*name)).collect();
    let gone = then.keys().filter(|name| !now.contains_key(*name)).collect();
    let changed =
        then.iter().filter(|(name, digest)| now.get(*name).is_some_and(|d| d != *digest)).map(|(name, _)| name).collect();
    [("new", new), ("gone", gone), ("changed", changed)].iter().map(|(word, names)| line(word, names)).collect()
}

fn line(word: &str, names: &Vec<&String>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(NAMED).map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    format!("\n{word}: {shown}{}", if more > 0 { format!(" and {more} more") } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let map = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let then = map(&[("table a", "1"), ("table b", "1"), ("view v", "1")]);
        let now = map(&[("table a", "1"), ("table b", "2"), ("table c", "1")]);
        assert_eq!(differences(&then, &now), "\nnew: table c\ngone: view v\nchanged: table b");
        let many = (0..9).map(|n| (format!("table t{n}"), String::new())).collect();
        assert_eq!(differences(&BTreeMap::new(), &many), "\nnew: table t0, table t1, table t2, table t3, table t4 and 4 more");
    }
}
