//! Something happens at a message of an apply: to the line, or to plumb.

use super::proxy::{Fault, From, Message, Proxy};
use super::server;
use super::site::{Site, told};
use rustix::process::Signal;
use std::time::Duration;

/// What happens.
#[derive(Clone, Copy)]
enum Blow {
    Line(Fault),
    /// plumb gets a signal, after the message has arrived or before.
    Signal(Signal, bool),
}

/// How long a hole is, and how late a late message. Both shorter than what a line is given up for.
const SHORT: (Duration, Duration) = (Duration::from_millis(1200), Duration::from_millis(250));

/// Everything that happens at each message, with its name in the table.
const BLOWS: &[(&str, Blow)] = &[
    ("line cut before the message", Blow::Line(Fault::CutBefore)),
    ("line cut after the message", Blow::Line(Fault::CutAfter)),
    ("message late", Blow::Line(Fault::Delay(SHORT.1))),
    ("network silent for a while", Blow::Line(Fault::Hole(SHORT.0))),
    ("line silent for ever", Blow::Line(Fault::Dead)),
    ("network silent for ever", Blow::Line(Fault::Partition)),
    ("network silent for ever after the message", Blow::Line(Fault::PartitionAfter)),
    ("plumb killed (KILL) before the message", Blow::Signal(Signal::KILL, false)),
    ("plumb killed (KILL) after the message", Blow::Signal(Signal::KILL, true)),
    ("plumb interrupted (INT)", Blow::Signal(Signal::INT, false)),
    ("plumb terminated (TERM)", Blow::Signal(Signal::TERM, true)),
];

/// Those that happen at every message that is written; the others take turns.
const ALWAYS: &[usize] = &[0, 8];
/// One message in so many gets a blow that takes turns, and one in so many of those that only read any.
const TURNS: (usize, usize) = (8, 24);

/// The cells of an apply in which these messages come by. `every` blow at every message, or each at its turn, which the seed shifts.
pub fn cells(messages: &[Message], every: bool, seed: u64) -> Vec<usize> {
    let (mut all, mut writing, mut reading) = (Vec::new(), false, false);
    let kinds = BLOWS.len();
    let seed = usize::try_from(seed % 1_000).unwrap_or_default();
    for (n, message) in messages.iter().enumerate() {
        if message.from == From::Plumb && message.kind == 'Q' {
            // The ledger is the first thing that is made.
            writing |= message.text.starts_with("BEGIN; SET LOCAL lock_timeout");
            reading = message.text.starts_with("BEGIN ISOLATION LEVEL REPEATABLE READ")
                || reading && !message.text.starts_with("COMMIT");
        }
        let written = writing && !reading;
        let due = |kind: &usize| match (every, written) {
            (true, _) => true,
            (false, true) => ALWAYS.contains(kind) || (n + kind + seed).is_multiple_of(TURNS.0),
            (false, false) => (n + seed).is_multiple_of(TURNS.1) && (n / TURNS.1) % kinds == *kind,
        };
        all.extend((0..kinds).filter(due).map(|kind| n * kinds + kind));
    }
    all
}

/// The row of the table that a cell belongs to.
pub fn row(cell: usize) -> &'static str {
    BLOWS[cell % BLOWS.len()].0
}

/// The message at which it happens; the first one is 1.
fn message(cell: usize) -> usize {
    cell / BLOWS.len() + 1
}

/// What comes by in an undisturbed apply.
pub async fn messages(site: &Site<'_>) -> Result<Vec<Message>, String> {
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), None);
    let done = site.apply(&site.server.url_by(proxy.port, &site.name)).end()?;
    if done.exit != 0 {
        return Err(format!("by way of a proxy: {}", told(&done)));
    }
    site.check().await?;
    Ok(proxy.messages())
}

/// Runs a cell; false when the message never came.
pub async fn run(site: &Site<'_>, cell: usize) -> Result<bool, String> {
    let (at, blow) = (message(cell), BLOWS[cell % BLOWS.len()].1);
    let fault = match blow {
        Blow::Line(fault) => fault,
        Blow::Signal(_, arrives) => Fault::Pause(arrives),
    };
    site.fresh().await?;
    let proxy = Proxy::new(&site.server.socket(), Some((at, fault)));
    let mut apply = site.apply(&site.server.url_by(proxy.port, &site.name));
    if let Blow::Signal(signal, _) = blow {
        while !proxy.fired() && !apply.has_ended() {
            std::thread::sleep(Duration::from_millis(2));
        }
        apply.signal(signal);
        while signal == Signal::KILL && !apply.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        proxy.release();
    }
    let done = apply.end()?;
    let with = |why: String| format!("{why}\n-- the one that was disturbed: {}\n-- {}", told(&done), around(&proxy, at));
    honest(site, done.exit).await.map_err(with)?;
    let harmless = matches!(fault, Fault::Delay(_) | Fault::Hole(_));
    if done.exit != 0 && harmless {
        return Err(with("what is only late stops it".to_owned()));
    }
    if done.exit != 0 {
        site.converge().map_err(with)?;
    }
    site.check().await.map_err(with)?;
    Ok(proxy.fired())
}

/// Whether what an apply says by its exit code is so: with 1, 3 and 130 nothing is applied.
pub async fn honest(site: &Site<'_>, exit: i32) -> Result<(), String> {
    if ![1, 3, 130].contains(&exit) {
        return if [0, 4, -1].contains(&exit) { Ok(()) } else { Err(format!("exit code {exit}")) };
    }
    let session = site.server.session(&site.name).await;
    let there = "SELECT to_regclass('plumb.step') IS NOT NULL";
    let done = "SELECT count(*) FROM plumb.step WHERE state = 'done'";
    let refused = |e: tokio_postgres::Error| server::message(&e);
    let mut steps = 0;
    if session.client.query_one(there, &[]).await.map_err(refused)?.get(0) {
        steps = session.client.query_one(done, &[]).await.map_err(refused)?.get::<_, i64>(0);
    }
    session.close().await;
    if steps == 0 { Ok(()) } else { Err(format!("{steps} steps are done, and the exit code is {exit}")) }
}

/// The messages around the one where it happened.
fn around(proxy: &Proxy, at: usize) -> String {
    let messages = proxy.messages();
    let lines = messages.iter().enumerate().skip(at.saturating_sub(4)).take(6);
    let line = |(n, m): (usize, &Message)| format!("{} line {} {:?} {} {}", n + 1, m.line, m.from, m.kind, m.text);
    lines.map(line).collect::<Vec<_>>().join("\n   ")
}
