//! Messages that are late, one in so many in each run, so that each one is in one of the runs.

use super::proxy::{Fault, Proxy};
use super::site::{Site, told};
use std::time::Duration;

/// One message in so many is late.
const ONE_IN: usize = 16;

/// How late: less than after what a line is given up for.
const LATE: Duration = Duration::from_millis(100);

pub fn cells() -> Vec<usize> {
    (0..ONE_IN).collect()
}

pub const ROW: &str = "each message late, one in 16 in a run";

/// Runs a cell; how many messages were late.
pub async fn run(site: &Site<'_>, cell: usize) -> Result<usize, String> {
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), Some((cell, Fault::Each(ONE_IN, LATE))));
    let done = site.apply(&site.server.url_by(proxy.port, &site.name)).end()?;
    let late = (1..=proxy.messages().len()).filter(|n| n % ONE_IN == cell).count();
    if done.exit != 0 {
        return Err(format!("what is only late stops it: {}", told(&done)));
    }
    site.check().await?;
    Ok(late)
}
