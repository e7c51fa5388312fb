//! plumb's own way from two live databases to a plan and its result, with every way in which it can go wrong.

use super::server::{Bench, session};
use super::{dump, load};
use plumb::apply::run::run_group_fast;
use plumb::catalog::{Catalog, Id};
use plumb::introspect::{UNKNOWN, introspect};
use plumb::plan::{self, Made, MakeError, Phase, Sides};
use plumb::prove::{candidates, settle};
use plumb::source::{self, Files, Policy};
use std::fmt::Write as _;

/// A state: the database that holds it, plumb's picture of it, and pg_dump's.
pub struct Side {
    pub database: String,
    pub catalog: Catalog,
    pub dump: String,
}

/// What went wrong, by class.
#[derive(Clone, Debug)]
pub struct Failure {
    pub class: &'static str,
    pub message: String,
    pub sql: String,
}

impl Failure {
    pub fn new(class: &'static str, message: impl Into<String>) -> Failure {
        Failure { class, message: message.into(), sql: String::new() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.class, self.message)?;
        if self.sql.is_empty() { Ok(()) } else { write!(f, "\n{}", self.sql) }
    }
}

/// Reads a database.
pub async fn read(database: &str) -> Result<Catalog, Failure> {
    let session = session(database).await;
    let catalog = introspect(&session).await;
    session.close().await;
    let catalog = catalog.map_err(|e| Failure::new("not read", chain(&e)))?;
    // Every object that depends on something is of a kind, or of a class that is known to be none.
    let unknown: Vec<String> =
        catalog.unmanaged.iter().filter(|u| u.digest == UNKNOWN).map(|u| format!("{} {}", u.class, u.identity)).collect();
    if unknown.is_empty() { Ok(catalog) } else { Err(Failure::new("objects of unknown classes", unknown.join(", "))) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        write!(text, ": {e}").unwrap();
        if let Some(e) = e.downcast_ref::<tokio_postgres::Error>() {
            write!(text, ": {}", super::server::message(e)).unwrap();
        }
        next = e.source();
    }
    text
}

impl Side {
    /// A state from scripts. The outer error is a script that does not load, the inner one plumb's.
    pub async fn load(bench: &Bench, scripts: &[&str]) -> Result<Result<Side, Failure>, load::Refused> {
        let database = load::fresh(bench, scripts).await?;
        let mut side = Side::of(database).await;
        if let Ok(side) = &mut side {
            scripts.iter().filter(|sql| sql.contains("-- plumb: ")).for_each(|sql| told(&mut side.catalog, sql));
        }
        Ok(side)
    }

    pub async fn of(database: String) -> Result<Side, Failure> {
        let catalog = read(&database).await?;
        let dump = dump::raw(&database).map_err(|e| Failure::new("pg_dump", e))?;
        Ok(Side { database, catalog, dump })
    }
}

/// Tells a catalog what the directives of its script say.
fn told(catalog: &mut Catalog, sql: &str) {
    let statements = source::read(&Files::text("after.sql", sql), &Policy::default()).unwrap_or_else(|p| panic!("{p}"));
    let directives: Vec<_> = statements.into_iter().flat_map(|s| s.directives).collect();
    source::told::tell(catalog, &directives);
}

/// The sides of a plan, with expressions that differ only in how the server writes them made equal. They are settled in the
/// database that `whole` was read from, where nothing stays of it.
pub async fn sides(database: &str, whole: Catalog, desired: &Catalog) -> Result<Sides, Failure> {
    let mut wanted = desired.clone();
    let pairs = candidates(&whole, &wanted);
    if !pairs.is_empty() {
        let session = session(database).await;
        let equal = settle(&session, &whole, &pairs).await;
        session.close().await;
        let equal = equal.map_err(|e| Failure::new("not settled", chain(&e)))?.equal;
        wanted.put(whole.objects().filter(|o| equal.contains(&o.id)).cloned());
    }
    Ok(Sides::new(whole, &wanted, &["*".to_owned()]))
}

