//! The proof: a copy of the live schema, the plan's groups on it, and the question whether it ends where the plan says.

use std::collections::{BTreeMap, BTreeSet};

use super::copy::{copy, run_as};
use super::observe::{Observations, observe};
use super::settle::{candidates, settle};
use crate::apply::run::StepFailed;
use crate::catalog::{Catalog, Id, fingerprint};
use crate::change::compare;
use crate::introspect::{IntrospectError, Seen, introspect_beside};
use crate::pg;
use crate::plan::{Made, Proof, Sides};
use crate::shadow::{Scratch, ShadowError};
use crate::source::bodies;

/// What the proof found.
pub struct Outcome {
    /// The verdict for the plan document.
    pub proof: Proof,
    /// The fingerprint that the live database will have after the plan; none when it was not proven.
    pub to: Option<String>,
    /// The copy as the plan left it, all of it, when it ended where it should.
    pub after: Option<Catalog>,
    /// What each step was seen to do.
    pub observations: Observations,
    /// Routines whose bodies worked before the plan and do not after it, in sentences.
    pub warnings: Vec<String>,
}

fn unproven(reason: String) -> Outcome {
    Outcome {
        proof: Proof::Unproven { reason },
        to: None,
        after: None,
        observations: Observations::default(),
        warnings: Vec::new(),
    }
}

/// Why a proof came to no end.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The copy cannot be read.
    #[error(transparent)]
    Introspect(#[from] IntrospectError),
    /// The scratch database is lost.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
}

/// Proves a plan in an empty scratch database, which is gone afterwards: on one copy of the live schema in the groups that `apply`
/// runs and, where it is to be `observed`, on another one step by step.
///
/// # Errors
/// When the scratch database cannot be read; everything that is wrong with the plan is an [`Outcome`].
pub async fn prove(scratch: Scratch, sides: &Sides, made: &Made, observed: bool) -> Result<Outcome, ProveError> {
    let seen = Seen::default();
    if let Some(reason) = copied(&scratch, sides, &seen).await? {
        scratch.drop().await?;
        return Ok(unproven(reason));
    }
    let broken = broken(&scratch).await;
    if !observed {
        let outcome = run(&scratch, sides, made, &seen, &broken).await;
        scratch.drop().await?;
        return Ok(outcome?);
    }
    let (scratch, twin) = scratch.twins().await?;
    let outcome = match twin {
        Ok(twin) => {
            let groups = &made.plan.groups;
            let (outcome, observations) = tokio::join!(run(&scratch, sides, made, &seen, &broken), observe(&twin, groups));
            twin.drop().await?;
            outcome.map(|outcome| Outcome { observations, ..outcome })
        }
        Err(error) => {
            let observations = Observations { missing: Some(error.to_string()), ..Observations::default() };
            run(&scratch, sides, made, &seen, &broken).await.map(|outcome| Outcome { observations, ..outcome })
        }
    };
    scratch.drop().await?;
    Ok(outcome?)
}

/// Makes the copy; what is wrong with it, if anything is.
async fn copied(scratch: &Scratch, sides: &Sides, seen: &Seen) -> Result<Option<String>, IntrospectError> {
    if let Err(e) = copy(scratch, &sides.whole).await? {
        return Ok(Some(format!("no copy of the live schema could be made: {e}")));
    }
    let before = introspect_beside(&scratch.session, seen).await?;
    let differs = differences(scratch, &before, &sides.whole).await?;
    Ok(differs.map(|text| format!("the copy of the live schema differs from it: {text}")))
}

/// Runs the plan as `apply` does, and looks where it ends.
async fn run(
    scratch: &Scratch,
    sides: &Sides,
    made: &Made,
    seen: &Seen,
    broken: &BTreeMap<String, String>,
) -> Result<Outcome, IntrospectError> {
    for group in &made.plan.groups {
        if let Err(failed) = run_as(scratch, group).await {
            return Ok(unproven(refused(&failed)));
        }
    }
    let whole = introspect_beside(&scratch.session, seen).await?;
    let after = sides.scope.of(&whole);
    if let Some(text) = differences(scratch, &after, &sides.desired).await? {
        return Ok(unproven(format!("run on a copy, the plan does not end in the wanted schema: {text}")));
    }
    let touched: BTreeSet<&Id> = made.changes.list.keys().collect();
    let mut to = sides.desired.clone();
    to.put(after.objects().filter(|o| touched.contains(&o.id)).cloned());
    let proof =
        Proof::Equal { server: scratch.session.version.0, copy: "built from the live catalog in an empty database".to_owned() };
    let warnings = newly_broken(broken, scratch).await;
    let to = Some(fingerprint(&to));
    Ok(Outcome { proof, to, after: Some(whole), observations: Observations::default(), warnings })
}

/// The routines of the copy whose bodies are not accepted; the server has no dependencies of quoted bodies, so only their
/// languages can tell. Asked in a session of its own: plpgsql keeps what it has compiled for as long as one lasts.
async fn broken(scratch: &Scratch) -> BTreeMap<String, String> {
    let found = match pg::connect(&scratch.session.target).await {
        Ok(session) => {
            let found = bodies::broken(&session.client).await.map_err(|problem| problem.message);
            session.close().await;
            found
        }
        Err(error) => Err(error.to_string()),
    };
    found.unwrap_or_else(|words| {
        tracing::warn!("bodies were not checked: {words}");
        BTreeMap::new()
    })
}

async fn newly_broken(before: &BTreeMap<String, String>, scratch: &Scratch) -> Vec<String> {
    let new = broken(scratch).await.into_iter().filter(|(routine, _)| !before.contains_key(routine));
    new.map(|(routine, words)| format!("{routine} does not work after this plan: {words}")).collect()
}

fn refused(failed: &StepFailed) -> String {
    format!("on the copy, step {} ({}) fails: {}", failed.step, failed.object, failed.message)
}

/// The objects that differ in more than how the server writes an expression; none when there is no such.
async fn differences(scratch: &Scratch, found: &Catalog, wanted: &Catalog) -> Result<Option<String>, IntrospectError> {
    let pairs = candidates(found, wanted);
    let equal = settle(&scratch.session, found, &pairs).await?.equal;
    let mut wanted = wanted.clone();
    wanted.put(found.objects().filter(|o| equal.contains(&o.id)).cloned());
    let changes = compare(found, &wanted, found);
    let mut names: Vec<String> = changes.list.values().map(|c| format!("{} ({})", c.id, c.reason)).collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Ok((!names.is_empty()).then(|| names.join("; ")))
}
