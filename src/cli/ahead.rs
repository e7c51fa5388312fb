//! The copy of a large live schema that a proof needs, made while the files are loaded, on a private server of its own: neither sees
//! the other's roles or waits for the other's locks. It is kept for the next plan of the same schema (docs/decisions/0013).

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::arguments::Wanted;
use super::failure::Failure;
use super::side::Side;
use super::workspace::Workspace;
use crate::catalog::{Catalog, fingerprint_in_full};
use crate::introspect::Seen;
use crate::kind;
use crate::plan::{Made, Sides};
use crate::prove::{Copied, Outcome, build_copy, check_copy, open_copy, prove_on, unproven};
use crate::shadow::{Choice, Copying, Properties, Scratch, Shadow};

/// From how many objects on a copy is made ahead and kept: a smaller one is built in less time than a server takes to start.
const LARGE: usize = 2_000;

/// The server that the copy is on, which has to stay as long, and the copy or what is wrong with it.
type Copy = (Copying, Result<Copied, String>);

/// A copy that is being made, or that is there.
pub struct Ahead {
    state: State,
    /// The roles that the server has.
    roles: BTreeSet<String>,
}

enum State {
    Working(Pin<Box<dyn Future<Output = Result<Copy, Failure>>>>),
    Done(Box<Result<Copy, Failure>>),
}

impl Ahead {
    /// Begins to copy `live`, where that is large, for a plan that may name these roles too. Nothing where scratch databases are made
    /// on a server that is not plumb's own, which is asked for one thing after another.
    ///
    /// # Errors
    /// When what is configured as the shadow is no such.
    pub fn begin(
        workspace: &Workspace,
        live: &Side,
        wanted: &Wanted,
        named: &BTreeSet<String>,
    ) -> Result<Option<Ahead>, Failure> {
        if live.catalog.len() < LARGE || workspace.choice(wanted.shadow.as_deref())? != Choice::Auto {
            return Ok(None);
        }
        let mut roles = kind::roles(&live.catalog);
        roles.extend(named.iter().cloned());
        let order = Order {
            properties: live.properties.clone(),
            catalog: live.catalog.clone(),
            roles: roles.clone(),
            seen: workspace.seen.clone(),
            statement_timeout: workspace.policy().statement_timeout,
        };
        Ok(Some(Ahead { state: State::Working(Box::pin(order.copy())), roles }))
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let State::Working(work) = &mut self.state {
            match work.as_mut().poll(context) {
                Poll::Ready(done) => self.state = State::Done(Box::new(done)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Whether a plan between these sides can be tried on it: the server has all roles.
    pub fn serves(&self, sides: &Sides) -> bool {
        kind::roles(&sides.desired).is_subset(&self.roles)
    }

    /// Proves a plan on it.
    ///
    /// # Errors
    /// When the server does not start, or the copy cannot be read.
    pub async fn prove(mut self, sides: &Sides, made: &Made) -> Result<Outcome, Failure> {
        poll_fn(|context| self.poll(context)).await;
        let State::Done(done) = self.state else { unreachable!("it was waited for") };
        // The server goes with all that is on it.
        let (_server, copied) = (*done)?;
        match copied {
            Ok(copied) => Ok(prove_on(&copied, sides, made).await?),
            Err(reason) => Ok(unproven(reason)),
        }
    }
}

/// What is to be copied.
struct Order {
    properties: Properties,
    catalog: Catalog,
    roles: BTreeSet<String>,
    seen: Seen,
    statement_timeout: Duration,
}

impl Order {
    async fn copy(self) -> Result<Copy, Failure> {
        let Order { properties, catalog, seen, .. } = &self;
        let (version, owner, print) = (env!("CARGO_PKG_VERSION"), &catalog.role, fingerprint_in_full(catalog));
        let key = format!("{version}\n{properties:?}\n{owner:?}\n{print}");
        let mut copying = Shadow::copying(properties, &key, true).await?;
        if copying.kept {
            match self.checked(&copying).await {
                Ok(scratch) => {
                    tracing::info!("the copy of the live schema was kept by an earlier plan");
                    return Ok((copying, Ok(open_copy(scratch, seen.clone(), true).await?)));
                }
                Err(why) => tracing::info!("the copy that was kept is thrown away: {why}"),
            }
            copying.forget();
            copying = Shadow::copying(properties, &key, false).await?;
        }
        let mut scratch = copying.scratch(properties, owner, &self.roles).await?;
        scratch.statement_timeout = self.statement_timeout;
        if let Some(reason) = build_copy(&scratch, catalog, seen).await? {
            return Ok((copying, Err(reason)));
        }
        copying.keep().await;
        Ok((copying, Ok(open_copy(scratch, seen.clone(), true).await?)))
    }

    /// A copy that was kept, once it was read and compared; else what is wrong with it.
    async fn checked(&self, copying: &Copying) -> Result<Scratch, String> {
        let opened = copying.scratch(&self.properties, &self.catalog.role, &self.roles).await;
        let mut scratch = opened.map_err(|error| error.to_string())?;
        scratch.statement_timeout = self.statement_timeout;
        match check_copy(&scratch, &self.catalog, &self.seen).await {
            Ok(None) => Ok(scratch),
            Ok(Some(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Does some work, and goes on with the copy meanwhile.
pub async fn beside<T>(ahead: &mut Option<Ahead>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    poll_fn(|context| {
        // Whether it is done shows when it is asked for.
        if let Some(ahead) = ahead {
            let _ = ahead.poll(context);
        }
        work.as_mut().poll(context)
    })
    .await
}
