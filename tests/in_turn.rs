//! The phases in turn end where the whole does: each case of `fixtures/cases` is planned up to `expand`, `migrate` and `contract`,
//! with its rows, in direct and in online forms. Each of these plans has no step of a later phase, is proven, is applied, and leads
//! to its `to`; and after the last one nothing is left, and pg_dump sees the wanted state.
//!
//! A choice of cases runs by itself, all of them with `PLUMB_IN_TURN=all`; `cargo test --test in_turn -- NAME` chooses among them.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use plumb::kind;
use plumb::plan::{Made, Phase, Proof, Sides};
use plumb::prove::prove;
use plumb::shadow::Properties;
use plumb::statement::Online;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use support::{Bench, Failure, Side, engine, rows, server, tree};

/// How many of the cases run: one of so many.
const ONE_OF: usize = 40;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings {
    roles: Vec<String>,
    min_version: u32,
    loses: bool,
    rows_except: Vec<String>,
    pins: Vec<toml::Value>,
}

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap_or_default()
}

async fn in_turn(bench: &Bench, folder: &Path, settings: &Settings, online: Online) -> Result<(), Failure> {
    bench.roles(&settings.roles).await;
    let scripts = [text(folder, "before.sql"), text(folder, "seed.sql")];
    let loaded = |e: support::load::Refused| Failure::new("does not load", e.to_string());
    let live = Side::load(bench, &[&scripts[0], &scripts[1]]).await.map_err(loaded)??;
    let wanted = Side::load(bench, &[&text(folder, "after.sql")]).await.map_err(loaded)??;
    let found = rows::read(&live.database).await;
    for phase in Phase::ALL {
        let whole = engine::read(&live.database).await?;
        let mut sides = Sides { online, ..engine::sides(&live.database, whole, &wanted.catalog).await? };
        let made = engine::make_up_to(&mut sides, phase)?;
        let at = |f: Failure| Failure { message: format!("{}: {}\n{}", phase.name(), f.message, engine::golden(&made)), ..f };
        one(&live.database, &sides, &made, phase).await.map_err(at)?;
    }
    engine::empty(&live.database, &wanted, "something is left").await?;
    engine::same_dump(bench, &live.database, &wanted).await?;
    if folder.join("seed.sql").exists() && !settings.loses {
        rows::survive(&live.database, &found, &settings.rows_except).await.map_err(|e| Failure::new("rows", e))?;
    }
    bench.drop(&live.database).await;
    bench.drop(&wanted.database).await;
    Ok(())
}

async fn one(database: &str, sides: &Sides, made: &Made, phase: Phase) -> Result<(), Failure> {
    if let Some(step) = made.plan.steps().find(|s| s.phase.parse::<Phase>().unwrap() > phase) {
        return Err(Failure::new("of a later phase", format!("step {} belongs to {}", step.id, step.phase)));
    }
    proven(database, sides, made).await?;
    engine::apply(database, made).await?;
    // Two databases may write one expression in two ways, so that fingerprints are compared by what they are of.
    let after = engine::sides(database, engine::read(database).await?, &sides.desired).await?;
    let differ = engine::left(&after);
    if differ.is_empty() { Ok(()) } else { Err(Failure::new("not its `to`", differ)) }
}

async fn proven(database: &str, sides: &Sides, made: &Made) -> Result<(), Failure> {
    if made.plan.is_empty() {
        return Ok(());
    }
    let session = server::session(database).await;
    let properties = Properties::read(&session).await.unwrap();
    session.close().await;
    let mut roles = kind::roles(&sides.whole);
    roles.extend(kind::roles(&sides.desired));
    let scratch = server::scratch(&properties, &sides.whole.role, &roles).await;
    let outcome = prove(scratch, sides, made, false).await.map_err(|e| Failure::new("proof", e.to_string()))?;
    match outcome.proof {
        Proof::Equal { .. } => Ok(()),
        Proof::Unproven { reason } => Err(Failure::new("unproven", reason)),
    }
}

/// All cases, or a choice of them.
fn cases() -> Vec<(String, PathBuf, Settings)> {
    let all = std::env::var_os("PLUMB_IN_TURN").is_some();
    let kinds = tree::folders(&tree::root("fixtures/cases"));
    // Another name has no phases: plumb refuses such plans.
    let kinds = kinds.iter().filter(|kind| tree::name(kind) != "rename");
    let folders = kinds.flat_map(|kind| tree::folders(kind)).filter(|f| f.join("before.sql").exists()).enumerate();
    let mut list = Vec::new();
    for (_, folder) in folders.filter(|(n, _)| all || n % ONE_OF == 0) {
        let settings: Settings = toml::from_str(&text(&folder, "case.toml")).unwrap();
        if settings.pins.is_empty() && settings.min_version <= server::server().version {
            list.push((format!("{}/{}", tree::name(folder.parent().unwrap()), tree::name(&folder)), folder, settings));
        }
    }
    list
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(tree::jobs()));
    let trial = |(name, folder, settings): (String, PathBuf, Settings)| {
        Trial::test(name, move || {
            for online in [Online::Never, Online::Always] {
                let result = Bench::work(async |bench| in_turn(bench, &folder, &settings, online).await);
                result.map_err(|f| Failed::from(format!("{online:?}: {f}")))?;
            }
            Ok(())
        })
    };
    let trials = cases().into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}
