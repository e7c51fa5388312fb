//! The proof: a copy of the live schema, the plan's groups on it, and the question whether it ends where the plan says.

use std::collections::{BTreeMap, BTreeSet};

use super::copy::{copy, run_as};
use super::observe::{Observations, observe};
use super::settle::{candidates, settle};
use crate::apply::run::{StepFailed, server_message};
use crate::catalog::{Catalog, Id, fingerprint, fingerprints};
use crate::change::compare;
use crate::introspect::{IntrospectError, Seen, introspect_beside};
use crate::kind;
use crate::pg;
use crate::plan::{Made, Proof, Sides};
use crate::shadow::{Scratch, ShadowError};
use crate::source::{bodies, plpgsql_check};

/// What the proof found.
pub struct Outcome {
    /// The verdict for the plan document.
    pub proof: Proof,
    /// The fingerprint that the live database will have after the plan, and those of its objects; none when it was not proven.
    pub to: Option<(String, BTreeMap<String, String>)>,
    /// The copy as the plan left it, all of it, when it ended where it should.
    pub after: Option<Catalog>,
    /// What each step was seen to do.
    pub observations: Observations,
    /// The step that the copy refused.
    pub failed: Option<StepFailed>,
    /// Routines whose bodies worked before the plan and do not after it, in sentences.
    pub warnings: Vec<String>,
}

/// How the copy of a live schema is made.
pub const COPY: &str = "built from the live catalog in an empty database";

