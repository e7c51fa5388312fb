//! What a plan declares of its steps against what was seen of them.

use super::engine::{Failure, Side, make, plan_to};
use super::server;
use plumb::kind;
use plumb::plan::{Made, Plan, Proof, Sides};
use plumb::prove::{Observations, WEAKEST, prove};
use plumb::shadow::Properties;
use plumb::statement::Online;
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

/// What was seen of a plan on a copy of a database, when it was proven there.
pub async fn proof(database: &str, sides: &Sides, made: &Made) -> Result<Observations, Failure> {
    let failed = |e: String| Failure::new("proof", e);
    let session = server::session(database).await;
    let properties = Properties::read(&session).await.unwrap();
    session.close().await;
    let mut roles = kind::roles(&sides.whole);
    roles.extend(kind::roles(&sides.desired));
    let scratch = server::scratch(&properties, &sides.whole.role, &roles).await;
    let outcome = prove(scratch, sides, made, true).await;
    let outcome = outcome.map_err(|e| failed(e.to_string()))?;
    match outcome.proof {
        Proof::Equal { .. } => Ok(outcome.observations),
        Proof::Unproven { reason } => Err(failed(reason)),
    }
}

/// That the plan from one state to another is proven, and that its steps do what they declare; as well in online forms, where there
/// are such.
pub async fn hold(live: &Side, desired: &Side) -> Result<(), Failure> {
    let (sides, direct) = plan_to(live, desired).await?;
    if direct.plan.is_empty() {
        return Ok(());
    }
    declared(&direct.plan, &proof(&live.database, &sides, &direct).await?)?;
    let sides = Sides { online: Online::Always, ..sides };
    let online = make(&sides)?;
    if online.plan.id == direct.plan.id {
        return Ok(());
    }
    let in_parts = |f: Failure| Failure { message: format!("in online forms: {}", f.message), ..f };
    declared(&online.plan, &proof(&live.database, &sides, &online).await.map_err(in_parts)?).map_err(in_parts)
}
