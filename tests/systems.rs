//! Real systems through time: `fixtures/systems/<name>/{roles.sql, seed.sql, schema/, steps/NN_x/after/}`.
//!
//! State 0 is `schema/`; state N lays the files of the first N steps over it (`x.sql.deleted` takes `x.sql` away). State 0 is
//! loaded from its files and gets the rows of `seed.sql`; then every step is planned from the files of the next state as the
//! product does it (a scratch database, the ordinary loading role), proven, applied to the database with its rows, and must leave
//! nothing to do, the rows of every table, and what pg_dump sees in a fresh load of the next state. `NAME/phases` does the same phase
//! by phase.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use plumb::introspect::introspect;
use plumb::kind;
use plumb::plan::{Phase, Proof};
use plumb::prove::prove;
use plumb::shadow::{Properties, Scratch};
use plumb::source::{Files, Policy, load_statements};
use plumb::statement::Online;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Bench, Failure, Side, dump, engine, load, rows, server, tree};

/// Values that a step is meant to change, although the column and its type keep their names.
const EXCEPT: &[(&str, &str)] = &[
    ("08_retire_legacy", "public.agent_results.usage"), // its composite type gets an attribute
];

/// What a server without pgvector cannot load: taken out of every file.
struct Strip(bool);

impl Strip {
    fn file(&self, path: &str) -> bool {
        !(self.0 && path.ends_with("match_agent_results.sql"))
    }

    fn text(&self, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let gone = |l: &&str| {
            let extension = l.find("EXTENSION").is_some_and(|i| l[i..].contains("vector"));
            extension || l.contains("USING hnsw") || l.contains("match_agent_results")
        };
        let kept: Vec<String> = text.lines().filter(|l| !gone(l)).map(|l| l.replace("vector(1536)", "real[]")).collect();
        kept.join("\n") + "\n"
    }
}

/// The states of a system as path → text.
fn states(system: &Path, strip: &Strip) -> Vec<(String, BTreeMap<PathBuf, String>)> {
    let base = system.join("schema");
    let mut files = BTreeMap::new();
    overlay(&mut files, &base, strip);
    let mut list = vec![("start".to_owned(), files.clone())];
    for step in tree::folders(&system.join("steps")) {
        overlay(&mut files, &step.join("after"), strip);
        list.push((tree::name(&step), files.clone()));
    }
    list
}

fn overlay(files: &mut BTreeMap<PathBuf, String>, folder: &Path, strip: &Strip) {
    for path in tree::files(folder) {
        let inside = path.strip_prefix(folder).unwrap();
        let shown = inside.to_string_lossy();
        if let Some(gone) = shown.strip_suffix(".deleted") {
            assert!(files.remove(Path::new(gone)).is_some() || !strip.file(gone), "{shown}: there is no such file");
        } else if strip.file(&shown) {
            files.insert(inside.to_owned(), strip.text(&tree::text(&path)));
        }
    }
}

