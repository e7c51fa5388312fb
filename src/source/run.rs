//! Sends statements in large batches, finds the failing ones, and tries again what fails for a missing object.
//!
//! A batch is one simple query, so one implicit transaction and one round trip. When it stops, the number of commands that were
//! completed tells which statement failed: those before it are sent once more, those after it follow. No statement is sent more
//! than twice for a failure of another one.

use super::policy::Policy;
use super::problem::Problem;
use super::read::{Settings, Statement};
use super::rewrite;
use super::screen::Action;
use crate::sql;
use futures_util::StreamExt;
use pg_query::NodeEnum;
use pg_query::protobuf::ObjectType;
use std::cell::Cell;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Client, SimpleQueryMessage};

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

/// What the server said.
#[derive(Clone, Debug, Default)]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// Its detail.
    pub detail: Option<String>,
    /// Its hint.
    pub hint: Option<String>,
    /// Byte within the statement.
    pub at: Option<usize>,
    /// Byte within a text that the server read inside of the statement (a body), and that text.
    pub inside: Option<(usize, String)>,
    /// Where it happened, in the server's words.
    pub context: Option<String>,
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
const BATCH_BYTES: usize = 512 * 1024;

/// Why a batch stopped: at which part, and the server's error.
pub struct Stopped {
    /// Index of the part.
    pub part: usize,
    /// The error.
    pub error: ServerError,
}

/// Sends `parts` as one simple query. `Err(Err(_))` is a lost connection.
pub async fn send<S: AsRef<str>>(client: &Client, parts: &[S]) -> Result<(), Result<Stopped, tokio_postgres::Error>> {
    let text = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(";\n");
    let mut done = 0;
    let failed = match client.simple_query_raw(&text).await {
        Err(e) => Some(e),
        Ok(stream) => {
            let mut stream = std::pin::pin!(stream);
            loop {
                match stream.next().await {
                    None => break None,
                    Some(Ok(SimpleQueryMessage::CommandComplete(_))) => done += 1,
                    Some(Ok(_)) => {}
                    Some(Err(e)) => break Some(e),
                }
            }
        }
    };
    let Some(e) = failed else { return Ok(()) };
    match e.as_db_error() {
        Some(db) => Err(Ok(stopped(db, parts, &text, done))),
        None => Err(Err(e)),
    }
}

fn stopped<S: AsRef<str>>(db: &DbError, parts: &[S], text: &str, done: usize) -> Stopped {
    let mut error = ServerError {
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: db.detail().map(str::to_owned),
        hint: db.hint().map(str::to_owned),
        context: db.where_().map(str::to_owned),
        ..ServerError::default()
    };
    let mut part = done.min(parts.len().saturating_sub(1));
    match db.position() {
        Some(ErrorPosition::Original(n)) => {
            let byte = byte_of(text, *n);
            let mut start = 0;
            for (i, p) in parts.iter().enumerate() {
                if byte <= start + p.as_ref().len() {
                    (part, error.at) = (i, Some(byte.saturating_sub(start)));
                    break;
                }
                start += p.as_ref().len() + 2;
            }
        }
        Some(ErrorPosition::Internal { position, query }) => error.inside = Some((byte_of(query, *position), query.clone())),
        None => {}
    }
    Stopped { part, error }
}

/// The server counts characters from 1; files are cut by bytes from 0.
fn byte_of(text: &str, position: u32) -> usize {
    let n = usize::try_from(position).unwrap_or(1).saturating_sub(1);
    text.char_indices().nth(n).map_or(text.len(), |(i, _)| i)
}

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
            let failures = self.elevated(self.pass(client, pending).await?).await?;
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
            rest.extend(self.pass(administrator, mine.into_iter().map(|f| f.item).collect()).await?);
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

    async fn adopt(&self, administrator: &Client) -> Result<(), tokio_postgres::Error> {
        let owner: String = self.loader.query_one("SELECT current_user::text", &[]).await?.get(0);
        crate::shadow::adopt(administrator, &owner).await
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
            NodeEnum::AlterDefaultPrivilegesStmt(_) => true,
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
        let sent = match items {
            // one statement is sent by itself: then it stands in no transaction block
            [_] => match send(client, &parts[..parts.len() - 1]).await {
                Ok(()) => send(client, &parts[parts.len() - 1..]).await,
                failed => failed,
            },
            _ => send(client, &parts).await,
        };
        match sent {
            Ok(()) => {
                self.advance(|l| l.done += items.len());
                Ok(None)
            }
            // an error of the settings belongs to the statement that they are for
            Err(Ok(stopped)) if items.len() == 1 => Ok(Some((0, stopped.error))),
            Err(Ok(stopped)) => Ok(Some((owner[stopped.part], stopped.error))),
            Err(Err(lost)) => Err(Problem::general("source::connection", format!("the shadow server went away: {lost}"))),
        }
    }
}

fn batch_end(items: &[Item], from: usize, most: usize) -> usize {
    let mut bytes = 0;
    let fits = items[from..].iter().take(most).take_while(|i| {
        bytes += i.sql.len();
        bytes <= BATCH_BYTES
    });
    from + fits.count().max(1)
}
