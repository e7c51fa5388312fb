//! What was left unsaid: the last step of a plan is committed, and the run was cut off before it had looked at the end and recorded
//! that.

use tokio_postgres::Client;

use super::LedgerError;
use super::record::{prune, store, take_over, transaction};
use crate::catalog::Packed;

const UNSETTLED: &str = "SELECT d.id, d.plan FROM plumb.deployment d WHERE d.state = 'done' \
     AND d.id = (SELECT max(id) FROM plumb.deployment WHERE state <> 'void') \
     AND (d.after IS NULL OR EXISTS (SELECT FROM plumb.run r WHERE r.deployment = d.id AND r.outcome IS NULL))";

/// The last deployment, when all of its steps are done and its end is not recorded: its number, and the id of its plan.
///
/// # Errors
/// When the server cannot be asked.
pub async fn unsettled(client: &Client) -> Result<Option<(i64, String)>, LedgerError> {
    let Some(row) = client.query_opt(UNSETTLED, &[]).await? else { return Ok(None) };
    Ok(Some((row.try_get(0)?, row.try_get(1)?)))
}

/// Records what such a run has not: the schema that the deployment has led to, and that the run was lost.
///
/// # Errors
/// When somebody else holds the lease, or the server refuses.
pub async fn settle(client: &Client, deployment: i64, after: &Packed) -> Result<(), LedgerError> {
    transaction(client, async || {
        take_over(client).await?;
        store(client, after).await?;
        let close = "UPDATE plumb.deployment SET after = $2 WHERE id = $1 AND after IS NULL";
        client.execute(close, &[&deployment, &after.id]).await?;
        prune(client).await?;
        client.batch_execute("UPDATE plumb.lease SET token = token + 1, run = NULL, pid = NULL, backend_start = NULL").await?;
        Ok(())
    })
    .await
}
