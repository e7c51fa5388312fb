//! Golden cases: `fixtures/cases/<kind>/<case>/{before.sql, after.sql, plan.sql[, seed.sql, case.toml]}`.
//!
//! Every check of every case is a test by name, so that `cargo test --test cases -- policy/` or `-- /dump` chooses:
//!
//! - `plan`: the statements of the plan are those of `plan.sql` (of PostgreSQL 15, or of the first that has it), and planning twice gives the same
//! - `converges`: applied, a second plan is empty
//! - `back`: the same from after to before, with pg_dump (every second case; all with `PLUMB_CASES=all`)
//! - `same`: a state against another load of itself is empty (every fourth case; all with `PLUMB_CASES=all`)
//! - `rows`: the rows of `seed.sql` survive; what loses them says so in a hazard
//! - `dump`: pg_dump of the result equals that of a fresh `after`
//! - `formats`: the plan document reads back as it was written
//! - `proof`: the plan is proven on a copy
//! - `locks`: locks, rewrites and scans of every step are those that it declares, as seen on a copy
//! - `online`: planned for tables that hold rows, in statements that let others work (`online.sql`, where that is another plan), it
//!   is proven, declares what is seen, and ends in the same state (which every third case runs)
//! - `covers`: it shows what `covers.toml` names it for
//!
//! `make bless CASE=kind/case` writes `plan.sql`, only when `converges` and `dump` pass. `case.toml` may hold `roles`,
//! `min_version`, `back = false` with `back_reason`, `loses = true`, `rows_except = ["public.t.column"]` of values that
//! are meant to change, and `pins = [{check, reason, from, before}]` of checks known to fail, perhaps on some versions; a pin
//! that passes fails the run.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use plumb::plan::{self, Made, Sides};
use plumb::statement::Online;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use support::covers::{self, Point};
use support::{Bench, Failure, Side, engine, facts, load, names, oracle, rows, server, tree};

const CHECKS: &[&str] = &["plan", "converges", "back", "same", "rows", "dump", "formats", "proof", "locks", "online", "covers"];

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    roles: Vec<String>,
    min_version: u32,
    back: Option<bool>,
    back_reason: Option<String>,
    loses: bool,
    rows_except: Vec<String>,
    pins: Vec<Pin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    check: String,
    reason: String,
    /// The versions on which it fails, where not on all.
    #[serde(default)]
    from: u32,
    before: Option<u32>,
}

type Outcomes = BTreeMap<&'static str, Result<(), String>>;

struct Case {
    name: String,
    folder: PathBuf,
    settings: Settings,
    /// What it is named for.
    covers: Vec<Point>,
    /// What the first check to run has found out for all of them.
    outcomes: OnceLock<Outcomes>,
    /// The statements of the plan.
    golden: OnceLock<String>,
    /// Those of the online forms, where there are such.
    online: OnceLock<String>,
}

fn cases() -> Vec<Arc<Case>> {
    let mut list = Vec::new();
    let mut named: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for (point, case) in covers::read() {
        named.entry(case).or_default().push(point);
    }
    for kind in tree::folders(&tree::root("fixtures/cases")) {
        for folder in tree::folders(&kind).into_iter().filter(|f| f.join("before.sql").exists()) {
            let name = format!("{}/{}", tree::name(&kind), tree::name(&folder));
            let text = std::fs::read_to_string(folder.join("case.toml")).unwrap_or_default();
            let mut settings: Settings = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}/case.toml: {e}"));
            let version = server::server().version;
            settings.pins.retain(|p| version >= p.from && p.before.is_none_or(|before| version < before));
            assert!(settings.back != Some(false) || settings.back_reason.is_some(), "{name}: back = false needs a back_reason");
            for pin in &settings.pins {
                assert!(CHECKS.contains(&pin.check.as_str()), "{name}: no check `{}`", pin.check);
            }
            let covers = named.remove(&name).unwrap_or_default();
            let (outcomes, golden, online) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
            list.push(Arc::new(Case { name, folder, settings, covers, outcomes, golden, online }));
        }
    }
    list
}

impl Case {
    fn file(&self, name: &str) -> Option<String> {
        let path = self.folder.join(name);
        path.exists().then(|| tree::text(&path))
    }

