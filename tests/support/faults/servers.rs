//! The server dies at a message of an apply: one of its processes, all of it, or in a hurry because somebody wants so.

use super::lines::honest;
use super::proxy::{Fault, Proxy};
use super::server;
use super::site::{Site, told};
use super::throwaway::{Throwaway, send};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Death {
    /// The process that works for plumb; the server ends all others and recovers.
    Process,
    Postmaster,
    Immediate,
    Fast,
}

const DEATHS: &[(&str, Death)] = &[
    ("server process killed (KILL)", Death::Process),
    ("postmaster killed (KILL)", Death::Postmaster),
    ("immediate shutdown", Death::Immediate),
    ("fast shutdown", Death::Fast),
];

/// A cell is what dies at which message, and whether that arrives before.
pub fn cells(messages: usize) -> usize {
    messages * DEATHS.len() * 2
}

pub fn row(cell: usize) -> &'static str {
    DEATHS[cell % DEATHS.len()].0
}

pub async fn run(site: &Site<'_>, cell: usize) -> Result<bool, String> {
    let (death, arrives) = (DEATHS[cell % DEATHS.len()].1, cell / DEATHS.len() % 2 == 1);
    let at = cell / DEATHS.len() / 2 + 1;
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), Some((at, Fault::Pause(arrives))));
    let mut apply = site.apply(&site.server.url_by(proxy.port, &site.name));
    while !proxy.fired() && !apply.has_ended() {
        std::thread::sleep(Duration::from_millis(2));
    }
    if proxy.fired() {
        die(site, death).await?;
    }
    proxy.release();
    let done = apply.end();
    up(site.server, death)?;
    let done = done?;
    let with = |why: String| format!("{why}\n-- at message {at}: {}\n-- the server: {}", told(&done), site.server.log());
    honest(site, done.exit).await.map_err(with)?;
    if done.exit != 0 {
        site.converge().map_err(with)?;
    }
    site.check().await.map_err(with)?;
    Ok(proxy.fired())
}

async fn die(site: &Site<'_>, death: Death) -> Result<(), String> {
    match death {
        Death::Process => {
            let session = site.server.session("template1").await;
            let query = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'plumb' ORDER BY backend_start LIMIT 1";
            let row = session.client.query_opt(query, &[&site.name]).await.map_err(|e| server::message(&e))?;
            if let Some(pid) = row.and_then(|row| u32::try_from(row.get::<_, i32>(0)).ok()) {
                send(pid, Signal::KILL);
            }
        }
        Death::Postmaster => site.server.signal(Signal::KILL),
        Death::Immediate => site.server.signal(Signal::QUIT),
        Death::Fast => site.server.signal(Signal::INT),
    }
    Ok(())
}

/// It runs again. One that was killed as a whole is started; one that recovers by itself is waited for.
fn up(on: &Throwaway, death: Death) -> Result<(), String> {
    if death != Death::Process {
        on.down(None);
        on.up();
        return Ok(());
    }
    let limit = Instant::now() + Duration::from_secs(30);
    // It may not have noticed yet.
    std::thread::sleep(Duration::from_millis(50));
    while !on.answers() {
        if Instant::now() > limit {
            return Err(format!("the server does not recover: {}", on.log()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
