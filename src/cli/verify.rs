//! The end of an apply: whether the live database is where the plan said it would be.

use std::time::Duration;

use super::Outcome;
use super::failure::Failure;
use super::workspace::Workspace;
use crate::apply::ledger::{Ended, Record};
use crate::catalog::{fingerprint, pack};
use crate::exit_code::{DONE, IN_PART};
use crate::introspect::{Seen, introspect_beside};
use crate::pg::Session;
use crate::plan::text::time;
use crate::plan::{Plan, Proof};
use crate::prove::otherwise;

/// The live database is where the plan said it would be. Whatever fails here, every step is applied.
pub async fn verify(
    plan: &Plan,
    session: &Session,
    workspace: &Workspace,
    record: Option<&Record>,
    ran: (usize, Duration),
) -> Outcome {
    let stop = &workspace.stop;
    let heard =
        || workspace.progress.line(&format!("{}: every step is applied; once more leaves out the look at the end", stop.word()));
    let looked = stop.unless_now(look(plan, session, &workspace.seen, record), heard).await;
    let looked = looked.unwrap_or_else(|| Err(Failure::new("apply::interrupted", stop.word())));
    let (different, (steps, took)) = (looked.map_err(unseen)?, ran);
    let Some(different) = different else {
        let steps = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
        let took = time(took.as_secs_f64());
        workspace.say(&format!("Done: {steps} applied in {took}, the live schema equals what was planned.\n"))?;
        return Ok(DONE);
    };
    if matches!(plan.proof, Proof::Unproven { .. }) {
        workspace.say(
            "Done. The plan was not proven, and the live schema is not byte for byte what it said: `plumb drift` tells.\n",
        )?;
        return Ok(DONE);
    }
    Err(Failure::new("apply::differs", format!("every step ran, and the live schema is not what the plan says{different}"))
        .help("`plumb drift` shows more: somebody else changed the schema meanwhile, or this is a bug of plumb")
        .exit(IN_PART))
}

/// Reads the live database, and records what it is. Where it is not as planned, lines that name what is not.
async fn look(plan: &Plan, session: &Session, seen: &Seen, record: Option<&Record>) -> Result<Option<String>, Failure> {
    let after = introspect_beside(session, seen).await?;
    let found = plan.scope.of(&after);
    let as_planned = fingerprint(&found) == plan.to;
    if let Some(record) = record {
        let ended = if as_planned { Ended::Done } else { Ended::Differs };
        record.end(&session.client, &ended, Some(&pack(&after))).await?;
    }
    Ok((!as_planned).then(|| otherwise(plan, &found)))
}

/// What stopped the look at the end, for somebody who has to know that nothing is left to apply.
fn unseen(failure: Failure) -> Failure {
    failure.exit(IN_PART).help(
        "every step is applied and stays; only whether the schema is what was planned was not looked at to the end. Run the same plan again, \
         which does that",
    )
}
