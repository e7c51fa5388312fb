//! The two sides of a comparison: a database, a snapshot, or files.

use std::collections::BTreeSet;
use std::path::Path;

use super::ahead::{self, Ahead};
use super::arguments::{Database, Wanted};
use super::asked::Asked;
use super::compiled::{self, Begun, Read};
use super::failure::Failure;
use super::workspace::Workspace;
use crate::catalog::{Catalog, Id, read_snapshot};
use crate::hazard::{Ignored, Line};
use crate::introspect::introspect_beside;
use crate::kind;
use crate::pg::{self, Session, Target};
use crate::plan::{Known, Source, thousands};
use crate::shadow::{Compiled, Properties, Scratch, owner};
use crate::source::bodies::body;
use crate::source::directive::Directive;
use crate::source::{self, Class, Files, Loaded, Loading, Place, load_read, read};

/// One side.
pub struct Side {
    /// What it holds.
    pub catalog: Catalog,
    /// What it is called: `app on db.internal`, `schema/`.
    pub name: String,
    /// The connection, for a live database.
    pub session: Option<Session>,
    /// What a scratch database takes over from it.
    pub properties: Properties,
    /// The scratch database that holds it, for files.
    pub scratch: Option<Scratch>,
    /// Where the objects stand, for files.
    pub places: Option<(Files, Loaded)>,
    /// The bytes at which the lines of each file end.
    pub line_ends: Vec<Vec<usize>>,
    /// The copy of the other side that was begun while the files were loaded.
    pub ahead: Option<Ahead>,
    /// Where it is kept, for files that a plan is not proven from.
    pub compiled: Option<Compiled>,
}

/// Whether this text is a connection string rather than a path.
fn is_connection(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://") || text.contains('=') && !Path::new(text).exists()
}

/// Reads both sides; two databases at once. Where a plan is to be `proven`, the copy of the live one is begun while files are loaded.
pub async fn both(
    workspace: &mut Workspace,
    options: &Database,
    schema: &str,
    wanted: &Wanted,
    proven: bool,
) -> Result<(Side, Side), Failure> {
    if is_connection(schema) {
        let workspace = &*workspace;
        let (live, desired) = tokio::join!(live(workspace, options), async { database(workspace, Target::parse(schema)?).await });
        return Ok((live?, desired?));
    }
    if schema.ends_with(".json") {
        return Ok((live(workspace, options).await?, snapshot(schema)?));
    }
    let Some(target) = target(workspace, options)?.filter(|_| !proven) else {
        let live = live(workspace, options).await?;
        let desired = files(workspace, schema, wanted, Some(&live), (proven, None)).await?;
        return Ok((live, desired));
    };
    // What is kept of the files is read while the server reads its catalog.
    let opened = Opened::new(workspace, target).await?;
    let owner = owner(&opened.session).await.map_err(|e| Failure::from_server("connect::other", &e))?;
    let around = compiled::around(workspace, wanted.shadow.as_deref(), &opened.properties, &owner);
    let begun = around.map(|around| Read::begin(schema, around));
    let live = opened.side(workspace).await?;
    let desired = files(workspace, schema, wanted, Some(&live), (false, begun)).await?;
    Ok((live, desired))
}

/// Where the live database is; nowhere for a snapshot.
pub fn target(workspace: &Workspace, options: &Database) -> Result<Option<Target>, Failure> {
    match workspace.database(options)? {
        Some(text) if !is_connection(&text) => Ok(None),
        Some(text) => Ok(Some(Target::parse(&text)?)),
        None => match Target::from_environment()? {
            Some(target) => Ok(Some(target)),
            None => Err(Failure::new("connect::no_database", "no database is named")
                .help("give --db URL, --env NAME, or set DATABASE_URL or PGHOST and PGDATABASE")),
        },
    }
}

/// Reads the live side.
pub async fn live(workspace: &Workspace, options: &Database) -> Result<Side, Failure> {
    match target(workspace, options)? {
        Some(target) => database(workspace, target).await,
        None => snapshot(&workspace.database(options)?.unwrap_or_default()),
    }
}

/// Reads any side by what its text looks like; files are loaded into a scratch database like `beside`.
pub async fn any(workspace: &mut Workspace, text: &str, wanted: &Wanted, beside: Option<&Side>) -> Result<Side, Failure> {
    if is_connection(text) {
        return database(workspace, Target::parse(text)?).await;
    }
    if text.ends_with(".json") {
        return snapshot(text);
    }
    files(workspace, text, wanted, beside, (false, None)).await
}

async fn database(workspace: &Workspace, target: Target) -> Result<Side, Failure> {
    Opened::new(workspace, target).await?.side(workspace).await
}

/// A database whose catalog is not read yet.
struct Opened {
    name: String,
    session: Session,
    properties: Properties,
}

impl Opened {
    async fn new(workspace: &Workspace, target: Target) -> Result<Opened, Failure> {
        workspace.progress.stage(format!("reading the catalog of {target}"));
        for warning in &target.warnings {
            workspace.progress.line(&format!("warning: {warning}"));
        }
        let session = pg::connect(&target).await?;
        let properties = Properties::read(&session).await.map_err(|e| Failure::from_server("connect::other", &e))?;
        Ok(Opened { name: target.to_string(), session, properties })
    }

