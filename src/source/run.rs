//! Sends statements in large batches, finds the failing ones, and tries again what fails for a missing object.
//!
//! A batch is one simple query, so one implicit transaction and one round trip. When it stops, the number of commands that were
//! completed tells which statement failed: those before it are sent once more, those after it follow. No statement is sent more
//! than twice for a failure of another one.

use super::policy::Policy;
use super::problem::Problem;
use super::read::{Settings, Statement};
use super::screen::Action;
pub use super::send::ServerError;
use super::send::{Lost, send};
use super::{rewrite, rights};
use crate::{shadow, sql};
use pg_query::NodeEnum;
use pg_query::protobuf::ObjectType;
use std::cell::Cell;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// A statement on its way to the server.
#[derive(Clone, Debug)]
pub struct Item {
    /// Index of the statement.
    pub statement: usize,
    /// What is sent.
    pub sql: String,
    /// It is a part of the statement, made anew: positions in it say nothing about the file.
    pub made: bool,
}

/// A statement that the server does not take.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was sent.
    pub item: Item,
    /// What came back.
    pub error: ServerError,
}

/// SQLSTATEs of an object that may still come.
const MISSING: &[&str] = &[
    "3F000", // invalid_schema_name
    "42P01", // undefined_table
    "42704", // undefined_object: type, collation, ...
    "42883", // undefined_function
    "42703", // undefined_column
    "42830", // invalid_foreign_key: the unique index is still missing
    "42846", // cannot_coerce: the cast is still missing
];

/// SQLSTATEs of statements that want a transaction of their own, or what stands before them committed.
const ALONE: &[&str] = &[
    "25001", // active_sql_transaction
    "2D000", // invalid_transaction_termination: COMMIT in a DO block or procedure
    "55006", // object_in_use: pending trigger events
    "55P04", // unsafe_new_enum_value_usage
];

const BATCH_STATEMENTS: usize = 200;
/// What a batch shrinks to where every statement fails.
const FEWEST: usize = 4;
/// So that the server reads what was screened: code that files run may have set it otherwise, and then a string with a backslash, or
/// with some bytes, ends elsewhere.
const READING: &str = "SET standard_conforming_strings = on; SET client_encoding = 'UTF8'";
const BATCH_BYTES: usize = 512 * 1024;

/// The statements that put `settings` into force.
pub fn set(settings: &Settings) -> Vec<String> {
    let path = if settings.path.is_empty() { "''".to_owned() } else { sql::idents(&settings.path) };
    let mut parts = vec![format!("SET search_path = {path}")];
    parts.extend(super::screen::KEPT_SETTINGS[1..].iter().map(|name| match settings.others.get(*name) {
        Some(value) => format!("SET {name} = {value}"),
        None => format!("RESET {name}"),
    }));
    parts
}

/// How far loading is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Statements that the server has taken.
    pub done: usize,
    /// Statements to run.
    pub all: usize,
    /// How often what failed was tried again, from 1.
    pub round: usize,
}

/// Runs statements as the loading role, and the few that may as administrator.
pub struct Runner<'a> {
    /// All statements of the files.
    pub statements: &'a [Statement],
    /// The loading role's connection.
    pub loader: &'a Client,
    /// A superuser's connection.
    pub administrator: Option<&'a Client>,
    /// What is allowed.
    pub policy: &'a Policy,
    /// Roles that nothing of the files may belong to.
    pub powerful: BTreeSet<String>,
    /// How far it is.
    pub loading: Cell<Loading>,
    /// Told after every batch.
    pub watch: &'a dyn Fn(Loading),
}

