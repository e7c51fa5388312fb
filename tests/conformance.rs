//! Schemas and before/after pairs of others, read from `../shared` when it is there: every schema from an empty database and
//! against itself, every pair in both directions, each applied and held against pg_dump. Pairs are proven before, and the locks,
//! rewrites and scans that their steps declare are those that are seen on the copy (of a sample only forward).
//!
//! `make test` takes a sample (`PLUMB_SEED`, `PLUMB_SAMPLE`); `make conformance` (`PLUMB_CONFORMANCE=all`) takes everything and
//! writes `docs/conformance.md`. Known failures are pinned in `conformance_pins.toml`; a pin that passes fails the run. Words on
//! the command line choose items by name; `PLUMB_REPORT` names a file for the failures in full.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "support/conformance_page.rs"]
mod conformance_page;
mod support;

use conformance_page::*;

use plumb::source::{Files, Policy, load_statements};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::load::Refused;
use support::{Bench, Failure, Side, engine, facts, random, server, tree};

/// Something to load and go through.
#[derive(Clone, Debug)]
struct Unit {
    source: String,
    name: String,
    what: What,
    /// What must exist first.
    setup: String,
    roles: Vec<String>,
}

#[derive(Clone, Debug)]
enum What {
    /// From empty, and against itself.
    Schema(String),
    /// In both directions.
    Pair { old: String, new: String, noop: bool, back: bool },
    /// Files in an order that psql cannot load: the loader of files must, and a plan from the one to the other converges.
    Files { old: String, new: String },
    /// Not for this server.
    NotHere(String),
}

#[derive(Clone, Debug)]
enum Outcome {
    Ok,
    Skipped(String),
    Failed(Failure),
}

#[derive(Debug)]
struct Item {
    source: String,
    name: String,
    outcome: Outcome,
}

/// A line of `cases/*.jsonl`.
#[derive(Deserialize)]
struct Case {
    name: String,
    old: String,
    new: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    schemas: Vec<String>,
    #[serde(default)]
    extensions: Vec<String>,
    min_version: Option<String>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    noop: bool,
    #[serde(default)]
    needs_setup: bool,
    error: Option<String>,
}

#[derive(Deserialize, Default)]
struct Pins {
    #[serde(default)]
    pin: Vec<Pin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    item: String,
    reason: String,
}

fn units(shared: &Path) -> Vec<Unit> {
    let mut list = Vec::new();
    for folder in tree::folders(&shared.join("corpora")) {
        let source = format!("corpora/{}", tree::name(&folder));
        let unit =
            |name: &str, what| Unit { source: source.clone(), name: name.into(), what, setup: String::new(), roles: vec![] };
        list.push(unit("schema", What::Schema(tree::text(&folder.join("schema.sql")))));
        for pair in tree::folders(&folder.join("pairs")) {
            let (old, new) = (tree::text(&pair.join("old.sql")), tree::text(&pair.join("new.sql")));
            list.push(unit(&format!("pair {}", tree::name(&pair)), What::Pair { old, new, noop: false, back: true }));
        }
    }
    for file in ["sqldef", "atlas", "migra", "out_of_order"] {
        let Ok(text) = std::fs::read_to_string(shared.join(format!("cases/{file}.jsonl"))) else { continue };
        for line in text.lines().filter(|l| !l.trim().is_empty()) {
            let case: Case = serde_json::from_str(line).unwrap_or_else(|e| panic!("{file}.jsonl: {e}: {line}"));
            list.push(unit_of(file, case));
        }
    }
    list
}

