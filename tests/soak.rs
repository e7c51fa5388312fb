//! Pairs of schemas at random, over every kind of object and every mutation: planned, proven, applied, nothing left to plan,
//! pg_dump equal, rows still there; and the way back.
//!
//! `make test` runs 100 pairs, always the same; `make soak N=1000` takes others (`PLUMB_SOAK` pairs from `PLUMB_SEED` on). A failing
//! pair is made as small as it gets and printed as a case: its files are left in `target/tmp/soak/<seed>/`, to be copied to
//! `fixtures/cases/<kind>/<name>/`. `PLUMB_SEED=<seed> PLUMB_SOAK=1` brings a pair back. Every second plan
//! takes online forms.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "support/generator/mod.rs"]
mod generator;
mod support;

use generator::{Pair, ROLES, shrink};
use plumb::catalog::Object;
use plumb::kind;
use plumb::order::Op;
use plumb::plan::{Made, Proof, Sides};
use plumb::prove::prove;
use plumb::shadow::Properties;
use plumb::sql::literal;
use plumb::statement::Online;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Bench, Failure, Side, engine, load, random::Random, rows, server, tree};

/// What a run does with each pair.
#[derive(Clone, Copy)]
struct Effort {
    /// One pair in so many is proven and gets rows.
    thorough: u64,
    /// How long a failing pair may be shrunk.
    shrink: Duration,
}

/// What is done with one pair.
#[derive(Clone, Copy)]
struct How {
    /// It is proven and gets rows.
    thorough: bool,
    /// Its plan takes the forms for tables that hold rows.
    online: bool,
}

/// What one pair came to.
struct Failed {
    seed: u64,
    failure: Failure,
    cause: String,
    small: Option<Pair>,
}

/// A message without names and numbers, so that equal causes meet.
fn cause(failure: &Failure) -> String {
    let text = match failure.class.strip_prefix("back: ").unwrap_or(failure.class) {
        "step failed" => failure.message.split_once(": ").map_or(failure.message.as_str(), |(_, m)| m),
        "unproven" | "panic" | "does not load" | "not settled" | "prove" => failure.message.as_str(),
        "second plan not empty" => {
            let words: Vec<&str> = failure.message.split_whitespace().take(2).collect();
            return format!("{}: {}", failure.class, words.join(" "));
        }
        _ => "",
    };
    let mut quoted = false;
    let kept = |c: &char| {
        quoted ^= *c == '"';
        !quoted && !c.is_ascii_digit()
    };
    let line: String = text.lines().next().unwrap_or_default().chars().filter(kept).take(60).collect();
    format!("{}: {line}", failure.class)
}

/// One pair, both ways.
async fn check(bench: &Bench, pair: &Pair, how: How) -> Result<(), Failure> {
    bench.roles(&ROLES.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>()).await;
    let before = side(bench, &pair.before.sql()).await?;
    let after = side(bench, &pair.after.sql()).await?;
    let (sides, made) = planned(&before, &after, how.online).await?;
    engine::apply(&before.database, &made).await?;
    engine::empty(&before.database, &after, "second plan not empty").await?;
    engine::same_dump(bench, &before.database, &after).await?;
    // Last, for they cost most, and what the plan itself gets wrong has shown by now.
    if how.thorough {
        proven(&before, &sides, &made).await?;
        survives(bench, pair, &made).await?;
    }
    engine::converge(bench, &after, &before).await.map(drop).map_err(back)
}

/// The plan, in direct forms or in those for tables that hold rows.
async fn planned(before: &Side, after: &Side, online: bool) -> Result<(Sides, Made), Failure> {
    let (sides, made) = engine::plan_to(before, after).await?;
    if !online {
        return Ok((sides, made));
    }
    let sides = Sides { online: Online::Always, ..sides };
    let made = engine::make(&sides)?;
    Ok((sides, made))
}

/// The same failure, on the way back.
fn back(failure: Failure) -> Failure {
    let class = match failure.class {
        "step failed" => "back: step failed",
        "second plan not empty" => "back: second plan not empty",
        "dump differs" => "back: dump differs",
        "no plan: cycle" => "back: no plan: cycle",
        "no plan: blocked" => "back: no plan: blocked",
        other => other,
    };
    Failure { class, ..failure }
}

