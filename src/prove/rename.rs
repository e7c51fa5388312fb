//! Renames, done on a copy of the live schema: everything that has another address or another text then is read and not worked out.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::administrator;
use super::carry::carried;
use super::copy::copy;
use super::run::differences;
use super::settle::words;
use crate::apply::run::server_message;
use crate::catalog::{Catalog, Id, Object};
use crate::change::{Asked, Rename, Wrong, following, renames};
use crate::introspect::{IntrospectError, Seen, introspect_beside};
use crate::kind::{self, quarantine};
use crate::order::Step;
use crate::plan::{Renamed, Sides, rename_step};
use crate::shadow::{Scratch, ShadowError};
use crate::statement::{LockMode, Statement};

/// What is to be called otherwise.
pub struct Names<'a> {
    /// The wanted schema, whole.
    pub wanted: &'a Catalog,
    /// What somebody declares.
    pub asked: &'a [Asked],
    /// Whether the files give something its name; nobody does where there are no files.
    pub named: &'a dyn Fn(&Id) -> bool,
    /// Whether something may be touched.
    pub holds: &'a dyn Fn(&Id) -> bool,
}

impl Names<'_> {
    /// Whether the live side has nothing yet: what had another name somewhere has none here.
    fn is_fresh(&self, live: &Catalog) -> bool {
        !live.objects().any(|o| o.id.of().is_none() && o.id.class() != "schema" && (self.holds)(&o.id))
    }
}

/// Why nothing can be renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    /// What is asked for makes no sense.
    #[error("what is declared of names cannot be")]
    Wrong(Vec<Wrong>),
    /// The server does not do it.
    #[error("{sql}: {message}")]
    Refused {
        /// Who asks for it.
        by: Option<usize>,
        /// The statement.
        sql: String,
        /// The server's words.
        message: String,
    },
    /// There is no copy of the live schema to do it on.
    #[error("{0}")]
    Copy(String),
    /// The copy cannot be read.
    #[error(transparent)]
    Introspect(#[from] IntrospectError),
    /// The scratch database is lost.
    #[error(transparent)]
    Shadow(#[from] ShadowError),
}

/// The live database with other names, and how it gets them.
pub struct Called {
    /// The live database, whole, when everything has its new name.
    pub whole: Catalog,
    /// A step for each.
    pub steps: Vec<Step>,
    /// The database before some of them.
    pub pictures: BTreeMap<usize, Catalog>,
    /// For relations with another name: the old one, by the new one.
    pub names: BTreeMap<String, String>,
}

impl Called {
    /// These sides, with what stands called so.
    pub fn turn(self, sides: Sides, before: &Catalog) -> Sides {
        let Called { whole, steps, pictures, names } = self;
        let scope = sides.scope.with_moved(before, &whole);
        let renamed = Some(Renamed { whole: before.clone(), live: scope.of(before), steps, pictures, names });
        Sides { live: scope.of(&whole), whole, scope, renamed, ..sides }
    }
}

/// Does what is left to do of it on a copy that `scratch` makes room for; none when nothing is. With it comes what somebody should
/// know and what is no error.
///
/// # Errors
/// When a wish is wrong or refused, or no copy of the live schema can be made.
pub async fn rename<E: From<RenameError>>(
    live: &Catalog,
    names: &Names<'_>,
    scratch: impl AsyncFnOnce() -> Result<Scratch, E>,
) -> Result<(Option<Called>, Vec<Wrong>), E> {
    let mut work = Work::new(live, scratch);
    let mut notes = Vec::new();
    let done = declared(&mut work, names, &mut notes).await;
    Ok((work.finish(done).await?, notes))
}

/// Why something is renamed that nobody has declared.
const FOLLOWS: &str = "nobody has named it, and the server would call it so now";

async fn declared<E: From<RenameError>, F: AsyncFnOnce() -> Result<Scratch, E>>(
    work: &mut Work<'_, F>,
    names: &Names<'_>,
    notes: &mut Vec<Wrong>,
) -> Result<(), E> {
    let fresh = names.is_fresh(work.live);
    for turn in 0..=2 {
        let of_turn = names.asked.iter().filter(|a| kind::turn(a.new.class()) == turn && (names.holds)(&a.new));
        let asked: Vec<Asked> = of_turn.map(|a| Asked { old: work.in_renamed_schema(&a.old), ..a.clone() }).collect();
        let (list, wrong) = renames(&work.now, names.wanted, &asked);
        let harmless = |w: &Wrong| matches!(w, Wrong::New(..)) || fresh && matches!(w, Wrong::Missing(_));
        let (known, wrong): (Vec<Wrong>, Vec<Wrong>) = wrong.into_iter().partition(harmless);
        notes.extend(known);
        if !wrong.is_empty() {
            return Err(RenameError::Wrong(wrong).into());
        }
        work.run(list, "it is declared to be what had another name").await?;
    }
    let now = work.now_in_live_words();
    let in_short = |text: &str| words(text).join(" ");
    let list = following((&now, names.wanted), names.named, names.holds, &in_short);
    work.run(list, FOLLOWS).await
}

/// Takes renames back on a copy of `live`, the last one first.
///
/// # Errors
/// As for [`rename`].
pub async fn rename_back<E: From<RenameError>>(
    live: &Catalog,
    moves: &[(Id, Id)],
    scratch: impl AsyncFnOnce() -> Result<Scratch, E>,
) -> Result<Option<Called>, E> {
    let mut work = Work::new(live, scratch);
    let mut done = Ok(());
    let mut rest: Vec<Rename> =
        moves.iter().rev().map(|(from, to)| Rename { from: to.clone(), to: from.clone(), by: None }).collect();
    while let (Ok(()), Some(first)) = (&done, rest.first()) {
        // What has the same turn needs no look in between.
        let turn = kind::turn(first.from.class());
        let later = rest.iter().position(|r| kind::turn(r.from.class()) != turn).unwrap_or(rest.len());
        let list = rest.drain(..later).collect();
        done = work.run(list, "it gets back the name that it had").await;
    }
    work.finish(done).await
}

/// The copy, from when it is needed.
struct Copy {
    scratch: Scratch,
    seen: Seen,
    /// As it was read before the first rename.
    before: Catalog,
}

struct Work<'a, F> {
    live: &'a Catalog,
    make: Option<F>,
    copy: Option<Copy>,
    /// The database as it is now: the live one, then the copy.
    now: Cow<'a, Catalog>,
    steps: Vec<Step>,
    pictures: BTreeMap<usize, Catalog>,
}