    fn checks(&self) -> impl Iterator<Item = &'static str> {
        let wanted = |check: &&str| match *check {
            "back" => self.settings.back != Some(false) && self.one_of(2, 0),
            "rows" => self.folder.join("seed.sql").exists(),
            "same" => self.one_of(4, 1),
            "covers" => !self.covers.is_empty(),
            _ => true,
        };
        CHECKS.iter().copied().filter(wanted)
    }

    /// Whether what costs most is done with this case: one of so many, for the sake of time; all with `PLUMB_CASES=all`.
    fn one_of(&self, many: usize, which: usize) -> bool {
        self.name.len() % many == which || blessing() || std::env::var_os("PLUMB_CASES").is_some()
    }

    fn outcomes(&self) -> &Outcomes {
        self.outcomes.get_or_init(|| {
            let work = || Bench::work(async |bench| self.run(bench).await);
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
                Err(format!("panic: {}", text.unwrap_or("?")))
            });
            result.unwrap_or_else(|e| CHECKS.iter().map(|c| (*c, Err(e.clone()))).collect())
        })
    }

    async fn run(&self, bench: &Bench) -> Result<Outcomes, String> {
        bench.roles(&self.settings.roles).await;
        let (before, after) = (self.file("before.sql").unwrap(), self.file("after.sql").unwrap());
        let before = load_side(bench, "before.sql", &before).await?;
        let after = load_side(bench, "after.sql", &after).await?;
        let script = self.file("after.sql").unwrap();
        let (sides, made) = names::plan_to(&before, &after, &script).await.map_err(|f| f.to_string())?;
        let mut outcomes = Outcomes::new();
        let mut note = |check: &'static str, result: Result<(), Failure>| {
            outcomes.insert(check, result.map_err(|f| f.to_string()));
        };
        self.golden.set(engine::golden(&made)).ok();
        note("plan", self.plan(&before, &after, &made).await);
        note("formats", formats(&made));
        note("covers", self.covers(&made));
        let outcome = facts::proof(&before.database, &sides, &made).await;
        note("locks", outcome.as_ref().map_or(Ok(()), |seen| facts::declared(&made.plan, seen)));
        note("proof", outcome.map(|_| ()));
        note("online", self.online(bench, &sides, &made, &after).await);
        if std::env::var_os("PLUMB_CHECK").is_some() {
            return Ok(outcomes);
        }
        if self.one_of(4, 1) {
            note("same", self.same(bench, &before, &after).await);
        }
        if let Some(seed) = self.file("seed.sql") {
            note("rows", self.rows(bench, &seed, &sides, &made).await);
        }
        let applied = engine::apply(&before.database, &made).await;
        note("converges", and(applied.clone(), names::empty(&before.database, &after, &script)).await);
        note("dump", and(applied, engine::same_dump(bench, &before.database, &after)).await);
        if self.settings.back != Some(false) && self.one_of(2, 0) {
            let script = self.file("before.sql").unwrap();
            note("back", names::converge_back(bench, &after, (&before, &script), &sides).await);
        }
        Ok(outcomes)
    }

    /// Whether the golden plans say what this server's are: views and rights are written in other ways by each, and NOT NULL has a form of
    /// its own from 18 on. They are of 15, or of the first version that has what the case is about.
    fn is_of_this_version(&self) -> bool {
        server::server().major() == (self.settings.min_version / 10_000).max(15)
    }

    async fn plan(&self, before: &Side, after: &Side, made: &Made) -> Result<(), Failure> {
        let (_, again) = names::plan_to(before, after, &self.file("after.sql").unwrap()).await?;
        if plan::write(&again.plan) != plan::write(&made.plan) {
            return Err(Failure::new("plan", "planned twice, two plans"));
        }
        let found = engine::golden(made);
        let Some(wanted) = self.file("plan.sql") else {
            let hint = format!("no plan.sql: look at this and run `make bless CASE={}`\n{found}", self.name);
            return Err(Failure::new("plan", hint));
        };
        if found == wanted || !self.is_of_this_version() {
            return Ok(());
        }
        Err(Failure::new("plan", differs("plan.sql", &wanted, &found)))
    }

    /// That it shows what it is named for.
    fn covers(&self, made: &Made) -> Result<(), Failure> {
        // Fields are another matter before 15: an ICU locale is a libc one's.
        if server::server().version < 150_000 {
            return Ok(());
        }
        let shown = covers::shown(&made.changes);
        let missing: Vec<String> =
            self.covers.iter().filter(|p| !shown.contains(*p)).map(|(class, what)| format!("{class}: {what}")).collect();
        let text = || format!("covers.toml names it for what it does not show (any more): {}", missing.join(", "));
        if missing.is_empty() { Ok(()) } else { Err(Failure::new("covers", text())) }
    }

    async fn same(&self, bench: &Bench, before: &Side, after: &Side) -> Result<(), Failure> {
        for (file, side) in [("before.sql", before), ("after.sql", after)] {
            let sql = self.file(file).unwrap();
            let again = load::fresh(bench, &[&sql]).await.map_err(|e| Failure::new("does not load twice", e.to_string()))?;
            engine::empty(&again, side, "not equal to itself").await?;
            bench.drop(&again).await;
        }
        Ok(())
    }

    async fn rows(&self, bench: &Bench, seed: &str, sides: &Sides, made: &Made) -> Result<(), Failure> {
        let before = self.file("before.sql").unwrap();
        let database = load::fresh(bench, &[&before, seed]).await.map_err(|e| Failure::new("seed.sql", e.to_string()))?;
        let mut found = rows::read(&database).await;
        if let Some(renamed) = &sides.renamed {
            found = rows::called(found, &|id| renamed.after(id));
        }
        engine::apply(&database, made).await?;
        let hazard = made.plan.steps().flat_map(|s| &s.hazards).any(|h| h.code.starts_with("loses"));
        if self.settings.loses {
            let missing = || Failure::new("rows", "the case loses rows or values, and no hazard of the plan says so");
            return if hazard { Ok(()) } else { Err(missing()) };
        }
        rows::survive(&database, &found, &self.settings.rows_except).await.map_err(|e| Failure::new("rows", e))
    }

    async fn online(&self, bench: &Bench, sides: &Sides, made: &Made, after: &Side) -> Result<(), Failure> {
        let sides = Sides { online: Online::Always, ..sides.clone() };
        let online = engine::make(&sides)?;
        let found = engine::golden(&online);
        if found == engine::golden(made) {
            let stale = || Failure::new("online", "online.sql is there, and the plan has no online forms");
            return self.file("online.sql").filter(|_| self.is_of_this_version()).map_or(Ok(()), |_| Err(stale()));
        }
        self.online.set(found.clone()).ok();
        if self.is_of_this_version() {
            let wanted = self.file("online.sql").unwrap_or_default();
            if found != wanted && !blessing() {
                return Err(Failure::new("online", differs("online.sql", &wanted, &found)));
            }
        }
        if !self.one_of(3, 0) {
            return Ok(());
        }
        let sql = [self.file("before.sql"), self.file("seed.sql")].map(Option::unwrap_or_default);
        let database = load::fresh(bench, &[&sql[0], &sql[1]]).await.map_err(|e| Failure::new("online", e.to_string()))?;
        let seen = facts::proof(&database, &sides, &online).await?;
        facts::declared(&online.plan, &seen)?;
        engine::apply(&database, &online).await?;
        engine::empty(&database, after, "second plan not empty").await?;
        engine::same_dump(bench, &database, after).await?;
        bench.drop(&database).await;
        Ok(())
    }

    /// The result of a check, turned round when the check is known to fail.
    fn verdict(&self, check: &str) -> Result<(), Failed> {
        let result = self.outcomes().get(check).cloned().unwrap_or_else(|| Err("was not run".into()));
        match (self.settings.pins.iter().find(|p| p.check == check), result) {
            (None, Ok(())) => Ok(()),
            (None, Err(e)) => Err(e.into()),
            (Some(_), Err(_)) => Ok(()),
            (Some(pin), Ok(())) => Err(format!("passes, but is pinned as failing ({}): take the pin away", pin.reason).into()),
        }
    }

    /// Writes `plan.sql` when the plan is good; says what was done.
    fn bless(&self) -> Result<&'static str, String> {
        if self.settings.pins.iter().any(|p| p.check == "plan") {
            return Ok("pinned");
        }
        let outcomes = self.outcomes();
        for check in ["converges", "dump", "online"] {
            let pinned = self.settings.pins.iter().any(|p| p.check == check);
            match outcomes.get(check) {
                Some(Err(e)) if !pinned => return Err(format!("{check} fails: {e}")),
                _ => {}
            }
        }
        let golden = self.golden.get().ok_or("there is no plan")?;
        let online = self.online.get();
        let as_they_are = self.file("plan.sql").as_ref() == Some(golden) && self.file("online.sql").as_ref() == online;
        if as_they_are {
            return Ok("unchanged");
        }
        std::fs::write(self.folder.join("plan.sql"), golden).map_err(|e| e.to_string())?;
        let path = self.folder.join("online.sql");
        let written = match online {
            Some(online) => std::fs::write(path, online),
            None if path.exists() => std::fs::remove_file(path),
            None => Ok(()),
        };
        written.map(|()| "written").map_err(|e| e.to_string())
    }
}

