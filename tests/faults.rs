//! Faults: whatever breaks an apply, the same plan is applied in the end, nothing is lost, and nothing is left behind.
//!
//! `cargo test` runs a sample; `make faults` runs all of it and writes the table in `docs/reliability.md`. `PLUMB_FAULTS=N` takes N
//! of each part at random, by `PLUMB_SEED`; `PLUMB_FAULTS=every` does everything at every message, `PLUMB_FAULTS_NEAR=WORDS` around those that have the words in
//! them. `PLUMB_FAULT=line:1234` brings one back.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "support/faults/mod.rs"]
mod faults;
mod support;

use faults::report::{self, Outcome};
use faults::throwaway::Throwaway;
use faults::work::{Part, Worker, parts};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::random::Random;
use support::server;

/// How many of each part `cargo test` runs.
const SAMPLE: &[(Part, usize)] = &[
    (Part::Line, 18),
    (Part::Early, 2),
    (Part::Late, 1),
    (Part::Long, 2),
    (Part::Server, 6),
    (Part::Crowd, 4),
    (Part::Standby, 0),
];

/// How many work at the same time at most: some only wait for a line that is silent.
const WORKERS: usize = 5;

/// What a worker's own server is started with.
const OWN: &[&str] = &["max_connections=24", "superuser_reserved_connections=0"];

/// The cells that are asked for.
fn chosen(all: Vec<(Part, Vec<usize>)>, seed: u64) -> Vec<(Part, usize)> {
    let one = std::env::var("PLUMB_FAULT").ok();
    let wanted = std::env::var("PLUMB_FAULTS").ok();
    let near = std::env::var("PLUMB_FAULTS_NEAR").is_ok();
    let mut random = Random::new(seed);
    let mut chosen = Vec::new();
    for (part, cells) in all {
        let name = |cell: &usize| format!("{}:{cell}", part.name());
        let size = match wanted.as_deref() {
            None if near => cells.len(),
            None => SAMPLE.iter().find(|(p, _)| *p == part).map_or(0, |(_, size)| *size),
            Some("all" | "every") => cells.len(),
            Some(n) => n.parse().expect("PLUMB_FAULTS is a number, `all` or `every`"),
        };
        let cells = match &one {
            Some(one) => {
                one.split(',').filter_map(|one| one.strip_prefix(part.name())?.strip_prefix(':')?.parse().ok()).collect()
            }
            None => random.sample(cells, size),
        };
        chosen.extend(cells.into_iter().inspect(|cell| assert!(!name(cell).is_empty())).map(|cell| (part, cell)));
    }
    chosen
}

fn main() {
    let begun = Instant::now();
    let (_, seed) = Random::seeded();
    let [server, copies] = ["server", "copies"].map(|name| Throwaway::start(name, &["max_connections=100"]));
    let house = (&server, &copies);
    let every = std::env::var("PLUMB_FAULTS").is_ok_and(|f| f == "every");
    let whole = std::env::var("PLUMB_FAULTS").is_ok_and(|f| f == "all" || f == "every") && std::env::var("PLUMB_FAULT").is_err();
    let cells = chosen(parts(house, every, seed), seed);
    println!("faults: {} to come; PLUMB_SEED={seed} brings them back", cells.len());
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for n in 0..WORKERS.min(cells.len()) {
            let (cells, next, outcomes) = (&cells, &next, &outcomes);
            scope.spawn(move || {
                let own = Throwaway::start(&format!("own{n}"), OWN);
                let mut worker = Worker::new(house, &own, n, seed);
                while let Some((part, cell)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = worker.run(*part, *cell);
                    let name = format!("{}:{cell}", part.name());
                    let outcome = Outcome { part: part.title(), row: part.row(*cell), name, runs: part.runs(), result };
                    let mut outcomes = outcomes.lock().unwrap();
                    if outcome.result.is_err() {
                        print!("{}", report::failures(std::slice::from_ref(&outcome), seed));
                    }
                    outcomes.push(outcome);
                    if outcomes.len().is_multiple_of(100) {
                        println!("  {} of {} ... {:.0} s", outcomes.len(), cells.len(), begun.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let table = report::table(&outcomes);
    let took = format!("in {:.0} s, PLUMB_SEED={seed}, PostgreSQL {}", begun.elapsed().as_secs_f64(), server::server().major());
    println!("{table}{took}");
    if whole {
        report::write(&format!("{table}\n{} faults {took}.\n", outcomes.iter().map(Outcome::faults).sum::<usize>()));
    }
    drop((server, copies));
    server::cleanup();
    let lost = outcomes.iter().filter(|o| o.result.is_err()).count();
    if lost > 0 {
        print!("{}", report::failures(&outcomes, seed));
        println!("faults: {lost} lost");
        std::process::exit(1);
    }
}
