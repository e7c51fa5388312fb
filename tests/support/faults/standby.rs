//! A standby on which somebody reads for long: what it replays conflicts with that.

use super::server;
use super::site::{Script, Site, told};
use super::throwaway::{Throwaway, folder, program};
use super::truth;
use std::time::{Duration, Instant};

/// How a standby deals with readers that are in the way.
const MANNERS: &[(&str, &[&str])] = &[
    ("standby that waits for its reader", &["max_standby_streaming_delay=-1", "hot_standby_feedback=off"]),
    ("standby that cancels its reader", &["max_standby_streaming_delay=200ms", "hot_standby_feedback=off"]),
    (
        "standby that tells of its reader",
        &["max_standby_streaming_delay=-1", "hot_standby_feedback=on", "wal_receiver_status_interval=1s"],
    ),
];

/// None where the server's programs cannot make a standby: the builds that tests of other versions may use have no pg_basebackup.
pub fn cells() -> usize {
    if server::server().binaries.program("pg_basebackup").exists() { MANNERS.len() } else { 0 }
}

pub fn row(cell: usize) -> &'static str {
    MANNERS[cell % MANNERS.len()].0
}

/// A standby of a server.
fn standby(of: &Throwaway, name: &str, settings: &[&str]) -> Result<Throwaway, String> {
    let directory = of.directory().with_file_name(format!("plumb-faults-{}-{name}", std::process::id()));
    folder(&directory);
    let mut copy = program(&of.binaries().program("pg_basebackup"));
    copy.arg("-h").arg(of.directory()).args(["-p", "5432", "-U", server::USER, "-R", "-X", "stream", "-c", "fast", "-D"]);
    let out = copy.arg(directory.join("data")).output().map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(format!("pg_basebackup: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    Ok(Throwaway::at(directory, of.binaries().clone(), settings))
}

/// Until a standby has what its primary has now.
async fn caught_up(primary: &Throwaway, standby: &Throwaway) -> Result<(), String> {
    let refused = |e: tokio_postgres::Error| server::message(&e);
    let (from, to) = (primary.session("template1").await, standby.session("template1").await);
    let place: String = from.client.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.map_err(refused)?.get(0);
    let there = format!("SELECT pg_last_wal_replay_lsn() >= '{place}'");
    let limit = Instant::now() + Duration::from_secs(30);
    while !to.client.query_one(&there, &[]).await.map_err(refused)?.get::<_, bool>(0) {
        if Instant::now() > limit {
            return Err(format!("the standby does not come to {place}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    from.close().await;
    to.close().await;
    Ok(())
}

pub async fn run(copies: &Throwaway, cell: usize, script: Script<'_>) -> Result<bool, String> {
    let refused = |e: tokio_postgres::Error| server::message(&e);
    let primary = Throwaway::start(&format!("primary{cell}"), &["max_connections=30"]);
    let site = Site::new((&primary, copies), &format!("standby{cell}"), script).await?;
    let settings: Vec<&str> = MANNERS[cell % MANNERS.len()].1.iter().copied().chain(["max_connections=30"]).collect();
    let standby = standby(&primary, &format!("second{cell}"), &settings)?;
    site.fresh().await?;
    caught_up(&primary, &standby).await?;
    let reader = standby.session(&site.name).await;
    let read = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders; SELECT count(*) FROM customers";
    reader.client.batch_execute(read).await.map_err(refused)?;
    let url = primary.url(&site.name);
    let done = site.apply(&url).end()?;
    if done.exit != 0 {
        return Err(format!("the reader stands in its way: {}", told(&done)));
    }
    if !done.stderr.contains("1 standby") || !done.stderr.contains("max_standby_streaming_delay") {
        return Err(format!("nobody is told of the standby: {}", told(&done)));
    }
    site.check().await?;
    let words = ["drift", "--db", &standby.url(&site.name), "--shadow", site.shadow()].map(ToString::to_string);
    let drift = site.start(&words).end()?;
    if ![0, 1, 2, 3].contains(&drift.exit) {
        return Err(format!("drift on the standby: {}", told(&drift)));
    }
    reader.client.batch_execute("ROLLBACK").await.ok();
    reader.close().await;
    caught_up(&primary, &standby).await?;
    site.truth.same(&truth::read(&standby, &site.name).await?)?;
    Ok(true)
}
