//! What has another name in the wanted schema than in the live one: what the files declare, what the command line says, and what
//! follows from that.

use super::arguments::Wanted;
use super::failure::Failure;
use super::side::Side;
use super::workspace::Workspace;
use crate::catalog::{Catalog, Id};
use crate::change::{Asked, Scope, Wrong};
use crate::kind;
use crate::prove::{Called, Declared, Names, RenameError, declared, origin, rename, rename_back, words};
use crate::shadow::Scratch;
use crate::source::{Files, Problem, Problems, old_name};
use crate::sql::qualified;

/// The live side as it is called by the files, and how it comes to that; none when nothing has another name.
pub async fn called(
    workspace: &mut Workspace,
    (from, to): (&Side, &Side),
    wanted: &Wanted,
    flags: &[String],
    scope: &Scope,
) -> Result<Option<Called>, Failure> {
    let mut all = Declared::default();
    if let Some((files, loaded)) = &to.places {
        all = declared(&loaded.directives, &to.catalog).map_err(|list| Problems::new(files, list))?;
    }
    for (n, flag) in flags.iter().enumerate() {
        let by = all.directives.len() + n;
        let found = by_flag(flag, (&from.catalog, &to.catalog), &all.asked)?;
        all.asked.extend(found.into_iter().map(|(old, new)| Asked { new, old, by, once: true }));
    }
    let names = Names { wanted: &to.catalog, asked: &all.asked, named: &|id| to.is_named(id), holds: &|id| scope.holds(id) };
    let origins = Origins { to, declared: &all, flags };
    let room = async || room(workspace, from, wanted).await;
    let (called, notes) = match rename(&from.catalog, &names, room).await {
        Ok(done) => done,
        Err(Stopped::Other(failure)) => return Err(failure),
        Err(Stopped::Rename(error)) => return Err(origins.failure(error)),
    };
    for note in &notes {
        workspace.progress.line(&format!("note: {}", origins.note(note)));
    }
    Ok(called)
}

/// The same with names that are taken back, in a catalog like that of `side`.
pub async fn called_back(
    workspace: &mut Workspace,
    side: &Side,
    catalog: &Catalog,
    moves: &[(Id, Id)],
    wanted: &Wanted,
) -> Result<Option<Called>, Failure> {
    match rename_back(catalog, moves, async || room(workspace, side, wanted).await).await {
        Ok(called) => Ok(called),
        Err(Stopped::Other(failure)) => Err(failure),
        Err(Stopped::Rename(error)) => Err(error.into()),
    }
}

/// Why renaming stopped.
enum Stopped {
    Rename(RenameError),
    Other(Failure),
}

impl From<RenameError> for Stopped {
    fn from(error: RenameError) -> Stopped {
        Stopped::Rename(error)
    }
}

async fn room(workspace: &mut Workspace, side: &Side, wanted: &Wanted) -> Result<Scratch, Stopped> {
    workspace.progress.stage("renaming on a copy");
    let roles = kind::roles(&side.catalog);
    let target = side.session.as_ref().map(|s| s.target.clone());
    let scratch =
        workspace.scratch(wanted.shadow.as_deref(), &side.properties, target.as_ref(), &side.catalog.role, &roles).await;
    scratch.map_err(Stopped::Other)
}

/// Who asked for what.
struct Origins<'a> {
    to: &'a Side,
    declared: &'a Declared<'a>,
    flags: &'a [String],
}

