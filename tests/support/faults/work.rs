//! The parts of the matrix, and who works at their cells.

use super::plans::{self, RICH};
use super::random::Random;
use super::server;
use super::site::{Script, Site};
use super::throwaway::Throwaway;
use super::{crowd, early, late, lines, long, servers, standby};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A part of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Standby,
    Long,
    Crowd,
    Server,
    Late,
    Early,
    Line,
}

/// At how many instants the long plan is broken off, and how often a server dies.
const INSTANTS: usize = 200;
const DEATHS: usize = 240;

impl Part {
    /// How many applies meet with something in a cell.
    pub fn runs(self) -> usize {
        if self == Part::Early { early::CHAIN } else { 1 }
    }

    /// By which a cell is brought back.
    pub fn name(self) -> &'static str {
        match self {
            Part::Line => "line",
            Part::Early => "early",
            Part::Late => "late",
            Part::Long => "long",
            Part::Server => "server",
            Part::Crowd => "crowd",
            Part::Standby => "standby",
        }
    }

    /// As the table has it.
    pub fn title(self) -> &'static str {
        match self {
            Part::Line | Part::Server | Part::Late => "at a message",
            Part::Early => "before anything is written",
            Part::Long => "200 steps, any instant",
            Part::Crowd | Part::Standby => "others at work",
        }
    }

    pub fn row(self, cell: usize) -> &'static str {
        match self {
            Part::Line => lines::row(cell),
            Part::Early => early::row(cell),
            Part::Late => late::ROW,
            Part::Long => long::row(cell),
            Part::Server => servers::row(cell),
            Part::Crowd => crowd::row(cell),
            Part::Standby => standby::row(cell),
        }
    }
}

/// The servers that all share: one with the databases, and one where copies are made.
pub type House<'a> = (&'a Throwaway, &'a Throwaway);

/// All cells, in the order in which they are run: what takes longest is not left for the end.
pub fn parts(house: House<'_>, every: bool, seed: u64) -> Vec<(Part, Vec<usize>)> {
    let messages = server::runtime().block_on(async {
        let site = Site::new(house, "first", RICH).await?;
        lines::messages(&site).await
    });
    let messages = messages.unwrap_or_else(|e| panic!("an apply that nobody disturbs: {e}"));
    let early = lines::early(&messages);
    println!("faults: {} messages come by in an apply, {early} of them before anything is written", messages.len());
    if let Ok(words) = std::env::var("PLUMB_FAULTS_NEAR") {
        return vec![(Part::Line, lines::near(&messages, &words))];
    }
    let deaths = (0..servers::cells(messages.len())).collect();
    vec![
        (Part::Standby, (0..standby::cells()).collect()),
        (Part::Long, (0..INSTANTS).collect()),
        (Part::Crowd, (0..crowd::cells()).collect()),
        (Part::Server, Random::new(seed).sample(deaths, DEATHS)),
        (Part::Late, late::cells()),
        (Part::Early, early::cells(early)),
        (Part::Line, lines::cells(&messages, every, seed)),
    ]
}

/// Somebody with databases of his own, and a server that he may kill.
pub struct Worker<'a> {
    house: House<'a>,
    own: &'a Throwaway,
    number: usize,
    seed: u64,
    sites: BTreeMap<String, Site<'a>>,
    takes: Duration,
}

impl<'a> Worker<'a> {
    pub fn new(house: House<'a>, own: &'a Throwaway, number: usize, seed: u64) -> Worker<'a> {
        Worker { house, own, number, seed, sites: BTreeMap::new(), takes: Duration::ZERO }
    }

    /// Runs a cell: in how many applies something happened before they were over. A panic is an error.
    pub fn run(&mut self, part: Part, cell: usize) -> Result<usize, String> {
        let work = AssertUnwindSafe(|| server::runtime().block_on(self.cell(part, cell)));
        catch_unwind(work).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    }

    async fn cell(&mut self, part: Part, cell: usize) -> Result<usize, String> {
        let seed = self.seed;
        let site = match part {
            Part::Standby => return standby::run(self.house.1, cell, RICH).await.map(usize::from),
            Part::Crowd if crowd::is_on_small_disk(cell) => self.site(Part::Crowd, "disk").await?,
            Part::Crowd | Part::Server => self.site(part, "own").await?,
            Part::Line | Part::Early | Part::Late => self.site(part, "line").await?,
            Part::Long => self.site(part, "long").await?,
        };
        let met = match part {
            Part::Early => return early::run(site, cell).await,
            Part::Late => late::run(site, cell).await.map(|late| late > 0),
            Part::Line => lines::run(site, cell).await,
            Part::Server => servers::run(site, cell).await,
            Part::Crowd => crowd::run(site, cell, seed).await,
            Part::Long => long::run(&self.sites["long"], cell, seed, self.takes).await,
            Part::Standby => Ok(false),
        };
        met.map(usize::from)
    }

    /// The place with this name; it is made when it is first needed.
    async fn site(&mut self, part: Part, name: &str) -> Result<&Site<'a>, String> {
        if !self.sites.contains_key(name) {
            let server = if matches!(part, Part::Crowd | Part::Server) { self.own } else { self.house.0 };
            let (before, after) = plans::long();
            let script = if part == Part::Long { Script { before: &before, after: &after, ..RICH } } else { RICH };
            let mut site = Site::new((server, self.house.1), &format!("{name}{}", self.number), script).await?;
            if part == Part::Long {
                self.takes = long::duration(&site).await?;
                println!("faults: a plan of {} steps takes {:.1} s", site.truth.steps(), self.takes.as_secs_f64());
            }
            if name == "disk" {
                site.on_small_disk().await?;
            }
            self.sites.insert(name.to_owned(), site);
        }
        Ok(&self.sites[name])
    }
}