impl<'a, F> Work<'a, F> {
    fn new(live: &'a Catalog, make: F) -> Work<'a, F> {
        Work { live, make: Some(make), copy: None, now: Cow::Borrowed(live), steps: Vec::new(), pictures: BTreeMap::new() }
    }

    /// The database as it is now, in the words that the live one will have.
    fn now_in_live_words(&self) -> Cow<'a, Catalog> {
        let Some(copy) = &self.copy else { return Cow::Borrowed(self.live) };
        let moves: Vec<(Id, Id)> = self.steps.iter().filter_map(|s| s.renamed.clone()).collect();
        Cow::Owned(as_it_will_be((self.live, &copy.before, &self.now), &moves, &names(self.live, &moves)))
    }

    /// The address where the schema that it names has another name already.
    fn in_renamed_schema(&self, id: &Id) -> Id {
        let moves = self.steps.iter().filter_map(|s| s.renamed.as_ref()).filter(|(from, _)| from.class() == "schema");
        moves.fold(id.clone(), |id, (from, to)| kind::moved(&id, from, to))
    }

    async fn copied<E: From<RenameError>>(&mut self) -> Result<(), E>
    where
        F: AsyncFnOnce() -> Result<Scratch, E>,
    {
        let Some(make) = self.make.take() else { return Ok(()) };
        let (scratch, seen) = (make().await?, Seen::default());
        let made = async {
            if let Err(why) = copy(&scratch, self.live).await? {
                return Err(RenameError::Copy(why.to_string()));
            }
            let before = introspect_beside(&scratch.session, &seen).await?;
            match differences(&scratch, &before, self.live).await? {
                Some(text) => Err(RenameError::Copy(format!("it differs from the original: {text}"))),
                None => Ok(before),
            }
        };
        let made: Result<Catalog, RenameError> = made.await;
        match made {
            Ok(before) => {
                self.copy = Some(Copy { scratch, seen, before });
                Ok(())
            }
            Err(error) => {
                scratch.drop().await.map_err(RenameError::from)?;
                Err(error.into())
            }
        }
    }