/// No proof, and why.
pub fn unproven(reason: String) -> Outcome {
    Outcome {
        proof: Proof::Unproven { reason },
        to: None,
        after: None,
        observations: Observations::default(),
        failed: None,
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

/// The copy of a live schema: one on which a plan runs in the groups of `apply` and, where it is to be observed, another one for
/// its steps one by one.
pub struct Copied {
    scratch: Scratch,
    /// None where nothing is to be observed; else the second one, or why there is none.
    twin: Option<Result<Scratch, ShadowError>>,
    seen: Seen,
    before: Wrong,
}

impl Copied {
    /// Takes both away.
    async fn drop(self) -> Result<(), ShadowError> {
        if let Some(Ok(twin)) = self.twin {
            twin.drop().await?;
        }
        self.scratch.drop().await
    }
}

/// Makes a copy of a live schema in an empty scratch database; what is wrong with it, if anything is. What was `seen` before, of the
/// live database most of all, is read with less work.
///
/// # Errors
/// When the scratch database cannot be read.
pub async fn build_copy(scratch: &Scratch, whole: &Catalog, seen: &Seen) -> Result<Option<String>, IntrospectError> {
    match copy(scratch, whole).await? {
        Ok(()) => check_copy(scratch, whole, seen).await,
        Err(e) => Ok(Some(format!("no copy of the live schema could be made: {e}"))),
    }
}

/// Reads what should be the copy of a live schema; what is wrong with it, if anything is.
///
/// # Errors
/// When the scratch database cannot be read.
pub async fn check_copy(scratch: &Scratch, whole: &Catalog, seen: &Seen) -> Result<Option<String>, IntrospectError> {
    let before = introspect_beside(&scratch.session, seen).await?;
    let differs = differences(scratch, &before, whole).await?;
    Ok(differs.map(|text| format!("the copy of the live schema differs from it: {text}")))
}

/// Makes a copy that is as it should be ready for a plan.
///
/// # Errors
/// When the scratch database cannot be connected to any more.
pub async fn open_copy(scratch: Scratch, seen: Seen, observed: bool) -> Result<Copied, ShadowError> {
    let before = wrong(&scratch).await;
    if !observed {
        return Ok(Copied { scratch, twin: None, seen, before });
    }
    let (scratch, twin) = scratch.twins().await?;
    Ok(Copied { scratch, twin: Some(twin), seen, before })
}

/// Proves a plan in an empty scratch database, which is gone afterwards: on one copy of the live schema in the groups that `apply`
/// runs and, where it is to be `observed`, on another one step by step.
///
/// # Errors
/// When the scratch database cannot be read; everything that is wrong with the plan is an [`Outcome`].
pub async fn prove(scratch: Scratch, sides: &Sides, made: &Made, observed: bool) -> Result<Outcome, ProveError> {
    let seen = Seen::default();
    if let Some(reason) = build_copy(&scratch, sides.begin(), &seen).await? {
        scratch.drop().await?;
        return Ok(unproven(reason));
    }
    let copied = open_copy(scratch, seen, observed).await?;
    let outcome = prove_on(&copied, sides, made).await;
    copied.drop().await?;
    outcome
}

/// Proves a plan on a copy, which is none any more afterwards.
///
/// # Errors
/// As for [`prove`].
pub async fn prove_on(copied: &Copied, sides: &Sides, made: &Made) -> Result<Outcome, ProveError> {
    let running = run(copied, sides, made);
    let (outcome, observations) = match &copied.twin {
        None => (running.await, Observations::default()),
        Some(Ok(twin)) => tokio::join!(running, observe(twin, &made.plan.groups)),
        Some(Err(error)) => {
            let missing = Some(error.to_string());
            (running.await, Observations { missing, ..Observations::default() })
        }
    };
    match observations.wrong.first() {
        Some(failed) => Ok(Outcome { failed: Some(failed.clone()), ..unproven(refused(failed)) }),
        None => Ok(Outcome { observations, ..outcome? }),
    }
}

/// Runs the plan as `apply` does, and looks where it ends.
async fn run(copied: &Copied, sides: &Sides, made: &Made) -> Result<Outcome, IntrospectError> {
    let Copied { scratch, seen, before, .. } = copied;
    for group in &made.plan.groups {
        if let Err(failed) = run_as(scratch, group).await {
            return Ok(Outcome { failed: Some(failed.clone()), ..unproven(refused(&failed)) });
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
    let proof = Proof::Equal { server: scratch.session.version.0, copy: COPY.to_owned() };
    let warnings = newly_wrong(before, scratch).await;
    let to = Some((fingerprint(&to), fingerprints(&to)));
    Ok(Outcome { proof, to, after: Some(whole), observations: Observations::default(), failed: None, warnings })
}

/// What is wrong with the bodies of routines.
#[derive(Default)]
struct Wrong {
    /// Routines that their languages do not accept, with the server's words.
    broken: BTreeMap<String, String>,
    /// What plpgsql_check finds in routines, where the server has it.
    found: BTreeSet<(String, String)>,
}

/// The server has no dependencies of quoted bodies, so only their languages can tell. Asked in a session of its own: plpgsql keeps
/// what it has compiled for as long as one lasts.
async fn wrong(scratch: &Scratch) -> Wrong {
    let unchecked = |words: String| tracing::warn!("bodies were not checked: {words}");
    let session = match pg::connect(&scratch.session.target).await {
        Ok(session) => session,
        Err(error) => {
            unchecked(error.to_string());
            return Wrong::default();
        }
    };
    let found = plpgsql_check::findings(&session.client, &scratch.administrator.client).await;
    let broken = bodies::broken(&session.client).await;
    session.close().await;
    Wrong {
        broken: broken.unwrap_or_else(|problem| {
            unchecked(problem.message);
            BTreeMap::new()
        }),
        found: found.unwrap_or_else(|error| {
            unchecked(format!("plpgsql_check: {}", server_message(&error).0));
            BTreeSet::new()
        }),
    }
}

async fn newly_wrong(before: &Wrong, scratch: &Scratch) -> Vec<String> {
    let now = wrong(scratch).await;
    let broken = now.broken.iter().filter(|(routine, _)| !before.broken.contains_key(*routine));
    let broken = broken.map(|(routine, words)| format!("{routine} does not work after this plan: {words}"));
    let found = now.found.iter().filter(|finding| !before.found.contains(finding));
    broken.chain(found.map(|(routine, words)| format!("{routine}: plpgsql_check says {words}"))).collect()
}

pub(super) fn refused(failed: &StepFailed) -> String {
    format!("on the copy, step {} ({}) fails: {}", failed.step, failed.object, failed.message)
}

/// The objects that differ in more than how the server writes an expression; none when there is no such.
pub(super) async fn differences(scratch: &Scratch, found: &Catalog, wanted: &Catalog) -> Result<Option<String>, IntrospectError> {
    let pairs = candidates(found, wanted);
    let equal = settle(&scratch.session, found, &pairs).await?.equal;
    let mut wanted = wanted.clone();
    wanted.put(kind::finished(&wanted));
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
