//! Something happens at a message of an apply: to the line, or to plumb. What happens before anything is written is in `early`, and what
//! is only late in `late`.

use super::command::Done;
use super::proxy::{Fault, From, Message, Proxy};
use super::server;
use super::site::{Site, told};
use rustix::process::Signal;
use std::time::Duration;

/// What happens.
#[derive(Clone, Copy)]
pub enum Blow {
    Line(Fault),
    /// plumb gets a signal, after the message has arrived or before.
    Signal(Signal, bool),
}

/// How long a hole is: shorter than what a line is given up for.
const HOLE: Duration = Duration::from_millis(1200);

/// What happens at every message, with its name in the table.
pub const ALWAYS: &[(&str, Blow)] = &[
    ("line cut before the message", Blow::Line(Fault::CutBefore)),
    ("line silent for ever", Blow::Line(Fault::Dead)),
    ("plumb killed (KILL) after the message", Blow::Signal(Signal::KILL, true)),
];

/// What takes turns.
const IN_TURN: &[(&str, Blow)] = &[
    ("line cut after the message", Blow::Line(Fault::CutAfter)),
    ("network silent for a while", Blow::Line(Fault::Hole(HOLE))),
    ("network silent for ever", Blow::Line(Fault::Partition)),
    ("network silent for ever after the message", Blow::Line(Fault::PartitionAfter)),
    ("plumb killed (KILL) before the message", Blow::Signal(Signal::KILL, false)),
    ("plumb interrupted (INT)", Blow::Signal(Signal::INT, false)),
    ("plumb terminated (TERM)", Blow::Signal(Signal::TERM, true)),
];

/// How many sorts there are.
const SORTS: usize = ALWAYS.len() + IN_TURN.len();

/// One message in so many gets a blow that takes turns, and one in so many of those before anything is written any.
const TURNS: (usize, usize) = (8, 24);

fn sort(cell: usize) -> (&'static str, Blow) {
    let sort = cell % SORTS;
    *ALWAYS.iter().chain(IN_TURN).nth(sort).expect("one of them")
}

/// How many messages come by before anything is written. The ledger is the first thing that is made.
pub fn early(messages: &[Message]) -> usize {
    let begins = |m: &Message| m.from == From::Plumb && m.kind == 'Q' && m.text.starts_with("BEGIN; SET LOCAL lock_timeout");
    messages.iter().position(begins).unwrap_or(messages.len())
}

/// The cells of an apply in which these messages come by. `every` blow at every message, or each at its turn, which the seed shifts.
pub fn cells(messages: &[Message], every: bool, seed: u64) -> Vec<usize> {
    let early = early(messages);
    let seed = usize::try_from(seed % 1_000).unwrap_or_default();
    let due = |(n, sort): &(usize, usize)| match (every, *n >= early) {
        (true, _) => true,
        (false, true) => *sort < ALWAYS.len() || (n + sort + seed).is_multiple_of(TURNS.0),
        (false, false) => (n + seed).is_multiple_of(TURNS.1) && (n / TURNS.1) % SORTS == *sort,
    };
    let all = (0..messages.len()).flat_map(|n| (0..SORTS).map(move |sort| (n, sort)));
    all.filter(due).map(|(n, sort)| n * SORTS + sort).collect()
}

/// Everything at the messages around those that have these words in them.
pub fn near(messages: &[Message], words: &str) -> Vec<usize> {
    let found: Vec<usize> = (0..messages.len()).filter(|n| messages[*n].text.contains(words)).collect();
    let is_near = |n: &usize| found.iter().any(|found| n.abs_diff(*found) <= NEAR);
    (0..messages.len()).filter(is_near).flat_map(|n| (0..SORTS).map(move |sort| n * SORTS + sort)).collect()
}

/// How many messages are around one.
const NEAR: usize = 12;

/// The row of the table that a cell belongs to.
pub fn row(cell: usize) -> &'static str {
    sort(cell).0
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
    let blow = sort(cell).1;
    site.fresh().await?;
    let met = Met::by(site, cell / SORTS + 1, blow)?;
    honest(site, met.done.exit).await.map_err(|why| met.with(why))?;
    if met.done.exit != 0 && matches!(blow, Blow::Line(Fault::Hole(_))) {
        return Err(met.with("what is only late stops it".to_owned()));
    }
    if met.done.exit != 0 {
        site.converge().map_err(|why| met.with(why))?;
    }
    site.check().await.map_err(|why| met.with(why))?;
    Ok(met.fired)
}

/// An apply that has met with something.
pub struct Met {
    pub done: Done,
    /// Whether it has; the apply may have been over before.
    pub fired: bool,
    /// The messages around it.
    around: String,
}

impl Met {
    /// At a message; the first one is 1.
    pub fn by(site: &Site<'_>, at: usize, blow: Blow) -> Result<Met, String> {
        let fault = match blow {
            Blow::Line(fault) => fault,
            Blow::Signal(_, arrives) => Fault::Pause(arrives),
        };
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
        Ok(Met { done: apply.end()?, fired: proxy.fired(), around: around(&proxy, at) })
    }

    /// A failure with what there is to say about it.
    pub fn with(&self, why: String) -> String {
        format!("{why}\n-- the one that was disturbed: {}\n-- {}", told(&self.done), self.around)
    }
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
