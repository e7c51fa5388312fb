//! A live database -> a catalog. One snapshot, a fixed number of queries, addresses joined in memory.

mod reading;
mod resolve;
mod seen;
mod sizes;
mod torn;
mod unmanaged;

use futures_util::stream::{FuturesOrdered, StreamExt};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Row};

use self::reading::{Joined, map};
pub use self::seen::Seen;
pub use self::sizes::{read_sizes, read_usage};
use self::torn::Picture;
use crate::catalog::{Catalog, Id, Unmanaged};
use crate::kind;
use crate::pg;

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// The server refused a query.
    #[error("reading the catalog failed while reading {what}: {source}")]
    Query {
        /// The kind of object that was being read.
        what: String,
        /// The server's answer.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A row that the kind does not understand: a bug of plumb, never a reason to go on.
    #[error("{0}. This is a bug of plumb: please report it with the server's version")]
    Unreadable(String),
    /// The catalog changed during the reading, every time.
    #[error("the catalog kept changing while it was read: another session runs DDL. Try again when it is done")]
    Busy,
}

/// The digest of an object that is not managed and of a class that stands in no list here.
pub const UNKNOWN: &str = "unknown";

type Oids = (u32, u32, i32);

/// How often a torn picture is taken again, at least, and for how long.
const TIMES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the whole database.
///
/// # Errors
/// When a query fails, a row cannot be understood, or DDL of others keeps changing what is read.
pub async fn introspect(session: &pg::Session) -> Result<Catalog, IntrospectError> {
    introspect_beside(session, &Seen::default()).await
}

/// The same beside other readings: what is the same in them is one object in memory, and costs less to read.
///
/// # Errors
/// When a query fails, a row cannot be understood, or DDL of others keeps changing what is read.
pub async fn introspect_beside(session: &pg::Session, seen: &Seen) -> Result<Catalog, IntrospectError> {
    let started = Instant::now();
    let mut failures: Vec<IntrospectError> = Vec::new();
    for time in 1.. {
        match attempt(session, seen).await {
            Ok(Some(catalog)) => return Ok(catalog),
            Ok(None) => {}
            Err(IntrospectError::Query { source, what }) if vanished(&source) => {
                tracing::debug!(what, "{source}");
                failures.push(IntrospectError::Query { what, source });
            }
            Err(e) => return Err(e),
        }
        tracing::debug!(time, "the catalog has changed meanwhile");
        if time >= TIMES && started.elapsed() > PATIENCE {
            break;
        }
        // Whoever changes the catalog may be about to do more of it.
        tokio::time::sleep(Duration::from_millis(50 * u64::from(time.min(10)))).await;
    }
    Err(persistent(failures).unwrap_or(IntrospectError::Busy))
}

/// What was in the way, as far as another session's DDL explains it: an object went away between the snapshot and a
/// `pg_get_*def` ("cache lookup failed", "could not open relation"), or somebody holds what a view is deparsed under.
fn vanished(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|e| ["XX000", "55P03", "40P01"].contains(&e.code().code()))
}

/// An internal error that comes every time in the same words has nothing to do with other sessions.
fn persistent(mut failures: Vec<IntrospectError>) -> Option<IntrospectError> {
    let said = |e: &IntrospectError| match e {
        IntrospectError::Query { source, .. } => {
            source.as_db_error().filter(|e| e.code().code() == "XX000").map(|e| e.message().to_owned())
        }
        _ => None,
    };
    let first = said(failures.first()?)?;
    let same = failures.len() >= TIMES as usize && failures.iter().all(|e| said(e).as_ref() == Some(&first));
    same.then(|| failures.pop()).flatten()
}

/// Reads the definition of one object, if it exists; for objects whose kind has a query of its own.
///
/// # Errors
/// When the query fails.
pub async fn read_one(session: &pg::Session, id: &Id) -> Result<Option<Map<String, Value>>, IntrospectError> {
    let Some(query) = kind::of(id).query else { return Ok(None) };
    let sql = format!(
        "SELECT d FROM ({}) q(c, o, s, n, a, pc, po, ps, w, acl, acld, d, x) WHERE n = $1 AND coalesce(a, '{{}}') = $2",
        query(session.version.0).sql()
    );
    let row = session.client.query_opt(&sql, &[&id.name(), &id.args()]).await;
    let row = row.map_err(|source| IntrospectError::Query { what: id.to_string(), source })?;
    Ok(row.map(|r| map(r.get(0))))
}

/// Deparsing a view waits for locks of its tables. It must not wait for long: who waits longer than `deadlock_timeout` (1 s)
/// may cost the other session its transaction.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '500ms'";

