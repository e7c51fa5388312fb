//! The way from one state to another whose files say that something had another name: `-- plumb: renamed from`.

use super::engine::{self, Failure, Side};
use super::server;
use plumb::catalog::{Catalog, Id};
use plumb::kind;
use plumb::plan::{Made, Sides};
use plumb::prove::{Called, Names, RenameError, candidates, declared, rename, rename_back, settle};
use plumb::shadow::{Properties, Scratch};
use plumb::source::name::of_class;
use plumb::source::{Files, Policy, Statement, read};

/// Everything in a database is compared.
const ALL: &str = "*";

async fn room(database: &str, whole: &Catalog) -> Result<Scratch, RenameError> {
    let session = server::session(database).await;
    let properties = Properties::read(&session).await.unwrap();
    session.close().await;
    Ok(server::scratch(&properties, &whole.role, &kind::roles(whole)).await)
}

fn not_renamed(error: RenameError) -> Failure {
    Failure::new("not renamed", format!("{error} ({error:?})"))
}

/// What `desired` calls otherwise, as the script says that made it.
async fn called(live: &str, whole: &Catalog, desired: &Catalog, script: &str) -> Result<Option<Called>, Failure> {
    if !script.contains("plumb: renamed from") {
        return Ok(None);
    }
    let policy = Policy { script: true, ..Policy::default() };
    let statements = read(&Files::text("after.sql", script), &policy).map_err(|p| Failure::new("not read", p.to_string()))?;
    let directives: Vec<_> = statements.iter().flat_map(|s| s.directives.clone()).collect();
    let declared = declared(&directives, desired).map_err(|p| Failure::new("not declared", format!("{p:?}")))?;
    let names = Names { wanted: desired, asked: &declared.asked, named: &|id| is_named(&statements, id), holds: &|_| true };
    rename(whole, &names, async || room(live, whole).await).await.map(|(called, _)| called).map_err(not_renamed)
}

fn is_named(statements: &[Statement], id: &Id) -> bool {
    let defines =
        |s: &Statement| s.hints.defines.iter().any(|d| d.name.class == of_class(id.class()) && d.name.parts == id.name());
    statements.iter().any(defines)
}

/// The sides of a plan that begins with other names; expressions are settled where the new names stand.
async fn sides(called: Called, live: &Catalog, desired: &Side) -> Result<Sides, Failure> {
    let mut wanted = desired.catalog.clone();
    let pairs = candidates(&called.whole, &wanted);
    if !pairs.is_empty() {
        let session = server::session(&desired.database).await;
        let equal = settle(&session, &desired.catalog, &pairs).await;
        session.close().await;
        let equal = equal.map_err(|e| Failure::new("not settled", e.to_string()))?.equal;
        wanted.put(pairs.into_iter().map(|p| p.left).filter(|l| equal.contains(&l.id)));
    }
    let sides = Sides::new(called.whole.clone(), &wanted, &[ALL.to_owned()]);
    Ok(called.turn(sides, live))
}

/// The plan from a state to another that a script has made, and that stands as well.
pub async fn plan_to(live: &Side, desired: &Side, script: &str) -> Result<(Sides, Made), Failure> {
    let Some(called) = called(&live.database, &live.catalog, &desired.catalog, script).await? else {
        return engine::plan_to(live, desired).await;
    };
    let sides = sides(called, &live.catalog, desired).await?;
    let made = engine::make(&sides)?;
    Ok((sides, made))
}

/// That nothing is left to do, with the same words in the files.
pub async fn empty(database: &str, desired: &Side, script: &str) -> Result<(), Failure> {
    let whole = engine::read(database).await?;
    match called(database, &whole, &desired.catalog, script).await? {
        Some(called) => Err(Failure::new("renamed twice", format!("{:?}", called.steps))),
        None => engine::empty(database, desired, "second plan not empty").await,
    }
}

/// The whole way back of a plan: `live` is used up. Names are taken back as they were given; the database of `desired` stands no
/// more, so that what has to be settled is settled where its script is loaded once more.
pub async fn converge_back(
    bench: &server::Bench,
    live: &Side,
    (desired, script): (&Side, &str),
    forward: &Sides,
) -> Result<(), Failure> {
    let Some(renamed) = &forward.renamed else { return engine::converge(bench, live, desired).await.map(|_| ()) };
    let moves: Vec<(Id, Id)> = renamed.moves().cloned().collect();
    let called = rename_back(&live.catalog, &moves, async || room(&live.database, &live.catalog).await).await;
    let called = called.map_err(not_renamed)?.ok_or_else(|| Failure::new("not renamed", "nothing is taken back"))?;
    let again = Side::load(bench, &[script]).await.map_err(|e| Failure::new("does not load twice", e.to_string()))??;
    let made = engine::make(&sides(called, &live.catalog, &again).await?)?;
    engine::apply(&live.database, &made).await?;
    engine::empty(&live.database, desired, "back: second plan not empty").await?;
    engine::same_dump(bench, &live.database, desired).await
}