async fn load_side(bench: &Bench, file: &str, sql: &str) -> Result<Side, String> {
    let side = Side::load(bench, &[sql]).await.map_err(|e| format!("{file} does not load: {e}"))?;
    side.map_err(|f| format!("{file}: {f}"))
}

async fn and(first: Result<(), Failure>, second: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    first?;
    second.await
}

fn differs(file: &str, wanted: &str, found: &str) -> String {
    format!("{file} differs\n{}", similar::TextDiff::from_lines(wanted, found).unified_diff().header(file, "found"))
}

fn blessing() -> bool {
    std::env::var_os("PLUMB_BLESS").is_some()
}

fn formats(made: &Made) -> Result<(), Failure> {
    let text = plan::write(&made.plan);
    let read = plan::read(&text).map_err(|e| Failure::new("formats", e.to_string()))?;
    if read != made.plan {
        return Err(Failure::new("formats", "the plan reads back as another one"));
    }
    if plan::write(&read) == text { Ok(()) } else { Err(Failure::new("formats", "written again, other bytes")) }
}

/// Blesses the cases whose names hold the word.
fn bless(cases: &[Arc<Case>], filter: Option<&str>) -> bool {
    let chosen: Vec<&Arc<Case>> = cases.iter().filter(|c| filter.is_none_or(|f| c.name.contains(f))).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..tree::jobs() {
            support::work(scope, || {
                while let Some(case) = chosen.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    case.outcomes();
                }
            });
        }
    });
    let mut good = !chosen.is_empty();
    for case in chosen {
        match case.bless() {
            Ok(done) => println!("{:9} {}", done, case.name),
            Err(e) => {
                good = false;
                println!("NOT       {}: {}", case.name, e.lines().take(12).collect::<Vec<_>>().join("\n          "));
            }
        }
    }
    good
}