    async fn side(self, workspace: &Workspace) -> Result<Side, Failure> {
        let catalog = introspect_beside(&self.session, &workspace.seen).await?;
        Ok(Side { session: Some(self.session), ..Side::new(catalog, self.name, self.properties) })
    }
}

fn snapshot(path: &str) -> Result<Side, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Failure::new("snapshot::unreadable", format!("{path} cannot be read: {e}"))
            .help("a snapshot is what `plumb snapshot --out FILE` writes")
    })?;
    let wrong = |message: String| {
        Failure::new("snapshot::form", format!("{path}: {message}")).help("make a new one with `plumb snapshot`")
    };
    let catalog = read_snapshot(&text).map_err(|e| wrong(e.to_string()))?;
    for object in catalog.objects() {
        kind::check(object).map_err(wrong)?;
    }
    let properties = Properties { major: catalog.server / 10000, ..Properties::default() };
    Ok(Side::new(catalog, path.to_owned(), properties))
}

/// `1,204 of 5,000 statements`, and the round where it is not the first.
fn so_far(loading: Loading) -> String {
    let Loading { done, all, round } = loading;
    let again = if round > 1 { format!(", round {round}") } else { String::new() };
    format!("{} of {} statements{again}", thousands(done as u64), thousands(all as u64))
}

/// Loads files into a scratch database whose loading role has the name of the default owner.
async fn files(
    workspace: &mut Workspace,
    path: &str,
    wanted: &Wanted,
    beside: Option<&Side>,
    (proven, begun): (bool, Option<Begun>),
) -> Result<Side, Failure> {
    workspace.progress.stage(format!("reading {path}"));
    let shadow = wanted.shadow.as_deref();
    let read_already = match begun {
        Some(begun) => begun.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?,
        None => {
            let live = beside.filter(|_| !proven);
            let around = live.and_then(|live| compiled::around(workspace, shadow, &live.properties, &live.catalog.owner));
            Read::new(path, around.as_ref())?
        }
    };
    let Read { files, place: compiled, found } = read_already;
    let policy = workspace.policy();
    let owner = workspace.config.owner.clone().or_else(|| beside.map(|b| b.catalog.owner.clone()));
    let owner = owner.unwrap_or_else(|| "owner".to_owned());
    let asked = Asked::new(workspace, &wanted.scope);
    let kept = |live: &Side| found?.wanted(compiled.as_ref()?, &live.catalog, &asked);
    if let Some((live, (catalog, loaded))) = beside.and_then(|live| Some((live, kept(live)?))) {
        loaded.notices.iter().for_each(|notice| workspace.progress.line(&format!("note: {notice}")));
        let side = Side::new(catalog, shown(path), live.properties.clone());
        return Ok(Side { line_ends: line_ends(&files), places: Some((files, loaded)), compiled, ..side });
    }
    // Errors that need no server come without waiting for one.
    let statements = read(&files, &policy)?;
    let named = source::roles::roles(&statements);
    let properties = match beside {
        Some(side) => side.properties.clone(),
        None => workspace.properties(wanted.shadow.as_deref()).await?,
    };
    let mut ahead = match beside.filter(|_| proven) {
        Some(live) => Ahead::begin(workspace, live, wanted, &named)?,
        None => None,
    };
    // The shadow makes those of the files too: what it makes it takes away.
    let mut roles = beside.map_or_else(BTreeSet::new, |b| kind::roles(&b.catalog));
    roles.extend(named);
    let target = beside.and_then(|b| b.session.as_ref()).map(|s| s.target.clone());
    workspace.progress.stage("starting the shadow");
    let opening = workspace.scratch(wanted.shadow.as_deref(), &properties, target.as_ref(), &owner, &roles);
    let scratch = ahead::beside(&mut ahead, opening).await?;
    workspace.progress.stage(format!("loading {path} into the shadow"));
    let progress = &workspace.progress;
    let watch = |loading: Loading| progress.detail(&so_far(loading));
    let (loader, administrator) = (&scratch.session.client, Some(&*scratch.administrator.client));
    let loading = load_read(loader, administrator, &files, &statements, &policy, &watch);
    let mut loaded = ahead::beside(&mut ahead, loading).await?;
    loaded.notices.extend(powerless(&scratch.session.take_notices()));
    loaded.notices.iter().for_each(|notice| workspace.progress.line(&format!("note: {notice}")));
    workspace.progress.stage("reading the wanted catalog");
    let mut catalog = ahead::beside(&mut ahead, introspect_beside(&scratch.session, &workspace.seen)).await?;
    source::told::tell(&mut catalog, &loaded.directives);
    if let Some(place) = &compiled {
        compiled::keep(place, &catalog, &loaded);
    }
    let side = Side::new(catalog, shown(path), properties);
    let (line_ends, places) = (line_ends(&files), Some((files, loaded)));
    Ok(Side { scratch: Some(scratch), places, line_ends, ahead, compiled, ..side })
}

