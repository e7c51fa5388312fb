//! What DDL locks, writes anew and reads, on the server of the run (`PLUMB_TEST_MAJOR`): every entry of `fixtures/locks` is a test by
//! name, so that `cargo test --test locks -- C24` chooses.
//!
//! `PLUMB_BLESS=1` measures all entries (those whose names hold `PLUMB_CASE`) on that server, writes `fixtures/locks/measured`, and then
//! `docs/locks.md`. Entries were written with what was believed of them (`says`); where the server does something else, the server is
//! right, and the entry has to say so (`differs`).
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::lock_table::{self, CONFLICTS, Facts, MODES, Measured, Row, VERSIONS};
use support::{lock_page, lock_probe, server, tree};

/// Where the ids come from; not part of this repository.
const SOURCE: &str = "../shared/ddl_locks.md";

fn rows() -> Vec<Arc<Row>> {
    lock_table::sections().into_iter().flat_map(|s| s.row).map(Arc::new).collect()
}

fn verdict(row: &Row, recorded: Option<&Facts>) -> Result<(), Failed> {
    let seen = lock_probe::measure(row)?;
    match recorded {
        None => Err(format!("{seen:?} is not recorded: PLUMB_BLESS=1 cargo test --test locks").into()),
        Some(recorded) if *recorded == seen => Ok(()),
        Some(recorded) => Err(format!("recorded: {recorded:?}\nseen:     {seen:?}").into()),
    }
}

/// Every id of the source, each form once, and nothing recorded that is no entry.
fn complete(rows: &[Arc<Row>]) -> Result<(), Failed> {
    let mut keys = BTreeSet::new();
    if let Some(twice) = rows.iter().find(|r| !keys.insert(r.key())) {
        return Err(format!("{} stands there twice", twice.key()).into());
    }
    for major in VERSIONS {
        let wanted: BTreeSet<String> = rows.iter().filter(|r| r.is_for(major)).map(|r| r.key()).collect();
        let found: BTreeSet<String> = lock_table::measured(major).facts.into_keys().collect();
        if !found.is_empty() && found != wanted {
            let differ: Vec<&String> = found.symmetric_difference(&wanted).collect();
            return Err(format!("measured on {major}, or an entry, but not both: {differ:?}").into());
        }
    }
    let source = std::fs::read_to_string(tree::root(SOURCE)).unwrap_or_default();
    let cells = source.lines().filter_map(|l| l.strip_prefix("| ")?.split(' ').next());
    let rules = source.lines().filter_map(|l| l.strip_prefix("- ")?.split(' ').next());
    let is_id = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase()) && word.ends_with(|c: char| c.is_ascii_digit());
    let missing: Vec<&str> = cells.chain(rules).filter(is_id).filter(|id| !rows.iter().any(|r| r.id == *id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("rows of {SOURCE} without an entry: {missing:?}").into()) }
}

/// What a claim and a server do not agree about is said, and nothing else is.
fn claims(rows: &[Arc<Row>]) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|r| r.unmeasured.is_none()) {
        let on =
            |major: u32| lock_table::measured(major).facts.get(&row.key()).map(|f| row.contradictions(f)).unwrap_or_default();
        let found: BTreeSet<String> =
            VERSIONS.flat_map(|major| on(major).into_iter().map(move |c| format!("{c} ({major})"))).collect();
        match (&row.differs, found.is_empty()) {
            (None, false) => wrong.push(format!("{}:\n    {}", row.key(), found.into_iter().collect::<Vec<_>>().join("\n    "))),
            (Some(_), true) => wrong.push(format!("{} differs from nothing", row.key())),
            _ => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("contradictions that no entry tells:\n  {}", wrong.join("\n  ")).into()) }
}

fn modes() -> Result<(), Failed> {
    let pairs: Vec<_> = MODES.iter().flat_map(|(held, _)| MODES.iter().map(move |(wanted, _)| (*held, *wanted))).collect();
    let seen = lock_probe::conflicts(&pairs)?;
    let said: Vec<bool> = CONFLICTS.iter().flat_map(|row| row.chars().map(|c| c == 'x')).collect();
    let wrong: Vec<_> = pairs.iter().zip(seen.iter().zip(&said)).filter(|(_, (a, b))| a != b).map(|(pair, _)| pair).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("otherwise on the server: {wrong:?}").into()) }
}

fn page() -> Result<(), Failed> {
    let written = tree::text(&tree::root("docs/locks.md"));
    if written == lock_page::page() {
        Ok(())
    } else {
        Err("docs/locks.md is stale: PLUMB_BLESS=1 cargo test --test locks".into())
    }
}

/// Measures the entries whose names hold the word, and writes what depends on them.
fn bless(rows: &[Arc<Row>], filter: Option<&str>) -> bool {
    let major = server::server().major();
    let chosen: Vec<&Arc<Row>> = rows.iter().filter(|r| r.is_for(major) && filter.is_none_or(|f| r.key().contains(f))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(row) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((row.key(), lock_probe::measure(row)));
        }
        found
    };
    let found: Vec<(String, Result<Facts, String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..tree::jobs()).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let mut facts = lock_table::measured(major).facts;
    facts.retain(|key, _| rows.iter().any(|r| r.is_for(major) && r.key() == *key));
    let mut good = true;
    for (key, result) in found {
        match result {
            Ok(seen) => drop(facts.insert(key, seen)),
            Err(e) => {
                println!("NOT {e}");
                good = false;
            }
        }
    }
    lock_table::record(major, &Measured { server: lock_probe::server_version(), facts });
    std::fs::write(tree::root("docs/locks.md"), lock_page::page()).unwrap();
    good
}

fn main() {
    let mut arguments = Arguments::from_args();
    let rows = rows();
    if std::env::var_os("PLUMB_BLESS").is_some() {
        let named = std::env::var("PLUMB_CASE").ok();
        let good = bless(&rows, named.as_deref().or(arguments.filter.as_deref()));
        server::cleanup();
        std::process::exit(i32::from(!good));
    }
    arguments.test_threads = arguments.test_threads.or(Some(tree::jobs()));
    let mut trials = vec![Trial::test("table/modes", modes), Trial::test("table/page", page)];
    for (name, check) in [("table/complete", complete as fn(&[Arc<Row>]) -> _), ("table/claims", claims)] {
        let rows = rows.clone();
        trials.push(Trial::test(name, move || check(&rows)));
    }
    let major = if arguments.list { 0 } else { server::server().major() };
    let recorded = Arc::new(lock_table::measured(major).facts);
    for row in rows.iter().filter(|r| r.unmeasured.is_none()) {
        let (row, recorded) = (Arc::clone(row), Arc::clone(&recorded));
        let other_version = major > 0 && !row.is_for(major);
        let trial = Trial::test(row.key(), move || verdict(&row, recorded.get(&row.key())));
        trials.push(trial.with_ignored_flag(other_version));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}