/// One picture; none when it is torn.
async fn attempt(session: &pg::Session, seen: &Seen) -> Result<Option<Catalog>, IntrospectError> {
    let client = &session.client;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| IntrospectError::Query { what, source }
    };
    pg::settings::pin(session).await.map_err(failed("the session's settings"))?;
    client.batch_execute(BEGIN).await.map_err(failed("the snapshot"))?;
    let reading = async {
        let picture = Picture::begin(client).await.map_err(failed("the snapshot"))?;
        let read = read_all(session, seen).await;
        if let Err(e @ IntrospectError::Query { .. }) = read {
            return Err(e);
        }
        let taken = picture.end(client).await.map_err(failed("whether the catalog is at rest"))?;
        Ok((read, taken))
    };
    let (read, taken) = match reading.await {
        Ok(done) => done,
        Err(e) => {
            client.batch_execute("ROLLBACK").await.ok();
            return Err(e);
        }
    };
    client.batch_execute("COMMIT").await.map_err(failed("the snapshot"))?;
    // A row that cannot be understood may be one that is gone.
    if taken.is_torn(client).await.map_err(failed("whether the catalog is at rest"))? { Ok(None) } else { read.map(Some) }
}

/// Sends all queries at once, so that the server is never waited for between two of them, and hands on each answer when it comes.
async fn answers(
    client: &Client,
    queries: &[(&'static str, Cow<'static, str>)],
    to: &Sender<(&'static str, Vec<Row>)>,
) -> Result<(), IntrospectError> {
    let mut last = Instant::now();
    let one = async |what: &'static str, sql: &str| (what, client.query(sql, &[]).await);
    let mut answers: FuturesOrdered<_> = queries.iter().map(|(what, sql)| one(what, sql)).collect();
    while let Some((what, rows)) = answers.next().await {
        let rows = rows.map_err(|source| IntrospectError::Query { what: what.to_owned(), source })?;
        tracing::debug!(what, ms = last.elapsed().as_millis() as u64, rows = rows.len(), "read");
        last = Instant::now();
        // Whoever takes them stops at a row that it does not understand, and says so itself.
        to.send((what, rows)).ok();
    }
    Ok(())
}

/// Reads everything; rows become objects in a thread of their own while the server writes the next ones.
async fn read_all(session: &pg::Session, seen: &Seen) -> Result<Catalog, IntrospectError> {
    let version = session.version.0;
    let failed = |source| IntrospectError::Query { what: "objects that are not managed".to_owned(), source };
    let present: Vec<bool> = session.client.query_one(&reading::presence(version), &[]).await.map_err(failed)?.get(0);
    let queries = reading::queries(version, &present);
    let (sender, receiver) = channel();
    let (expected, seen) = (queries.len(), seen.clone());
    let gathering = tokio::task::spawn_blocking(move || reading::gather(&receiver, expected, version, &seen));
    let sent = answers(&session.client, &queries, &sender).await;
    drop(sender);
    let joined = match gathering.await {
        Ok(joined) => joined,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    sent?;
    let missing = || IntrospectError::Unreadable("an answer of the server is missing".to_owned());
    let joined = joined?.ok_or_else(missing)?;
    let mut catalog = name_the_rest(&session.client, joined).await?;
    catalog.unmanaged.sort();
    Ok(catalog)
}

/// Names what is not managed and has come by its OIDs only.
async fn name_the_rest(client: &Client, joined: Joined) -> Result<Catalog, IntrospectError> {
    let Joined { mut catalog, strange, lost, mut unknown } = joined;
    let failed = |source| IntrospectError::Query { what: "the names of what is not managed".to_owned(), source };
    if !unknown.is_empty() {
        let rows = client.query(&unmanaged::parts::sql(catalog.server), &[]).await.map_err(failed)?;
        let parts: HashSet<(u32, u32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        unknown.retain(|oids| !parts.contains(&(oids.0, oids.1)));
    }
    for (class, object, sub) in strange {
        let described = client.query_opt(DESCRIBE, &[&class, &object, &sub]).await.map_err(failed)?;
        // Of a temporary object, or of one that is gone, which is either that or a torn picture.
        let Some(identity) = described.and_then(|r| r.get::<_, Option<String>>(0)) else { continue };
        let (schema, digest) = (String::new(), String::new());
        catalog.unmanaged.push(Unmanaged { class: "comment".into(), identity, schema, digest, uses: Vec::new() });
    }
    let nameless = lost.into_iter().map(|oids| (oids, "")).chain(unknown.into_iter().map(|oids| (oids, UNKNOWN)));
    for ((class, object, _), digest) in nameless {
        let Some(row) = client.query_opt(IDENTIFY, &[&class, &object]).await.map_err(failed)? else { continue };
        let text = |at: usize| row.get::<_, Option<String>>(at).unwrap_or_default();
        let (class, identity, schema) = (text(0), text(1), text(2));
        catalog.unmanaged.push(Unmanaged { class, identity, schema, digest: digest.to_owned(), uses: Vec::new() });
    }
    Ok(catalog)
}

/// Nothing of what belongs to a session.
const DESCRIBE: &str = "SELECT pg_describe_object($1, $2, $3) FROM pg_identify_object($1, $2, $3) o \
     WHERE coalesce(o.schema, '') !~ '^pg_temp(_|$)' AND o.identity !~ ' on pg_temp(_[0-9]+)?[.]'";

const IDENTIFY: &str = "SELECT type, identity, schema FROM pg_identify_object($1, $2, 0) o \
     WHERE coalesce(o.schema, '') !~ '^pg_temp(_|$)' AND o.identity !~ ' on pg_temp(_[0-9]+)?[.]'";
