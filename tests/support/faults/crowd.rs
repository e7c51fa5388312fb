//! Others are at work on the same database: they hold locks, take all connections, apply, look for drift, change things by hand.

use super::lines::honest;
use super::random::Random;
use super::server;
use super::site::{Running, Site, told};
use plumb::pg::Session;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    Deadlocks,
    TwoApplies,
    Drift,
    ByHand,
    Connections,
    LockQueue,
    Full,
}

const OTHERS: &[(&str, Others)] = &[
    ("deadlocks with another session", Others::Deadlocks),
    ("two applies at once", Others::TwoApplies),
    ("drift at once, again and again", Others::Drift),
    ("changes by hand at once", Others::ByHand),
    ("max_connections reached", Others::Connections),
    ("lock queue behind an idle transaction", Others::LockQueue),
    ("disk full", Others::Full),
];

/// How often each of them is met.
pub const TIMES: usize = 8;

/// What a transaction may wait for locks, and how much longer somebody else may wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_millis(500);

pub fn cells() -> usize {
    OTHERS.len() * TIMES
}

pub fn row(cell: usize) -> &'static str {
    OTHERS[cell % OTHERS.len()].0
}

/// Whether a cell needs a database on a small disk.
pub fn is_on_small_disk(cell: usize) -> bool {
    OTHERS[cell % OTHERS.len()].1 == Others::Full
}

pub async fn run(site: &Site<'_>, cell: usize, seed: u64) -> Result<bool, String> {
    let mut random = Random::new(seed.wrapping_mul(7_919).wrapping_add(cell as u64));
    _ = (0..8).map(|_| random.below(2)).count();
    if OTHERS[cell % OTHERS.len()].1 == Others::Full {
        return full(site, &mut random).await;
    }
    site.fresh().await?;
    match OTHERS[cell % OTHERS.len()].1 {
        Others::Deadlocks => deadlocks(site, &mut random).await?,
        Others::TwoApplies => two(site, &mut random).await?,
        Others::Drift => drift(site).await?,
        Others::ByHand => return by_hand(site, &mut random).await,
        Others::Connections => connections(site, &mut random).await?,
        Others::LockQueue => queue(site).await?,
        Others::Full => {}
    }
    site.converge()?;
    site.check().await?;
    Ok(true)
}

fn direct(site: &Site<'_>) -> String {
    site.server.url(&site.name)
}

async fn some_time(random: &mut Random, most: usize) {
    tokio::time::sleep(Duration::from_millis(random.below(most) as u64)).await;
}

/// Somebody takes the same locks in another order, all the time, and holds them while waiting for the next.
async fn deadlocks(site: &Site<'_>, random: &mut Random) -> Result<(), String> {
    let other = site.server.session(&site.name).await;
    other.client.batch_execute("SET deadlock_timeout = '20ms'").await.map_err(|e| server::message(&e))?;
    let mut apply = site.apply_with(&direct(site), &["--lock-timeout", "1s"]);
    let mut victim = 0;
    while !apply.has_ended() {
        let tables = ["orders", "customers", "events", "totals"];
        let (first, second) = (tables[random.below(4)], tables[random.below(4)]);
        let taken = format!("BEGIN; LOCK {first}; SELECT pg_sleep(0.04); LOCK {second}; COMMIT");
        if other.client.batch_execute(&taken).await.is_err() {
            victim += 1;
            other.client.batch_execute("ROLLBACK").await.map_err(|e| server::message(&e))?;
        }
        some_time(random, 60).await;
    }
    other.close().await;
    let done = apply.end()?;
    if done.exit == 0 {
        Ok(())
    } else {
        Err(format!("it does not get through ({victim} deadlocks cost the other one): {}", told(&done)))
    }
}

async fn two(site: &Site<'_>, random: &mut Random) -> Result<(), String> {
    let mut all = Vec::new();
    for _ in 0..2 + random.below(2) {
        all.push(site.apply(&direct(site)));
        some_time(random, 300).await;
    }
    let done: Vec<_> = all.into_iter().map(Running::end).collect::<Result<_, _>>()?;
    let odd = done.iter().find(|d| d.exit != 0 && !(d.exit == 3 && d.stderr.contains("apply::busy")));
    match odd {
        Some(odd) => Err(format!("neither applied nor busy: {}", told(odd))),
        None if done.iter().all(|d| d.exit != 0) => Err("all of them are busy, and none is at work".to_owned()),
        None => Ok(()),
    }
}

/// Drift never makes an apply wait or fail, and says that one is at work.
async fn drift(site: &Site<'_>) -> Result<(), String> {
    let url = direct(site);
    let mut apply = site.apply(&url);
    let words = ["drift", "--db", &url, "--shadow", site.shadow(), "--quiet"].map(ToString::to_string);
    let mut seen = Vec::new();
    while !apply.has_ended() {
        seen.push(site.start(&words).end()?);
    }
    let done = apply.end()?;
    if done.exit != 0 {
        return Err(format!("drift stands in its way: {}", told(&done)));
    }
    match seen.iter().find(|d| ![0, 2, 3].contains(&d.exit)) {
        Some(odd) => Err(format!("drift while a plan is applied: {}", told(odd))),
        None => Ok(()),
    }
}