fn unit_of(file: &str, case: Case) -> Unit {
    let mut setup = String::new();
    // Most scripts make their schemas and extensions themselves.
    for schema in case.schemas.iter().filter(|s| *s != "public" && case.needs_setup) {
        writeln!(setup, "CREATE SCHEMA {};", plumb::sql::ident(schema)).unwrap();
    }
    for extension in case.extensions.iter().filter(|_| case.needs_setup) {
        writeln!(setup, "CREATE EXTENSION IF NOT EXISTS {};", plumb::sql::ident(extension)).unwrap();
    }
    let major = server::server().major();
    let minimum = case.min_version.as_deref().and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    let named = format!("postgres{major}");
    let (not, only): (Vec<&String>, Vec<&String>) = case.versions.iter().partition(|v| v.starts_with("not "));
    let excluded = not.iter().any(|v| v[4..].split('|').any(|n| n == named));
    let what = if minimum.is_some_and(|m| m > major) {
        What::NotHere(format!("needs PostgreSQL {}", case.min_version.unwrap_or_default()))
    } else if excluded || !only.is_empty() && !only.iter().any(|v| **v == named) {
        What::NotHere(format!("for {} only", case.versions.join(", ")))
    } else if file == "out_of_order" {
        What::Files { old: case.old, new: case.new }
    } else {
        What::Pair { old: case.old, new: case.new, noop: case.noop, back: case.error.is_none() }
    };
    Unit { source: format!("cases/{file}"), name: case.name, what, setup, roles: case.roles }
}

/// Does one unit; a panic is a failure of it.
fn run(unit: &Unit) -> Vec<Item> {
    let items = catch_unwind(AssertUnwindSafe(|| Bench::work(async |bench| go(bench, unit).await)));
    let items = items.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        vec![("", Outcome::Failed(Failure::new("panic", text.unwrap_or_default())))]
    });
    let named = |(suffix, outcome): (&str, Outcome)| Item {
        source: unit.source.clone(),
        name: format!("{}/{} {suffix}", unit.source, unit.name).trim_end().to_owned(),
        outcome,
    };
    items.into_iter().map(named).collect()
}

async fn go(bench: &Bench, unit: &Unit) -> Vec<(&'static str, Outcome)> {
    bench.roles(&unit.roles).await;
    match &unit.what {
        What::NotHere(why) => vec![("forward", Outcome::Skipped(why.clone())), ("back", Outcome::Skipped(why.clone()))],
        What::Files { old, new } => {
            let both = match (from_files(bench, "old.sql", old).await, from_files(bench, "new.sql", new).await) {
                (Ok(old), Ok(new)) => converge(bench, &old, &new, all()).await,
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
            };
            vec![("files", outcome(both))]
        }
        What::Schema(sql) => {
            let sides = states(bench, [&[], &[sql], &[sql]]).await;
            let [empty, schema, again] = match sides {
                Ok(sides) => sides,
                Err(outcome) => return vec![("from empty", outcome.clone()), ("against itself", outcome)],
            };
            let itself = engine::empty(&again.database, &schema, "not equal to itself").await;
            let created = engine::converge(bench, &empty, &schema).await;
            vec![("from empty", outcome(created)), ("against itself", outcome(itself))]
        }
        What::Pair { old, new, noop, back } => {
            let sides = states(bench, [&[&unit.setup, old], &[&unit.setup, new]]).await;
            let [old, new] = match sides {
                Ok(sides) => sides,
                Err(outcome) => return vec![("forward", outcome.clone()), ("back", outcome)],
            };
            let forward = if *noop {
                engine::empty(&old.database, &new, "plan between equal states not empty").await.map(|()| None)
            } else {
                converge(bench, &old, &new, all()).await.map(Some)
            };
            let backward = if *back { outcome(converge(bench, &new, &old, all()).await) } else { no_way_back() };
            vec![("forward", outcome(forward)), ("back", backward)]
        }
    }
}

/// The whole way; before, where it is wished, that the plan is proven and each step does what it declares.
async fn converge(bench: &Bench, live: &Side, desired: &Side, facts: bool) -> Result<(), Failure> {
    let held = if facts { facts::hold(live, desired).await } else { Ok(()) };
    engine::converge(bench, live, desired).await?;
    held
}

/// Whether everything is gone through, and in every way.
fn all() -> bool {
    std::env::var("PLUMB_CONFORMANCE").is_ok_and(|v| v == "all")
}

fn no_way_back() -> Outcome {
    Outcome::Skipped("one direction only, says the source".into())
}

fn outcome<T>(result: Result<T, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(failure) => Outcome::Failed(failure),
    }
}

