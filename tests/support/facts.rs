//! What a plan declares of its steps against what was seen of them.

use super::engine::Failure;
use plumb::plan::Plan;
use plumb::prove::{Observations, WEAKEST};
use std::collections::{BTreeMap, BTreeSet};

/// That locks, rewrites and scans of every step are those that it declares.
pub fn declared(plan: &Plan, seen: &Observations) -> Result<(), Failure> {
    let mut lines: Vec<String> = seen.missing.iter().map(|why| format!("not seen: {why}")).collect();
    for step in plan.steps() {
        let Some(seen) = seen.steps.get(&step.id) else { continue };
        let locks: BTreeMap<_, _> =
            step.locks.iter().filter(|l| l.mode >= WEAKEST).map(|l| (l.relation.clone(), l.mode)).collect();
        let mut differ = |what: &str, declared: String, seen: String| {
            if declared != seen {
                lines.push(format!("step {} {} {}: {what} declared {declared}, seen {seen}", step.id, step.change, step.object));
                lines.push(format!("    {}", step.sql.join("; ")));
            }
        };
        differ("locks", format!("{locks:?}"), format!("{:?}", seen.locks));
        let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        differ("rewrites", format!("{:?}", set(&step.rewrites)), format!("{:?}", seen.rewrites));
        let locked = |table: &&String| locks.contains_key(*table);
        let scans: BTreeSet<String> = set(&step.scans).iter().filter(locked).cloned().collect();
        // A partition that has its index or key already is not read again, which only the server knows.
        if !seen.scans.is_subset(&scans) {
            differ("scans", format!("{scans:?}"), format!("{:?}", seen.scans));
        }
    }
    if lines.is_empty() { Ok(()) } else { Err(Failure::new("facts", lines.join("\n"))) }
}