/// Somebody changes the schema meanwhile. Either the plan goes through, or it is refused with the difference; when that change is taken
/// back, it is applied.
async fn by_hand(site: &Site<'_>, random: &mut Random) -> Result<bool, String> {
    let (change, back) = [
        ("ALTER TABLE orders ADD COLUMN by_hand integer", "ALTER TABLE orders DROP COLUMN by_hand"),
        ("CREATE TABLE by_hand (x integer)", "DROP TABLE by_hand"),
        ("CREATE INDEX by_hand ON customers (name)", "DROP INDEX by_hand"),
        ("COMMENT ON TABLE customers IS 'by hand'", "COMMENT ON TABLE customers IS NULL"),
    ][random.below(4)];
    let other = site.server.session(&site.name).await;
    let apply = site.apply(&direct(site));
    some_time(random, 500).await;
    // It may be the victim of a deadlock; a person would try again.
    while let Err(e) = other.client.batch_execute(change).await {
        if e.code().is_none_or(|code| code.code() != "40P01") {
            return Err(format!("{change}: {}", server::message(&e)));
        }
    }
    let done = apply.end()?;
    other.client.batch_execute(back).await.map_err(|e| format!("{back}: {}", server::message(&e)))?;
    other.close().await;
    let said = ["plan::stale", "apply::changed", "apply::differs", "busy"].iter().any(|code| done.stderr.contains(code));
    let with = |why: String| format!("{why}\n-- {change}: {}", told(&done));
    if done.exit != 0 && !said {
        return Err(with("it is neither applied nor refused".to_owned()));
    }
    if done.exit == 3 {
        honest(site, done.exit).await.map_err(with)?;
    }
    site.converge().map_err(with)?;
    site.check().await.map_err(with)?;
    Ok(true)
}

/// All connections are taken, but for a few.
async fn connections(site: &Site<'_>, random: &mut Random) -> Result<(), String> {
    let taken = random.below(4);
    let mut all: Vec<Session> = Vec::new();
    while let Ok(session) = plumb::pg::connect(&site.server.target("template1")).await {
        all.push(session);
    }
    for _ in 0..taken {
        if let Some(session) = all.pop() {
            session.close().await;
        }
    }
    let apply = site.apply(&direct(site));
    some_time(random, 400).await;
    // Those who are left over come and go.
    let more = plumb::pg::connect(&site.server.target("template1")).await.ok();
    let done = apply.end()?;
    for session in all.into_iter().chain(more) {
        session.close().await;
    }
    if done.exit != 0 && !done.stderr.contains("connect::too_many_connections") {
        return Err(format!("with {taken} connections: {}", told(&done)));
    }
    honest(site, done.exit).await
}

/// A session that is idle in a transaction holds a lock, and everybody else works: the apply says who it is and tries again, nobody waits behind it
/// for longer than the lock timeout, and it goes through when the session has ended.
async fn queue(site: &Site<'_>) -> Result<(), String> {
    let refused = |e: tokio_postgres::Error| server::message(&e);
    let idle = site.server.session(&site.name).await;
    idle.client.batch_execute("SET application_name = 'forgotten'; BEGIN; SELECT FROM orders LIMIT 1").await.map_err(refused)?;
    let mut apply = site.apply_with(&direct(site), &["--lock-timeout", "1s"]);
    let reader = site.server.session(&site.name).await;
    let (begun, mut longest, mut freed) = (Instant::now(), Duration::ZERO, false);
    while !apply.has_ended() {
        let asked = Instant::now();
        reader
            .client
            .batch_execute("SELECT FROM orders LIMIT 1; UPDATE orders SET note = note WHERE id = 1")
            .await
            .map_err(refused)?;
        longest = longest.max(asked.elapsed());
        if !freed && begun.elapsed() > Duration::from_secs(4) {
            idle.client.batch_execute("COMMIT").await.map_err(refused)?;
            freed = true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reader.close().await;
    idle.close().await;
    let done = apply.end()?;
    let said = ["forgotten", "idle in transaction", "retry"].iter().all(|word| done.stderr.contains(word));
    match (done.exit, said) {
        (0, true) if longest <= LOCK_TIMEOUT + GRACE => Ok(()),
        (0, true) => Err(format!("somebody waited for {longest:?}")),
        _ => Err(format!("exit or words: {}", told(&done))),
    }
}

/// There is room for a part of what the plan needs, and later for all of it.
async fn full(site: &Site<'_>, random: &mut Random) -> Result<bool, String> {
    let Some(disk) = &site.disk else { return Ok(false) };
    disk.resize(None)?;
    site.fresh().await?;
    // A new session writes a file first.
    disk.resize(Some(disk.used()? + 200 + 8 * random.below(60) as u64))?;
    let done = site.apply(&direct(site)).end();
    disk.resize(None)?;
    let done = done?;
    let with = |why: String| format!("{why}\n-- on a small disk: {}", told(&done));
    let said = ["No space left on device", "could not write init file"].iter().any(|words| done.stderr.contains(words));
    if done.exit != 0 && !said {
        return Err(with("something else is wrong".to_owned()));
    }
    honest(site, done.exit).await.map_err(with)?;
    site.converge().map_err(with)?;
    site.check().await.map_err(with)?;
    Ok(done.exit != 0)
}