/// A plan up to a phase; the wanted side becomes what it leads to.
pub fn make_up_to(sides: &mut Sides, last: Phase) -> Result<Made, Failure> {
    plan::make_up_to(sides, last, &|_: &Id| None, Vec::new()).map_err(no_plan)
}

/// A plan.
pub fn make(sides: &Sides) -> Result<Made, Failure> {
    plan::make(sides, &|_: &Id| None, Vec::new()).map_err(no_plan)
}

fn no_plan(error: MakeError) -> Failure {
    match &error {
        MakeError::Cycle(_) => Failure::new("no plan: cycle", error.to_string()),
        MakeError::Blocked(_) => Failure::new("no plan: blocked", error.to_string()),
    }
}

/// The plan from a state that still stands to another, which may be gone.
pub async fn plan_to(live: &Side, desired: &Side) -> Result<(Sides, Made), Failure> {
    let sides = sides(&live.database, live.catalog.clone(), &desired.catalog).await?;
    let made = make(&sides)?;
    Ok((sides, made))
}

/// Runs a plan.
pub async fn apply(database: &str, made: &Made) -> Result<(), Failure> {
    let session = session(database).await;
    let mut result = Ok(());
    for group in &made.plan.groups {
        if let Err(e) = run_group_fast(&session.client, group).await {
            result = Err(Failure { class: "step failed", message: format!("{}: {}", e.object, e.message), sql: e.sql });
            break;
        }
    }
    session.close().await;
    result
}

/// That nothing is left to do.
pub async fn empty(database: &str, desired: &Side, class: &'static str) -> Result<(), Failure> {
    let sides = sides(database, read(database).await?, &desired.catalog).await?;
    let left = left(&sides);
    if left.is_empty() { Ok(()) } else { Err(Failure::new(class, left)) }
}

/// What differs, with both definitions; at most a few.
pub fn left(sides: &Sides) -> String {
    let changes = sides.changes();
    let mut text = String::new();
    for c in changes.list.values().take(4) {
        writeln!(text, "{:?} {} ({})", c.action, c.id, c.reason).unwrap();
        if let (Some(old), Some(new)) = (&c.old, &c.new) {
            for field in old.changed_fields(new) {
                writeln!(text, "  {field}: {:?} -> {:?}", old.definition.get(&field), new.definition.get(&field)).unwrap();
            }
        }
    }
    if changes.list.len() > 4 {
        writeln!(text, "... {} changes", changes.list.len()).unwrap();
    }
    text
}

/// The whole way: plan, apply, nothing left, pg_dump equal. `live` is used up: its database ends in the state of `desired`.
pub async fn converge(bench: &Bench, live: &Side, desired: &Side) -> Result<Made, Failure> {
    let (_, made) = plan_to(live, desired).await?;
    apply(&live.database, &made).await?;
    empty(&live.database, desired, "second plan not empty").await?;
    same_dump(bench, &live.database, desired).await?;
    Ok(made)
}

/// That pg_dump sees the wanted state.
pub async fn same_dump(bench: &Bench, database: &str, desired: &Side) -> Result<(), Failure> {
    let result = dump::raw(database).map_err(|e| Failure::new("pg_dump", e))?;
    dump::compare(bench, &result, &desired.dump).await.map_err(|e| Failure::new("dump differs", e))
}

/// The plan as the golden files have it: statements with a header per step.
pub fn golden(made: &Made) -> String {
    let mut text = String::new();
    for group in &made.plan.groups {
        let how = if group.transactional { "in one transaction" } else { "without a transaction" };
        writeln!(text, "-- group {}, {how}", group.id).unwrap();
        for step in &group.steps {
            let hazards: String = step.hazards.iter().filter(|h| h.matters()).map(|h| format!(", hazard {}", h.code)).collect();
            writeln!(text, "\n-- {}. {} {}, {}{hazards}", step.id, step.change, step.object, step.phase).unwrap();
            for sql in &step.sql {
                writeln!(text, "{sql};").unwrap();
            }
        }
        text += "\n";
    }
    let trimmed = text.trim_end();
    if trimmed.is_empty() { "-- nothing to do\n".to_owned() } else { format!("{trimmed}\n") }
}