    /// Does these renames, and looks at what has become of everything.
    async fn run<E: From<RenameError>>(&mut self, list: Vec<Rename>, why: &str) -> Result<(), E>
    where
        F: AsyncFnOnce() -> Result<Scratch, E>,
    {
        if list.is_empty() {
            return Ok(());
        }
        self.copied().await?;
        let Some(Copy { scratch, seen, .. }) = &self.copy else { return Ok(()) };
        self.pictures.insert(self.steps.len(), self.now.clone().into_owned());
        let mut moved: HashMap<Id, Object> = HashMap::new();
        for Rename { from, to, by } in list {
            let bearer = kind::bearer(&from);
            let object = moved.remove(&bearer).or_else(|| self.now.get(&bearer).cloned());
            let Some(object) = object else { continue };
            let mut step = rename_step(&object, &from, &to, why);
            if from.first() != to.first() && from.class() == "table" {
                // What belongs to its columns comes along.
                let sequences = kind::sequences_of_table(&self.now, &from);
                let locks = sequences.into_iter().map(|s| (s, LockMode::AccessExclusive));
                step.statements.first_mut().into_iter().for_each(|s| s.locks.extend(locks.clone()));
            }
            if quarantine::is_marked(&self.now, &bearer) {
                come_back(&self.now, &mut step);
            }
            if why == FOLLOWS {
                // Nobody has chosen the name that it had.
                step.effects.clear();
            }
            for statement in &step.statements {
                let refused = |message| RenameError::Refused { by, sql: statement.sql.clone(), message };
                on_copy(scratch, &statement.sql).await.map_err(refused)?;
            }
            let id = if bearer == from { to } else { bearer };
            moved.insert(id.clone(), Object { id, ..object });
            self.steps.push(step);
        }
        self.now = Cow::Owned(introspect_beside(&scratch.session, seen).await.map_err(RenameError::from)?);
        Ok(())
    }

    async fn finish<E: From<RenameError>>(self, done: Result<(), E>) -> Result<Option<Called>, E> {
        let Some(Copy { scratch, before, .. }) = self.copy else { return done.map(|()| None) };
        scratch.drop().await.map_err(RenameError::from)?;
        done?;
        let moves: Vec<(Id, Id)> = self.steps.iter().filter_map(|s| s.renamed.clone()).collect();
        let names = names(self.live, &moves);
        let whole = as_it_will_be((self.live, &before, &self.now), &moves, &names);
        Ok(Some(Called { whole, steps: self.steps, pictures: self.pictures, names }))
    }
}

/// What was put aside comes back, where its schema may be gone meanwhile. Nobody knows it under the name that it has.
fn come_back(now: &Catalog, step: &mut Step) {
    let Some((_, to)) = &step.renamed else { return };
    step.statements.push(quarantine::unmarked(to));
    let schema = Id::new("schema", [to.first()]);
    if !now.contains(&schema) {
        step.statements.insert(0, Statement::new(format!("CREATE SCHEMA IF NOT EXISTS {}", schema.sql())));
    }
    step.effects.clear();
}

/// As the role that the plan will run as or, where that may not, as the administrator.
async fn on_copy(scratch: &Scratch, sql: &str) -> Result<(), String> {
    let Err(error) = scratch.session.client.batch_execute(sql).await else { return Ok(()) };
    let (message, code) = server_message(&error);
    if code != "42501" || !administrator::is_rename(sql) {
        return Err(message);
    }
    administrator::run(scratch, sql).await.map_err(|refused| refused.message)
}

fn will_be(id: &Id, moves: &[(Id, Id)]) -> Id {
    moves.iter().fold(id.clone(), |id, (from, to)| kind::moved(&id, from, to))
}

/// The old names of what is called otherwise, by the new ones, as SQL.
fn names(live: &Catalog, moves: &[(Id, Id)]) -> BTreeMap<String, String> {
    let wholes = live.objects().map(|o| &o.id).filter(|id| id.of().is_none() && id.name().len() == 2);
    wholes.map(|id| (will_be(id, moves).sql(), id.sql())).filter(|(new, old)| new != old).collect()
}

/// The live database after the renames: with what it holds and what nobody manages, by the new names.
fn as_it_will_be(
    (live, before, after): (&Catalog, &Catalog, &Catalog),
    moves: &[(Id, Id)],
    names: &BTreeMap<String, String>,
) -> Catalog {
    let was = |id: &Id| moves.iter().rev().fold(id.clone(), |id, (from, to)| kind::moved(&id, to, from));
    let object = |o: &Object| {
        let id = was(&o.id);
        match (live.get(&id), before.get(&id)) {
            (Some(live), Some(before)) => carried(live, before, o),
            _ => o.clone(),
        }
    };
    let mut whole = Catalog::new(after.objects().map(object).collect(), after.edges()).with_header(live);
    for used in whole.unmanaged.iter_mut().flat_map(|u| &mut u.uses) {
        *used = will_be(used, moves);
    }
    let sizes: Vec<_> = names.iter().filter_map(|(new, old)| Some((new.clone(), whole.sizes.remove(old)?))).collect();
    whole.sizes.extend(sizes);
    let published: Vec<_> = names.iter().filter(|(_, old)| whole.published.remove(*old)).map(|(new, _)| new.clone()).collect();
    whole.published.extend(published);
    whole
}