/// Databases that hold what the scripts make.
async fn states<const N: usize>(bench: &Bench, scripts: [&[&str]; N]) -> Result<[Side; N], Outcome> {
    let mut list = Vec::new();
    for script in scripts {
        let mut loaded = Side::load(bench, script).await;
        // Some sides make what their pair needs first, and some do not.
        if let (Err(refused), [_, own]) = (&loaded, script)
            && ["42P06", "42710"].contains(&refused.code.as_str())
        {
            loaded = Side::load(bench, &[own]).await;
        }
        match loaded {
            Ok(Ok(side)) => list.push(side),
            Ok(Err(failure)) => return Err(Outcome::Failed(failure)),
            Err(Refused { message, .. }) => return Err(Outcome::Skipped(format!("does not load: {message}"))),
        }
    }
    Ok(list.try_into().unwrap_or_else(|_| unreachable!()))
}

/// A database that holds what one file declares, in whatever order.
async fn from_files(bench: &Bench, name: &str, sql: &str) -> Result<Side, Failure> {
    let database = bench.create().await;
    let session = server::session(&database).await;
    let loaded = load_statements(&session.client, None, &Files::text(name, sql), &Policy::default()).await;
    session.close().await;
    loaded.map_err(|e| Failure::new("files do not load", e.to_string()))?;
    Side::of(database).await
}

/// All units, on several threads; items in the order of the units.
fn run_all(units: &[Unit]) -> Vec<Item> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..tree::jobs() {
            support::work(scope, || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(unit) = units.get(i) else { break };
                    let items = run(unit);
                    done.lock().unwrap().insert(i, items);
                    if units.len() > 200 && (i + 1).is_multiple_of(100) {
                        println!("  {} of {} ...", i + 1, units.len());
                    }
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().flatten().collect()
}

fn main() {
    let shared = tree::root("../shared");
    if !shared.join("corpora").is_dir() && !shared.join("cases").is_dir() {
        println!("conformance: ../shared is not here, nothing to run");
        return;
    }
    let started = Instant::now();
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let all = all();
    let mut list = units(&shared);
    if !words.is_empty() {
        let name = |u: &Unit| format!("{}/{}", u.source, u.name);
        list.retain(|u| words.iter().any(|w| name(u).contains(w.as_str())));
    } else if !all {
        let size = std::env::var("PLUMB_SAMPLE").ok().map_or(60, |s| s.parse().expect("PLUMB_SAMPLE is a number"));
        let (mut random, seed) = random::Random::seeded();
        println!("conformance: a sample of {size} items; PLUMB_SEED={seed} brings it back, `make conformance` runs all");
        list = random.sample(list, size / 2);
    }
    println!("conformance: {} units on PostgreSQL {}", list.len(), server::server().major());
    let items = run_all(&list);
    let pins: Pins = toml::from_str(&tree::text(&tree::root("tests/conformance_pins.toml"))).unwrap();
    let pins: BTreeMap<String, String> = pins.pin.into_iter().map(|p| (p.item, p.reason)).collect();
    if let Ok(file) = std::env::var("PLUMB_REPORT") {
        std::fs::write(file, report(&items)).unwrap();
    }
    if all && words.is_empty() {
        std::fs::write(tree::root("docs/conformance.md"), page(&items, &pins)).unwrap();
    }
    println!("{}in {:.0} s", table(&items), started.elapsed().as_secs_f64());
    let names: BTreeSet<&str> = items.iter().map(|i| i.name.as_str()).collect();
    let mut bad = 0;
    for item in &items {
        match (&item.outcome, pins.get(&item.name)) {
            (Outcome::Failed(failure), None) => {
                bad += 1;
                let text: String = failure.to_string().chars().take(1000).collect();
                println!("FAILED {}\n  {}", item.name, text.replace('\n', "\n  "));
            }
            (Outcome::Ok, Some(reason)) => {
                bad += 1;
                println!("FAILED {}: passes, but is pinned as failing ({reason}): take the pin away", item.name);
            }
            _ => {}
        }
    }
    if all && words.is_empty() {
        for pin in pins.keys().filter(|p| !names.contains(p.as_str())) {
            bad += 1;
            println!("FAILED {pin}: pinned, and there is no such item");
        }
    }
    server::cleanup();
    if bad > 0 {
        println!("conformance: {bad} of {} items failed", items.len());
        std::process::exit(1);
    }
}
