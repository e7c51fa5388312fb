//! What plumb does to a database at this moment, or has left half done there. Nothing is taken to find it out that an apply would meet.

use std::fmt;

use super::failure::Failure;
use crate::apply::ledger::{Deployment, Presence, last_run, presence, running, unfinished};
use crate::pg::{Session, lock};
use crate::plan::short;

/// What moves.
pub enum Motion {
    /// A plan is being applied, in words.
    Busy(String),
    /// One was broken off.
    Unfinished(Deployment),
}

/// How a database stands.
pub struct State {
    /// What is under way, or was broken off.
    pub motion: Option<Motion>,
    /// The last run that the ledger knows.
    pub run: Option<i64>,
    /// Whether there is a ledger that can be read.
    pub ledger: Presence,
}

/// Looks how a database stands. On a standby that is what the primary's ledger says, since locks are not replicated.
pub async fn state(session: &Session) -> Result<State, Failure> {
    let client = &session.client;
    let refused = |e| Failure::from_server("ledger::server", &e);
    let asked = client.query_one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await;
    let standby: bool = asked.and_then(|row| row.try_get(0)).map_err(refused)?;
    let ledger = presence(client).await?;
    let here = matches!(ledger, Presence::Here(_));
    let run = if here { last_run(client).await? } else { None };
    let busy = match standby {
        true if here => running(client).await?.map(|plan| format!("plan {} is being applied on the primary", short(&plan))),
        true => None,
        false => lock::holder(client).await.map_err(refused)?.map(|holder| format!("a plan is being applied: {holder}")),
    };
    let open = if here { unfinished(client).await? } else { None };
    let motion = match (busy, open) {
        (Some(who), _) => Some(Motion::Busy(who)),
        (None, None) => None,
        // What nobody was at work at a moment ago was broken off, but for what has begun since then.
        (None, Some(open)) if last_run(client).await? == run => Some(Motion::Unfinished(open)),
        (None, Some(open)) => Some(Motion::Busy(format!("plan {} has just begun", short(&open.plan)))),
    };
    Ok(State { motion, run, ledger })
}

impl Motion {
    /// What somebody has to know who is about to apply another plan.
    pub fn warning(&self) -> String {
        match self {
            Motion::Busy(_) => {
                "a plan is being applied to this database: what is planned here is of a schema between its steps. Make it again \
                 when that is done"
                    .to_owned()
            }
            Motion::Unfinished(open) => format!(
                "plan {} was broken off on this database, step {} of {} is next: no other plan is applied before `plumb apply --resume` goes on \
                 with it, or `plumb apply --abandon` closes it",
                short(&open.plan),
                open.next(),
                open.steps
            ),
        }
    }
}

impl fmt::Display for Motion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Motion::Busy(who) => write!(f, "busy, {who}"),
            Motion::Unfinished(open) => write!(
                f,
                "unfinished {}, step {} of {}: `plumb apply --resume` goes on with it, `plumb apply --abandon` closes it",
                short(&open.plan),
                open.next(),
                open.steps
            ),
        }
    }
}
