//! What happens at the messages that come by before anything is written. It leaves nothing, so that several in a row meet one database,
//! before the plan is applied to it undisturbed.

use super::lines::{ALWAYS, Met};
use super::server;
use super::site::Site;
use super::truth;

/// How many messages are met one after another.
pub const CHAIN: usize = 8;

/// A cell is what happens, at each message of a chain. `early` messages come by before anything is written.
pub fn cells(early: usize) -> Vec<usize> {
    (0..early.div_ceil(CHAIN) * ALWAYS.len()).collect()
}

pub fn row(cell: usize) -> &'static str {
    ALWAYS[cell % ALWAYS.len()].0
}

/// Runs a cell; how many times something has happened.
pub async fn run(site: &Site<'_>, cell: usize) -> Result<usize, String> {
    let (first, blow) = (cell / ALWAYS.len() * CHAIN + 1, ALWAYS[cell % ALWAYS.len()].1);
    let (mut fired, mut begun) = (0, true);
    for at in first..first + CHAIN {
        if begun {
            site.fresh().await?;
        }
        let met = Met::by(site, at, blow)?;
        fired += usize::from(met.fired);
        truth::nothing_left(site.server, &site.name).await.map_err(|why| met.with(why))?;
        // The last chain reaches into what is written, and a line may be one that plumb can do without.
        begun = has_begun(site).await?;
        if begun {
            if met.done.exit != 0 {
                site.converge().map_err(|why| met.with(why))?;
            }
            site.check().await.map_err(|why| met.with(why))?;
        } else if ![1, 3, -1].contains(&met.done.exit) {
            return Err(met.with(format!("nothing is applied, and the exit code is {}", met.done.exit)));
        }
    }
    if !begun {
        site.converge()?;
        site.check().await?;
    }
    Ok(fired)
}

/// Whether anything was written.
async fn has_begun(site: &Site<'_>) -> Result<bool, String> {
    let session = site.server.session(&site.name).await;
    let there = session.client.query_one("SELECT to_regnamespace('plumb') IS NOT NULL", &[]).await;
    session.close().await;
    Ok(there.map_err(|e| server::message(&e))?.get(0))
}