fn main() {
    let mut arguments = Arguments::from_args();
    let cases = cases();
    if blessing() {
        let named = std::env::var("PLUMB_CASE").ok();
        let good = bless(&cases, named.as_deref().or(arguments.filter.as_deref()));
        server::cleanup();
        std::process::exit(i32::from(!good));
    }
    arguments.test_threads = arguments.test_threads.or(Some(tree::jobs()));
    let own = Trial::test("harness/dump", || {
        support::dump::self_test();
        Ok(())
    });
    let oracle = std::env::var_os("PLUMB_PG_DUMP").is_none_or(|v| v != "none");
    let tells = Trial::test("harness/oracle", || Bench::work(async |bench| oracle::tells(bench).await).map_err(Failed::from));
    let mut trials = vec![own, tells.with_ignored_flag(!oracle)];
    // By check, then by case: the first check of a case does the work of all, and two threads should not wait for one case.
    let version = if arguments.list || cases.is_empty() { 0 } else { server::server().version };
    for check in CHECKS {
        for case in cases.iter().filter(|c| c.checks().any(|found| found == *check)) {
            let (name, case, check) = (format!("{}/{check}", case.name), Arc::clone(case), *check);
            let too_old = case.settings.min_version > version || check == "dump" && !oracle;
            trials.push(Trial::test(name, move || case.verdict(check)).with_ignored_flag(too_old && version > 0));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}