impl Origins<'_> {
    fn failure(&self, error: RenameError) -> Failure {
        let list = match error {
            RenameError::Wrong(list) => list,
            RenameError::Refused { by: Some(by), sql, message } => return self.refused(by, &sql, &message),
            error => return error.into(),
        };
        let mut problems = Vec::new();
        for wrong in &list {
            let (by, other) = origin(wrong);
            let (message, label, help) = self.words(wrong);
            let Some(directive) = self.declared.directives.get(by) else {
                return Failure::new("rename::flag", format!("{}: {message}", self.flag(by))).help(help);
            };
            let mut problem = Problem::at("source::rename", directive.place.clone(), message, label).help(help);
            let also = other.and_then(|other| self.declared.directives.get(other));
            problem.also.extend(also.map(|d| (d.place.clone(), "and here".to_owned())));
            problems.push(problem);
        }
        Problems::new(self.files(), problems).into()
    }

    fn refused(&self, by: usize, sql: &str, message: &str) -> Failure {
        match self.declared.directives.get(by) {
            Some(directive) => {
                let label = "the server does not rename this";
                let problem = Problem::at("source::rename", directive.place.clone(), message, label);
                Problems::new(self.files(), vec![problem.help(format!("on a copy of the live schema this fails: {sql}"))]).into()
            }
            None => Failure::new("rename::flag", format!("{}: {message}", self.flag(by)))
                .help(format!("on a copy of the live schema this fails: {sql}")),
        }
    }

    fn words(&self, wrong: &Wrong) -> (String, &'static str, &'static str) {
        let (by, _) = origin(wrong);
        let asked = self.declared.asked.iter().find(|a| a.by == by);
        asked.map_or((String::new(), "", ""), |asked| words(wrong, asked))
    }

    fn flag(&self, by: usize) -> String {
        let flag = self.flags.get(by.saturating_sub(self.declared.directives.len())).map_or("", String::as_str);
        format!("--rename {flag}")
    }

    fn note(&self, wrong: &Wrong) -> String {
        let (by, _) = origin(wrong);
        let (message, ..) = self.words(wrong);
        match self.declared.directives.get(by).and_then(|d| self.to.line(&d.place)) {
            Some(at) => format!("{}:{}: {message}", at.file, at.line),
            None => format!("{}: {message}", self.flag(by)),
        }
    }

    fn files(&self) -> &Files {
        static NONE: Files = Files(Vec::new());
        self.to.places.as_ref().map_or(&NONE, |(files, _)| files)
    }
}

/// What `old=new` is about: everything that is live by the old name, in a place where the new one is wanted.
fn by_flag(flag: &str, (live, wanted): (&Catalog, &Catalog), others: &[Asked]) -> Result<Vec<(Id, Id)>, Failure> {
    let wrong = |message: String, help: &str| Failure::new("rename::flag", format!("--rename {flag}: {message}")).help(help);
    let Some((old, new)) = old_name::pair(flag) else {
        return Err(wrong("this is no pair of names".to_owned(), "write --rename old=new, such as public.users.mail=email"));
    };
    let ends = |id: &Id| id.name().ends_with(&old);
    let standing: Vec<Id> = live.objects().flat_map(kind::parts_with_names).filter(|id| ends(id)).collect();
    let found: Vec<(Id, Id)> = standing.iter().filter_map(|id| fits(id, &new, wanted, others)).collect();
    let places: Vec<&(Id, Id)> =
        found.iter().filter(|(_, n)| n.class() != found[0].1.class() || n.name() != found[0].1.name()).collect();
    match (found.first(), places.first()) {
        (Some(first), Some(other)) => {
            let message = format!("this may be {} or {}", first.1, other.1);
            Err(wrong(message, "write more of the old name: schema.table, or schema.table.column"))
        }
        (Some(_), None) => Ok(found),
        (None, _) if standing.is_empty() => {
            Err(wrong(format!("nothing in the live database is called {}", qualified(&old)), "write --rename old=new"))
        }
        (None, _) => {
            let message =
                format!("{} is in the live database, and nothing wanted in its place is called {}", standing[0], qualified(&new));
            Err(wrong(message, "write --rename old=new; the new name stands in the files"))
        }
    }
}

/// The old address by the names that everything around has in the wanted schema, and the new one, where that is wanted.
fn fits(id: &Id, new: &[String], wanted: &Catalog, others: &[Asked]) -> Option<(Id, Id)> {
    let mut turns: Vec<&Asked> = others.iter().filter(|a| kind::turn(a.new.class()) < kind::turn(id.class())).collect();
    turns.sort_by_key(|a| kind::turn(a.new.class()));
    let old = turns.iter().fold(id.clone(), |id, a| kind::moved(&id, &a.old, &a.new));
    let (last, schema) = match new {
        [name] => (name, None),
        [schema, name] if kind::moves(id.class()) => (name, Some(schema)),
        _ => return None,
    };
    let mut address = old.name().to_vec();
    address.last_mut()?.clone_from(last);
    if let Some(schema) = schema {
        address.first_mut()?.clone_from(schema);
    }
    let new = old.with_name(address);
    (kind::is_renamed(id.class()) && kind::has(wanted, &new)).then_some((old, new))
}