async fn side(bench: &Bench, sql: &str) -> Result<Side, Failure> {
    let refused = |e: load::Refused| Failure { class: "does not load", message: e.message, sql: e.sql };
    Side::load(bench, &[sql]).await.map_err(refused)?
}

/// That the plan, run on a copy, ends where it says.
async fn proven(before: &Side, sides: &Sides, made: &Made) -> Result<(), Failure> {
    let failed = |e: String| Failure::new("prove", e);
    let session = server::session(&before.database).await;
    let properties = Properties::read(&session).await.unwrap();
    session.close().await;
    let mut roles = kind::roles(&sides.whole);
    roles.extend(kind::roles(&sides.desired));
    let scratch = server::scratch(&properties, &sides.whole.role, &roles).await;
    let outcome = prove(scratch, sides, made, false).await;
    match outcome.map_err(|e| failed(e.to_string()))?.proof {
        Proof::Equal { .. } => Ok(()),
        Proof::Unproven { reason } => Err(Failure::new("unproven", reason)),
    }
}

/// That rows survive in tables that do. What the rows themselves forbid (a value that does not convert, a key that is not
/// unique any more) ends the attempt, and so does a plan that says what it loses.
async fn survives(bench: &Bench, pair: &Pair, made: &Made) -> Result<(), Failure> {
    if made.plan.steps().flat_map(|s| &s.hazards).any(|h| h.code.starts_with("loses")) {
        return Ok(());
    }
    let refused = |e: load::Refused| Failure { class: "does not load", message: e.message, sql: e.sql };
    let database = load::fresh(bench, &[&pair.before.sql()]).await.map_err(refused)?;
    let session = server::session(&database).await;
    // Rows may come before those that they refer to.
    session.client.batch_execute("SET session_replication_role = replica").await.unwrap();
    for row in pair.before.rows() {
        session.client.batch_execute(&row).await.ok();
    }
    session.close().await;
    let found = rows::read(&database).await;
    if let Err(failure) = engine::apply(&database, made).await {
        const OF_ROWS: &[&str] = &[
            "violates",
            "contains null values",
            "does not allow null values",
            "invalid input",
            "out of range",
            "could not create unique",
            "could not create exclusion",
            "is violated by",
            "cannot cast",
            // The wanted partitions have no place for a row, or another one than it has.
            "no partition of relation",
            "would be violated by some row",
        ];
        let of_rows = OF_ROWS.iter().any(|t| failure.message.contains(t));
        return if of_rows { Ok(()) } else { Err(Failure { class: "step failed with rows", ..failure }) };
    }
    let except = [counted(&found, made), filled(made)].concat();
    rows::survive(&database, &found, &except).await.map_err(|e| Failure::new("rows", e))
}

/// What goes on of sequences that give the rows of a table their values in a new column.
fn counted(tables: &rows::Tables, made: &Made) -> Vec<String> {
    let added: Vec<&String> = made.plan.steps().flat_map(|s| &s.sql).filter(|sql| sql.contains(" ADD COLUMN ")).collect();
    let used = |name: &&String| added.iter().any(|sql| sql.contains(&format!("nextval({}", literal(name))));
    tables.keys().filter(used).flat_map(|s| ["last_value", "is_called"].map(|c| format!("{s}.{c}"))).collect()
}

/// The partitions of tables that are made anew with their rows: those of the table go where they belong now.
fn filled(made: &Made) -> Vec<String> {
    let restored = made.steps.iter().filter(|s| s.node.op == Op::Restore).map(|s| s.node.id.sql());
    let mut tables: Vec<String> = restored.collect();
    let partitions = || made.changes.list.values().filter(|c| c.id.class() == "partition").filter_map(|c| c.new.as_ref());
    loop {
        let under =
            |p: &&Object| tables.contains(&p.text("parent").to_owned()) && !tables.contains(&p.id.as_class("table").sql());
        let more: Vec<String> = partitions().filter(under).map(|p| p.id.as_class("table").sql()).collect();
        if more.is_empty() {
            return tables;
        }
        tables.extend(more);
    }
}

