//! What a database has to look like after some groups of a plan: they are run on a copy of what it was before.

use super::copy::{copy, run_as};
use super::run::ProveError;
use crate::apply::resume::carried;
use crate::catalog::Catalog;
use crate::introspect::introspect;
use crate::plan::Group;
use crate::shadow::Scratch;

/// What there has to be.
pub struct Expected {
    /// After the groups that are done.
    pub after: Catalog,
    /// After one more, of which it is not known whether it is.
    pub further: Option<Catalog>,
}

/// Finds out in an empty scratch database, which is gone afterwards. The inner error is why it cannot be found out, in words.
///
/// # Errors
/// When the scratch database cannot be read.
pub async fn expected(
    scratch: Scratch,
    before: &Catalog,
    done: &[Group],
    doubt: Option<&Group>,
) -> Result<Result<Expected, String>, ProveError> {
    let found = found(&scratch, before, done, doubt).await;
    scratch.drop().await?;
    found
}

async fn found(
    scratch: &Scratch,
    before: &Catalog,
    done: &[Group],
    doubt: Option<&Group>,
) -> Result<Result<Expected, String>, ProveError> {
    if let Err(e) = copy(scratch, before).await? {
        return Ok(Err(format!("no copy can be made of the schema with which it began: {e}")));
    }
    let first = introspect(&scratch.session).await?;
    for group in done {
        if let Err(e) = run_as(scratch, group).await {
            return Ok(Err(format!("on a copy, step {} ({}) fails: {}", e.step, e.object, e.message)));
        }
    }
    let after = carried(before, &first, &introspect(&scratch.session).await?);
    let further = match doubt {
        Some(group) if run_as(scratch, group).await.is_ok() => {
            Some(carried(before, &first, &introspect(&scratch.session).await?))
        }
        _ => None,
    };
    Ok(Ok(Expected { after, further }))
}
