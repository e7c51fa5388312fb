//! How far a step is with the tables that it reads in full, from one look to the next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::pg::SyncScan;

/// How often it is looked.
const LOOKING: Duration = Duration::from_millis(500);
/// After so many looks that saw it move a scan is at work.
const AT_WORK: u32 = 2;

/// How far a scan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What is counted: `rows read of public.t`; blocks where nobody has counted its rows.
    pub what: String,
    /// How many are read.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// How long the rest takes when it goes on as it went.
    pub left: Option<Duration>,
}

/// What was seen of the scans of a step.
#[derive(Default)]
pub struct Reading {
    step: u32,
    looked: Option<Instant>,
    scans: BTreeMap<String, Passed>,
    read: Option<Read>,
    refused: bool,
}

/// The blocks that a scan has passed.
struct Passed {
    from: u64,
    at: u64,
    blocks: u64,
    /// When it stood still last, and how many blocks it had passed then.
    stood: (Instant, u64),
    /// How many looks in a row have seen it move.
    moves: u32,
}

impl Passed {
    fn from(block: u64) -> Passed {
        Passed { from: block, at: block, blocks: 0, stood: (Instant::now(), 0), moves: 0 }
    }

    fn come_to(&mut self, block: u64, of: u64) {
        // Back where it began, all is read, and not nothing. The table may be shorter by now than where it began.
        self.blocks = self.blocks.max((block + of - self.from % of) % of);
        match self.at == block {
            true => (self.moves, self.stood) = (0, (Instant::now(), self.blocks)),
            false => self.moves += 1,
        }
        self.at = block;
    }

    /// How long the rest takes when it goes on as it went since it stood.
    fn left(&self, of: u64) -> Option<Duration> {
        let (since, from) = self.stood;
        let read = self.blocks.checked_sub(from).filter(|read| *read > 0)?;
        Some(since.elapsed().mul_f64(of.saturating_sub(self.blocks) as f64 / read as f64))
    }
}

impl Reading {
    /// Whether it is time to look at this step; with another step all begins anew.
    pub fn is_due(&mut self, step: u32) -> bool {
        if self.step != step {
            *self = Reading { step, ..Reading::default() };
        }
        let due = !self.refused && self.looked.is_none_or(|at| at.elapsed() >= LOOKING);
        if due {
            self.looked = Some(Instant::now());
        }
        due
    }

    /// Takes in where the scans are now. Where one was when it was first looked, it has begun. One that has moved from each look to the next is at
    /// work; one that has moved once may have gone round in between, and one that stands has come to its end.
    pub fn seen(&mut self, found: &[SyncScan]) {
        self.read = None;
        for scan in found.iter().filter(|scan| scan.block < scan.blocks) {
            let SyncScan { relation, block, blocks, rows } = scan;
            let passed = self.scans.entry(relation.clone()).or_insert_with(|| Passed::from(*block));
            passed.come_to(*block, *blocks);
            if passed.moves >= AT_WORK && self.read.is_none() {
                self.read = Some(counted(relation, passed, *blocks, *rows));
            }
        }
    }

    /// The server does not tell, and is not asked again of this step: each refusal is a line in its log.
    pub fn refused(&mut self) {
        (self.refused, self.read) = (true, None);
    }

    /// How far the scan is that is at work.
    pub fn read(&self) -> Option<Read> {
        self.read.clone()
    }
}

fn counted(relation: &str, passed: &Passed, blocks: u64, rows: Option<u64>) -> Read {
    let (what, total) = match rows {
        Some(rows) => (format!("rows read of {relation}"), rows),
        None => (format!("blocks read of {relation}"), blocks),
    };
    let done = (total as f64 * passed.blocks as f64 / blocks as f64) as u64;
    Read { what, done, total, left: passed.left(blocks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(relation: &str, block: u64, rows: Option<u64>) -> SyncScan {
        SyncScan { relation: relation.to_owned(), block, blocks: 1000, rows }
    }

    fn read(reading: &Reading) -> Option<(String, u64, u64)> {
        reading.read().map(|r| (r.what, r.done, r.total))
    }

    #[test]
    fn a_scan_begins_anywhere_and_goes_round() {
        let mut reading = Reading::default();
        let seen = |block| {
            reading.seen(&[at("t", block, Some(5000))]);
            reading.read().map(|r| r.done)
        };
        let (told, blocks) = (Some, [700, 800, 900, 200, 690, 700, 703]);
        assert_eq!(blocks.map(seen), [None, None, told(1000), told(2500), told(4950), told(4950), told(4950)]);
    }

    #[test]
    fn of_several_tables_the_one_that_moves_is_told() {
        let mut reading = Reading::default();
        let mut seen = |a, b| {
            reading.seen(&[at("a", a, Some(100)), at("b", b, None)]);
            read(&reading)
        };
        assert_eq!([seen(0, 0), seen(0, 10)], [None, None], "it may have been read once within the time");
        assert_eq!(seen(0, 20), Some(("blocks read of b".to_owned(), 20, 1000)));
        assert_eq!([seen(100, 20), seen(200, 20)], [None, Some(("rows read of a".to_owned(), 20, 100))]);
        assert_eq!(seen(200, 20), None, "both have come to their ends");
        assert!(reading.is_due(1) && !reading.is_due(1), "it was looked just now");
        assert!(reading.is_due(2) && reading.scans.is_empty(), "another step");
        reading.refused();
        std::thread::sleep(LOOKING);
        assert!(!reading.is_due(2) && reading.is_due(3), "not of this step again");
    }

    #[test]
    fn a_table_may_become_shorter() {
        let mut reading = Reading::default();
        reading.seen(&[at("t", 900, None)]);
        for (block, blocks) in [(950, 1000), (100, 500), (200, 500), (200, 0)] {
            reading.seen(&[SyncScan { blocks, ..at("t", block, None) }]);
        }
        assert_eq!(reading.read(), None, "an empty one has no scan");
    }
}