/// A folder with the files of a state, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn of(files: &BTreeMap<PathBuf, String>) -> Folder {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("plumb-systems-{}-{number}", std::process::id())));
        for (path, text) in files {
            let path = folder.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

async fn scratch(properties: &Properties, roles: &[String]) -> Scratch {
    server::scratch(properties, server::USER, &roles.iter().cloned().collect()).await
}

/// A state loaded into a database of its own, and plumb's catalog of it by way of a scratch database.
async fn state(bench: &Bench, files: &Files, properties: &Properties, roles: &[String]) -> Result<Side, Failure> {
    let database = bench.create().await;
    let session = server::session(&database).await;
    let loaded = load_statements(&session.client, None, files, &Policy::default()).await;
    session.close().await;
    loaded.map_err(|e| Failure::new("does not load", e.to_string()))?;
    let scratch = scratch(properties, roles).await;
    let loaded = load_statements(&scratch.session.client, Some(&*scratch.administrator.client), files, &Policy::default()).await;
    loaded.map_err(|e| Failure::new("does not load as an ordinary role", e.to_string()))?;
    let catalog = introspect(&scratch.session).await.map_err(|e| Failure::new("not read", e.to_string()))?;
    scratch.drop().await.map_err(|e| Failure::new("scratch", e.to_string()))?;
    let dump = dump::raw(&database).map_err(|e| Failure::new("pg_dump", e))?;
    Ok(Side { database, catalog, dump })
}

fn role_names(sql: &str) -> Vec<String> {
    let words: Vec<&str> = sql.split(|c: char| c.is_whitespace() || c == ';').collect();
    words.windows(3).filter(|w| w[0] == "CREATE" && w[1] == "ROLE").map(|w| w[2].to_owned()).collect()
}

async fn through_time(bench: &Bench, system: &Path, phases: &[Phase]) -> Result<(), Failure> {
    let in_step = |step: &str, f: Failure| Failure { message: format!("{step}: {}", f.message), ..f };
    let roles = role_names(&tree::text(&system.join("roles.sql")));
    bench.roles(&roles).await;
    let live = bench.create().await;
    let session = server::session(&live).await;
    let properties = Properties::read(&session).await.unwrap();
    let offered = "SELECT count(*)::int4 FROM pg_available_extensions WHERE name = 'vector'";
    let strip = Strip(session.client.query_one(offered, &[]).await.unwrap().get::<_, i32>(0) == 0);
    if strip.0 {
        println!("systems: this server has no extension `vector`; what needs it is taken out of {}", tree::name(system));
    }
    let states = states(system, &strip);
    let start = Folder::of(&states[0].1);
    let files = Files::read(&start.0).map_err(|e| Failure::new("files", e.to_string()))?;
    let loaded = load_statements(&session.client, None, &files, &Policy::default()).await;
    loaded.map_err(|e| Failure::new("does not load", e.to_string()))?;
    let seed = strip.text(&tree::text(&system.join("seed.sql")));
    load::run(&session, &seed).await.map_err(|e| Failure::new("seed.sql", e.to_string()))?;
    session.close().await;
    for (name, files) in &states {
        let folder = Folder::of(files);
        let files = Files::read(&folder.0).map_err(|e| Failure::new("files", e.to_string()))?;
        let except: Vec<String> = EXCEPT.iter().filter(|(s, _)| s == name).map(|(_, c)| (*c).to_owned()).collect();
        step(bench, &live, &files, &properties, (&roles, &except), phases).await.map_err(|f| in_step(name, f))?;
    }
    Ok(())
}

/// One step, by way of plans up to each of these phases; for the start the plan is empty.
async fn step(
    bench: &Bench,
    live: &str,
    files: &Files,
    properties: &Properties,
    (roles, except): (&[String], &[String]),
    phases: &[Phase],
) -> Result<(), Failure> {
    let wanted = state(bench, files, properties, roles).await?;
    let before = rows::read(live).await;
    for phase in phases {
        let whole = engine::read(live).await?;
        let mut sides = engine::sides(live, whole, &wanted.catalog).await?;
        // The parts of online forms belong together.
        sides.online = if phases.len() > 1 { Online::Always } else { Online::Never };
        let made = engine::make_up_to(&mut sides, *phase)?;
        let mut every = kind::roles(&sides.whole);
        every.extend(roles.iter().cloned());
        let every: Vec<String> = every.into_iter().collect();
        let scratch = scratch(properties, &every).await;
        let outcome = prove(scratch, &sides, &made, true).await;
        if let Proof::Unproven { reason } = outcome.map_err(|e| Failure::new("proof", e.to_string()))?.proof {
            return Err(Failure::new("unproven", format!("{}: {reason}", phase.name())));
        }
        engine::apply(live, &made).await?;
    }
    engine::empty(live, &wanted, "second plan not empty").await?;
    rows::survive(live, &before, except).await.map_err(|e| Failure::new("rows", e))?;
    engine::same_dump(bench, live, &wanted).await?;
    bench.drop(&wanted.database).await;
    Ok(())
}

/// A system is one story, and two tests: in whole plans, and phase by phase in online forms.
fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(tree::jobs()));
    let trial = |system: &PathBuf, name: &str, phases: &'static [Phase]| {
        let system = system.clone();
        Trial::test(format!("{}{name}", tree::name(&system)), move || {
            let result = Bench::work(async |bench| through_time(bench, &system, phases).await);
            result.map_err(|f| Failed::from(f.to_string()))
        })
    };
    let both = |system: PathBuf| [trial(&system, "", &[Phase::Contract]), trial(&system, "/phases", &Phase::ALL)];
    let trials = tree::folders(&tree::root("fixtures/systems")).into_iter().flat_map(both).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}