impl Runner<'_> {
    /// Says how far it is.
    fn advance(&self, change: impl Fn(&mut Loading)) {
        let mut loading = self.loading.get();
        change(&mut loading);
        // what is cut off a statement comes on top of it
        loading.done = loading.done.min(loading.all);
        self.loading.set(loading);
        (self.watch)(loading);
    }

    /// Runs the items in rounds until no more of them succeed. Returns those that never did.
    pub async fn run(&self, client: &Client, items: Vec<Item>) -> Result<Vec<Failure>, Problem> {
        let mut broken = Vec::new();
        let mut pending = items;
        self.advance(|l| l.round = 0);
        loop {
            self.advance(|l| l.round += 1);
            let before = pending.len();
            let failures = if self.administrator.is_some_and(|a| std::ptr::eq(a, client)) {
                self.privileged(client, pending).await?
            } else {
                self.elevated(self.pass(client, pending).await?).await?
            };
            let again = |f: &Failure| !self.policy.script && MISSING.contains(&f.error.code.as_str());
            let (waiting, lost): (Vec<_>, Vec<_>) = failures.into_iter().partition(again);
            broken.extend(lost);
            if waiting.is_empty() {
                return Ok(broken);
            }
            let stuck = waiting.len() == before;
            let (items, cut) = if stuck { self.cut(&waiting) } else { (waiting.iter().map(|f| f.item.clone()).collect(), true) };
            if !cut {
                broken.extend(waiting);
                return Ok(broken);
            }
            pending = items;
        }
    }

    /// Nothing moves any more: take off what may be added later (foreign keys, OWNED BY), and add it at the end.
    fn cut(&self, waiting: &[Failure]) -> (Vec<Item>, bool) {
        let mut items = Vec::new();
        let mut keys = Vec::new();
        for Failure { item, .. } in waiting {
            let parts = if item.made { None } else { rewrite::cut(&self.statements[item.statement].node) };
            match parts {
                None => items.push(item.clone()),
                Some((create, alters)) => {
                    let made = |sql| Item { statement: item.statement, sql, made: true };
                    items.push(made(create));
                    keys.extend(alters.into_iter().map(made));
                }
            }
        }
        let cut = !keys.is_empty();
        items.append(&mut keys);
        (items, cut)
    }

    /// Tries as administrator what the loading role may not, if it is of the few statements that may.
    async fn elevated(&self, failures: Vec<Failure>) -> Result<Vec<Failure>, Problem> {
        let Some(administrator) = self.administrator else { return Ok(failures) };
        let may = |f: &Failure| f.error.code == "42501" && self.may_elevate(&self.statements[f.item.statement]);
        let (mine, mut rest): (Vec<_>, Vec<_>) = failures.into_iter().partition(may);
        if !mine.is_empty() {
            // event triggers come last: those that are there are hushed meanwhile, and would be what they were afterwards
            let about_them = |i: &Item| {
                matches!(self.statements[i.statement].node, NodeEnum::CreateEventTrigStmt(_) | NodeEnum::AlterEventTrigStmt(_))
            };
            let (last, first): (Vec<_>, Vec<_>) = mine.into_iter().map(|f| f.item).partition(about_them);
            rest.extend(self.privileged(administrator, first).await?);
            rest.extend(self.pass(administrator, last).await?);
            self.clear_path(administrator).await?;
            // now, since the statements after it are the loading role's, and want an owner
            self.adopt(administrator).await.map_err(|e| {
                let why = super::roles::text(&e);
                Problem::general(
                    "source::connection",
                    format!("cannot give the loading role what a superuser made for it: {why}"),
                )
            })?;
        }
        Ok(rest)
    }

    /// Runs items as administrator: no event trigger fires for them, and no name of the files means anything to the session afterwards.
    pub async fn privileged(&self, administrator: &Client, items: Vec<Item>) -> Result<Vec<Failure>, Problem> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let hushed = shadow::hush(administrator).await.map_err(|e| lost(&e))?;
        let failures = self.pass(administrator, items).await?;
        self.clear_path(administrator).await?;
        shadow::restore(administrator, hushed).await.map_err(|e| lost(&e))?;
        Ok(failures)
    }

    /// Statements run under the search path that their file sets; on it, operators of the files may stand before the server's own.
    async fn clear_path(&self, administrator: &Client) -> Result<(), Problem> {
        administrator.batch_execute("SET search_path = pg_catalog, pg_temp").await.map_err(|e| lost(&e))
    }

    async fn adopt(&self, administrator: &Client) -> Result<(), tokio_postgres::Error> {
        let owner: String = self.loader.query_one("SELECT current_user::text", &[]).await?.get(0);
        shadow::adopt(administrator, &owner).await
    }

    fn may_elevate(&self, statement: &Statement) -> bool {
        match &statement.node {
            NodeEnum::CreateExtensionStmt(s) => {
                let named = &self.policy.superuser_extensions;
                named.is_empty() || named.contains(&s.extname)
            }
            NodeEnum::CommentStmt(s) if s.objtype() == ObjectType::ObjectSchema => {
                // before 15 it does not belong to the database's owner
                s.object.as_deref().and_then(super::read::word) == Some("public")
            }
            NodeEnum::CommentStmt(s) => s.objtype() == ObjectType::ObjectExtension,
            // for a role that is there already: touches only what that role creates in this database later
            NodeEnum::AlterDefaultPrivilegesStmt(s) => {
                let roles = rights::privileges_of(s);
                !roles.is_empty() && roles.is_disjoint(&self.powerful)
            }
            _ => statement.superuser && self.policy.allow_superuser && statement.action == Action::Define,
        }
    }

    /// Sends every item once, in batches. Returns those that failed.
    async fn pass(&self, client: &Client, items: Vec<Item>) -> Result<Vec<Failure>, Problem> {
        let mut failures = Vec::new();
        let mut from = 0;
        // up to here a batch is known to succeed
        let mut good = None;
        let mut most = BATCH_STATEMENTS;
        while from < items.len() {
            let to = good.take().unwrap_or_else(|| batch_end(&items, from, most));
            let sent = self.batch(client, &items[from..to]).await?;
            // the server parses the whole of a batch before it runs any: where much fails, batches are small
            most = sent.as_ref().map_or(most * 2, |(n, _)| n * 2).clamp(FEWEST, BATCH_STATEMENTS);
            match sent {
                None => from = to,
                Some((n, error)) if n > 0 && ALONE.contains(&error.code.as_str()) => good = Some(from + n),
                Some((0, error)) if to - from > 1 && ALONE.contains(&error.code.as_str()) => good = Some(from + 1),
                Some((0, error)) => {
                    failures.push(Failure { item: items[from].clone(), error });
                    from += 1;
                }
                Some((n, error)) => {
                    // what stands before it is sent again without it
                    match self.batch(client, &items[from..from + n]).await? {
                        None => {}
                        Some((0, error)) => {
                            failures.push(Failure { item: items[from].clone(), error });
                            from += 1;
                            continue;
                        }
                        Some((m, _)) => {
                            good = Some(from + m);
                            continue;
                        }
                    }
                    failures.push(Failure { item: items[from + n].clone(), error });
                    from += n + 1;
                }
            }
        }
        Ok(failures)
    }

    /// One batch: none if it went through, else which item failed and how.
    async fn batch(&self, client: &Client, items: &[Item]) -> Result<Option<(usize, ServerError)>, Problem> {
        let mut parts: Vec<&str> = Vec::new();
        let mut owner: Vec<usize> = Vec::new();
        let mut current: Option<&Settings> = None;
        let changes: Vec<Vec<String>> = items
            .iter()
            .map(|item| {
                let wanted = self.statements[item.statement].settings.as_ref();
                if current.replace(wanted) == Some(wanted) { Vec::new() } else { set(wanted) }
            })
            .collect();
        for (i, (change, item)) in changes.iter().zip(items).enumerate() {
            parts.extend(change.iter().map(String::as_str).chain([item.sql.as_str()]));
            owner.resize(parts.len(), i);
        }
        let limit = self.policy.statement_timeout;
        // one statement is sent by itself: then it stands in no transaction block
        let (settings, rest) = parts.split_at(if items.len() == 1 { parts.len() - 1 } else { 0 });
        // a query is read as a whole before any of it is run
        let first: Vec<&str> = [READING].iter().chain(settings).copied().collect();
        let other = self.administrator.filter(|a| !std::ptr::eq(*a, client));
        let sent = match send(client, &first, limit, other).await {
            Ok(()) => send(client, rest, limit, other).await,
            failed => failed,
        };
        match sent {
            Ok(()) => {
                self.advance(|l| l.done += items.len());
                Ok(None)
            }
            // an error of the settings belongs to the statement that they are for
            Err(Ok(stopped)) if items.len() == 1 => Ok(Some((0, stopped.error))),
            Err(Ok(stopped)) => Ok(Some((owner[stopped.part], stopped.error))),
            Err(Err(Lost::Endless(part))) => {
                let item = if items.len() == 1 { &items[0] } else { &items[owner[part]] };
                let place = self.statements[item.statement].place.clone();
                Err(Problem::at("source::timeout", place, Lost::Endless(part).to_string(), "it does not come to an end"))
            }
            Err(Err(lost)) => Err(Problem::general("source::connection", lost.to_string())),
        }
    }
}

fn lost(error: &tokio_postgres::Error) -> Problem {
    Problem::general("source::connection", super::roles::text(error))
}

fn batch_end(items: &[Item], from: usize, most: usize) -> usize {
    let mut bytes = 0;
    let fits = items[from..].iter().take(most).take_while(|i| {
        bytes += i.sql.len();
        bytes <= BATCH_BYTES
    });
    from + fits.count().max(1)
}
