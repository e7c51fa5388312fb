//! A plan of two hundred steps, broken off at random instants.

use super::lines::honest;
use super::proxy::Proxy;
use super::random::Random;
use super::server;
use super::site::{Running, Site, told};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// How a run is broken off.
#[derive(Clone, Copy, Debug)]
enum Means {
    Kill,
    Interrupt,
    InterruptTwice,
    Terminate,
    Cut,
    Silence,
    EndSessions,
}

const MEANS: &[(&str, Means)] = &[
    ("plumb killed (KILL)", Means::Kill),
    ("plumb interrupted (INT)", Means::Interrupt),
    ("plumb interrupted twice", Means::InterruptTwice),
    ("plumb terminated (TERM)", Means::Terminate),
    ("all lines cut", Means::Cut),
    ("network silent for ever", Means::Silence),
    ("its sessions ended by the server", Means::EndSessions),
];

pub fn row(cell: usize) -> &'static str {
    MEANS[cell % MEANS.len()].0
}

/// How long an apply takes that nobody disturbs.
pub async fn duration(site: &Site<'_>) -> Result<Duration, String> {
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), None);
    let begun = Instant::now();
    let done = site.apply(&site.server.url_by(proxy.port, &site.name)).end()?;
    if done.exit != 0 {
        return Err(format!("by way of a proxy: {}", told(&done)));
    }
    let took = begun.elapsed();
    site.check().await?;
    Ok(took)
}

/// How often an instant is chosen anew because the apply was over before.
const TRIES: usize = 5;

/// Breaks an apply off at an instant within the time that it takes.
pub async fn run(site: &Site<'_>, cell: usize, seed: u64, takes: Duration) -> Result<bool, String> {
    let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(cell as u64));
    // The first numbers of neighbouring seeds are neighbours.
    _ = (0..8).map(|_| random.below(2)).count();
    let mut within = takes;
    for _ in 0..TRIES {
        let instant = within.mul_f64(random.below(1_000_000) as f64 / 1_000_000.0);
        if once(site, MEANS[cell % MEANS.len()].1, instant).await? {
            return Ok(true);
        }
        // The time was taken when the machine was busier.
        within = within.mul_f64(0.6);
    }
    Ok(false)
}

/// False when it has ended before.
async fn once(site: &Site<'_>, means: Means, instant: Duration) -> Result<bool, String> {
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), None);
    let mut apply = site.apply(&site.server.url_by(proxy.port, &site.name));
    std::thread::sleep(instant.saturating_sub(apply.age()));
    let met = !apply.has_ended();
    if met {
        disturb(site, means, &proxy, &mut apply).await?;
    }
    let done = apply.end()?;
    let with = |why: String| format!("{why}\n-- {means:?} after {instant:?}: {}", told(&done));
    honest(site, done.exit).await.map_err(with)?;
    if met {
        site.converge().map_err(with)?;
    }
    site.check().await.map_err(with)?;
    Ok(met)
}

async fn disturb(site: &Site<'_>, means: Means, proxy: &Proxy, apply: &mut Running) -> Result<(), String> {
    match means {
        Means::Kill => apply.signal(Signal::KILL),
        Means::Interrupt => apply.signal(Signal::INT),
        Means::InterruptTwice => {
            apply.signal(Signal::INT);
            std::thread::sleep(Duration::from_millis(50));
            apply.signal(Signal::INT);
        }
        Means::Terminate => apply.signal(Signal::TERM),
        Means::Cut => proxy.cut(),
        Means::Silence => proxy.part(),
        Means::EndSessions => {
            let session = site.server.session("template1").await;
            let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", site.name);
            session.client.batch_execute(&end).await.map_err(|e| server::message(&e))?;
            session.close().await;
        }
    }
    Ok(())
}