fn run(seed: u64, effort: Effort, known: &Mutex<BTreeSet<String>>) -> Option<Failed> {
    let how = How { thorough: seed.is_multiple_of(effort.thorough), online: seed.is_multiple_of(2) };
    let pair = match catch_unwind(|| Pair::of(seed)) {
        Ok(pair) => pair,
        Err(panic) => {
            let failure = Failure::new("generator", words(&*panic));
            return Some(Failed { seed, cause: cause(&failure), failure, small: None });
        }
    };
    let failure = attempt(&pair, how)?;
    let cause = cause(&failure);
    let thorough = ["unproven", "prove", "rows", "step failed with rows"].contains(&failure.class);
    let how = How { thorough, ..how };
    // One small pair for each cause.
    let first = known.lock().unwrap().insert(cause.clone());
    let small = (first && !effort.shrink.is_zero()).then(|| {
        let until = Instant::now() + effort.shrink;
        server::runtime().block_on(shrink(pair, until, async |candidate| {
            // Each candidate in a thread of its own, for its connections belong to another runtime.
            let found = std::thread::scope(|s| s.spawn(|| attempt(candidate, how)).join().unwrap());
            found.is_some_and(|f| self::cause(&f) == cause)
        }))
    });
    Some(Failed { seed, failure, cause, small })
}

/// One pair at a bench of its own; a panic is a failure of it.
fn attempt(pair: &Pair, how: How) -> Option<Failure> {
    let work = || Bench::work(async |bench| check(bench, pair, how).await);
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.err(),
        Err(panic) => Some(Failure::new("panic", words(&*panic))),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}

/// Prints a failure as a case, and writes its files.
fn report(failed: &Failed) {
    let text: String = failed.failure.to_string().chars().take(1500).collect();
    println!("\nFAILED seed {} ({})\n  {}", failed.seed, failed.cause, text.replace('\n', "\n  "));
    let Some(pair) = &failed.small else { return };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak/{}", failed.seed));
    std::fs::create_dir_all(&folder).unwrap();
    let roles: Vec<String> = ROLES.iter().map(|r| format!("{r:?}")).collect();
    let files = [
        ("before.sql", pair.before.sql()),
        ("after.sql", format!("-- {}.\n{}", failed.cause, pair.after.sql())),
        ("case.toml", format!("roles = [{}]\n", roles.join(", "))),
    ];
    for (name, text) in files {
        println!("--- {name}\n{text}");
        std::fs::write(folder.join(name), text).unwrap();
    }
    if let Some(failure) = attempt(pair, How { thorough: true, online: failed.seed.is_multiple_of(2) }) {
        println!("--- fails so\n{failure}");
    }
    println!("cp -r {} fixtures/cases/KIND/NAME", folder.display());
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn main() {
    let count = number("PLUMB_SOAK");
    // Always the same pairs where nobody asks: `make test` fails for what was changed, not by chance.
    let seed = if count.is_some() { Random::seeded().1 } else { number("PLUMB_SEED").unwrap_or(1) };
    let thorough = if count.is_some() { 1 } else { 4 };
    let effort = Effort { thorough, shrink: Duration::from_secs(number("PLUMB_SHRINK").unwrap_or(60)) };
    let count = count.unwrap_or(100);
    if let Ok(side) = std::env::var("PLUMB_SOAK_SHOW") {
        let pair = Pair::of(seed);
        println!("{}", if side == "after" { pair.after.sql() } else { pair.before.sql() });
        return;
    }
    println!(
        "soak: {count} pairs on PostgreSQL {}; PLUMB_SOAK={count} PLUMB_SEED={seed} brings them back",
        server::server().major()
    );
    let (started, next) = (Instant::now(), AtomicUsize::new(0));
    let (known, found) = (Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..tree::jobs() {
            support::work(scope, || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if i >= count {
                        break;
                    }
                    // Not in one expression with the lock, which would be held while the pair runs.
                    let failed = run(seed + i, effort, &known).inspect(report);
                    found.lock().unwrap().extend(failed);
                    if (i + 1).is_multiple_of(100) {
                        println!("  {} of {count}, {:.0} s ...", i + 1, started.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let mut causes: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    found.iter().for_each(|f| causes.entry(&f.cause).or_default().push(f.seed));
    for (cause, seeds) in &causes {
        println!("{:5} {cause}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    println!("soak: {} of {count} pairs failed, {:.0} s", found.len(), started.elapsed().as_secs_f64());
    server::cleanup();
    if !found.is_empty() {
        std::process::exit(1);
    }
}