/// The bytes at which the lines of each file end.
fn line_ends(files: &Files) -> Vec<Vec<usize>> {
    files.0.iter().map(|f| f.text.match_indices('\n').map(|(i, _)| i).collect()).collect()
}

/// What the server takes with a warning and does not do: rights on what the loading role does not own (the server's own objects).
fn powerless(notices: &[String]) -> BTreeSet<String> {
    let about_rights = |n: &&String| n.starts_with("WARNING: no") && n.contains(" privileges ");
    let words = notices.iter().filter(about_rights).map(|n| n.trim_start_matches("WARNING: "));
    words.map(|n| format!("without effect in the shadow: {n}")).collect()
}

/// A path as people read it: a folder ends in a slash.
fn shown(path: &str) -> String {
    if path.ends_with('/') || !Path::new(path).is_dir() { path.to_owned() } else { format!("{path}/") }
}

impl Side {
    /// A catalog that comes from no files.
    pub fn new(catalog: Catalog, name: String, properties: Properties) -> Side {
        let (session, scratch, places, ahead, compiled) = (None, None, None, None, None);
        Side { catalog, name, session, properties, scratch, places, line_ends: Vec::new(), ahead, compiled }
    }

    /// Where the files define an object; for a satellite, where its object stands. A directive covers this place or does not.
    pub fn place(&self, id: &Id) -> Option<&Place> {
        let id = id.of().unwrap_or(id);
        let (_, loaded) = self.places.as_ref()?;
        match id.args() {
            [] => loaded.place_of(source::name::of_class(id.class()), id.name()),
            args => loaded.place_of_routine(id.name(), &args.iter().map(|a| source::name::base_type(a)).collect::<Vec<_>>()),
        }
    }

    /// Whether the files define it by its own name, not only what it is part of.
    pub fn is_named(&self, id: &Id) -> bool {
        let own = |loaded: &Loaded| loaded.place_of(source::name::of_class(id.class()), id.name()) != self.whole(loaded, id);
        id.of().is_none() && self.places.as_ref().is_some_and(|(_, loaded)| own(loaded))
    }

    /// Where the table is that something stands in.
    fn whole<'a>(&self, loaded: &'a Loaded, id: &Id) -> Option<&'a Place> {
        let (_, table) = id.name().split_last().filter(|(_, table)| table.len() == 2)?;
        loaded.place_of(Class::Relation, table).or_else(|| loaded.place_of(Class::Type, table))
    }

    /// What the files say of the hazards of an object. Of routines with one name only those can be told apart that differ in how
    /// many arguments they take; for the others nothing is said.
    pub fn known(&self, id: &Id) -> Vec<Known> {
        let (Some((files, loaded)), Some(place)) = (&self.places, self.place(id)) else { return Vec::new() };
        let routine = id.of().unwrap_or(id);
        if source::name::of_class(routine.class()) == Class::Routine && loaded.routines(routine.name()) > 1 {
            return Vec::new();
        }
        let of = |d: &Directive| {
            let ignore = d.ignore()?;
            let (line, _) = files.line_column(&d.place);
            let place = format!("{}:{line}", files.0.get(d.place.file)?.path);
            let ignored = Ignored { reason: ignore.reason.clone(), until: ignore.until.clone(), place };
            Some(Known { code: ignore.code.clone(), ignored })
        };
        loaded.directives.iter().filter(|d| d.covers(place)).filter_map(of).collect()
    }

    /// What the files say has to be true before an object is changed, with the numbers of the directives.
    pub fn asserted(&self, id: &Id) -> Vec<(usize, String)> {
        let (Some((_, loaded)), Some(place)) = (&self.places, self.place(id)) else { return Vec::new() };
        let about = loaded.directives.iter().enumerate().filter(|(_, directive)| directive.covers(place));
        about.filter_map(|(n, directive)| Some((n, directive.assertion()?.to_owned()))).collect()
    }

    /// Where a line of a routine's body stands in the files, when they have the routine and the line.
    pub fn body_line(&self, at: &Line) -> Option<Source> {
        let (files, loaded) = self.places.as_ref()?;
        if loaded.routines(at.of.name()) != 1 {
            return None;
        }
        let place = self.place(&at.of)?;
        let file = files.0.get(place.file)?;
        let (text, start) = body(file.text.get(place.span.start..)?)?;
        let line = text.split('\n').nth(at.line - 1)?;
        let first = self.line_ends.get(place.file)?.partition_point(|end| *end < place.span.start + start);
        (line.trim_end_matches('\r') == at.text).then(|| Source { file: file.path.clone(), line: first + at.line })
    }

    /// The same as a person reads it.
    pub fn source(&self, id: &Id) -> Option<Source> {
        self.line(self.place(id)?)
    }

    /// File and line of a place.
    pub fn line(&self, place: &Place) -> Option<Source> {
        let (files, _) = self.places.as_ref()?;
        let line = self.line_ends.get(place.file)?.partition_point(|end| *end < place.span.start) + 1;
        Some(Source { file: files.0.get(place.file)?.path.clone(), line })
    }
}
