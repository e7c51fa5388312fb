//! A live database -> a catalog. One snapshot, a fixed number of queries, addresses joined in memory.

mod resolve;
mod torn;
mod unmanaged;

use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Row};

use self::resolve::Resolver;
use self::torn::Picture;
use crate::catalog::{Catalog, Id, Object, Unmanaged};
use crate::kind::{self, KINDS, privileges};
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

/// An object with an acl: its owner, the acl, and what the owner has by default.
type Given = (Id, Option<String>, Vec<String>, Vec<String>);

/// Rows as they come, before addresses are known.
#[derive(Default)]
struct Reading {
    objects: Vec<(Oids, Option<Oids>, Object)>,
    owners: Vec<(Id, String)>,
    grants: Vec<Given>,
    depends: Vec<(Oids, Oids, char)>,
    inherited: Vec<(Oids, Oids)>,
    comments: Vec<(Oids, String)>,
    unmanaged: Vec<(Oids, Unmanaged)>,
    /// Catalog and OID of what is part of something without an address of its own.
    parts: HashSet<(u32, u32)>,
}

/// What rows give.
struct Joined {
    catalog: Catalog,
    /// What has a comment and is no object of any kind.
    strange: Vec<Oids>,
    /// Objects of kinds that are part of something that is not managed.
    lost: Vec<Oids>,
    /// What plumb has never heard of.
    unknown: Vec<Oids>,
}

/// How often a torn picture is taken again, at least, and for how long.
const TIMES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the whole database.
///
/// # Errors
/// When a query fails, a row cannot be understood, or DDL of others keeps changing what is read.
pub async fn introspect(session: &pg::Session) -> Result<Catalog, IntrospectError> {
    let started = Instant::now();
    let mut failures: Vec<IntrospectError> = Vec::new();
    for time in 1.. {
        match attempt(session).await {
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
async fn attempt(session: &pg::Session) -> Result<Option<Catalog>, IntrospectError> {
    let client = &session.client;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| IntrospectError::Query { what, source }
    };
    pg::settings::pin(client).await.map_err(failed("the session's settings"))?;
    client.batch_execute(BEGIN).await.map_err(failed("the snapshot"))?;
    let reading = async {
        let picture = Picture::begin(client).await.map_err(failed("the snapshot"))?;
        let read = read_all(session).await;
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

/// Members that a child table has from its parent, of any kind.
const INHERITED: &str = "inherited members";

/// Sends all queries at once: the server is never waited for between two of them.
async fn answers(client: &Client, queries: &[(&str, Cow<'_, str>)]) -> Result<Vec<Vec<Row>>, IntrospectError> {
    let last = Cell::new(Instant::now());
    let one = async |what: &str, sql: &str| {
        let rows = client.query(sql, &[]).await.map_err(|source| IntrospectError::Query { what: what.to_owned(), source });
        tracing::debug!(what, ms = last.replace(Instant::now()).elapsed().as_millis() as u64, "read");
        rows
    };
    try_join_all(queries.iter().map(|(what, sql)| one(what, sql))).await
}

fn foreign(row: &Row) -> (Oids, Unmanaged) {
    let (class, identity, schema, digest) = (row.get(0), row.get(1), row.get(2), row.get(3));
    ((row.get(4), row.get(5), 0), Unmanaged { class, identity, schema, digest, uses: Vec::new() })
}

async fn read_all(session: &pg::Session) -> Result<Catalog, IntrospectError> {
    let client = &session.client;
    let version = session.version.0;
    let mut queries: Vec<(&str, Cow<str>)> = Vec::new();
    for kind in KINDS {
        queries.extend(kind.query.map(|query| (kind.class, lasting(query(version).sql()).into())));
        queries.extend(kind.inherited.map(|sql| (INHERITED, sql.into())));
    }
    queries.extend([("dependencies", DEPENDS.into()), ("comments", COMMENTS.into())]);
    queries.extend([("objects that are not managed", unmanaged::sql(version).into())]);
    queries.extend([("parts of objects", unmanaged::parts::sql(version).into()), ("the database", HEAD.into())]);
    let mut reading = Reading::default();
    let mut head = Vec::new();
    for (what, rows) in queries.iter().map(|q| q.0).zip(answers(client, &queries).await?) {
        match what {
            INHERITED => reading.inherited.extend(rows.iter().map(|r| (oids(r, 0), oids(r, 3)))),
            "dependencies" => {
                reading.depends.extend(rows.iter().map(|r| (oids(r, 0), oids(r, 3), r.get::<_, i8>(6) as u8 as char)))
            }
            "comments" => reading.comments.extend(rows.iter().map(|r| (oids(r, 0), r.get(3)))),
            "objects that are not managed" => {
                reading.unmanaged.extend(rows.iter().map(foreign).filter(|(_, o)| !o.schema.starts_with("pg_temp_")))
            }
            "parts of objects" => reading.parts = rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
            "the database" => head = rows,
            class => rows.iter().try_for_each(|row| reading.object(class, row))?,
        }
    }
    let mut catalog = name_the_rest(client, reading.join()?).await?;
    catalog.unmanaged.sort();
    catalog.server = version;
    if let Some(row) = head.first() {
        (catalog.database, catalog.role, catalog.owner) = (row.get(0), row.get(1), row.get(2));
        catalog.roles = row.get::<_, Vec<String>>(3).into_iter().collect();
    }
    Ok(catalog)
}

/// Names what is not managed and has come by its OIDs only.
async fn name_the_rest(client: &Client, joined: Joined) -> Result<Catalog, IntrospectError> {
    let Joined { mut catalog, strange, lost, unknown } = joined;
    let failed = |source| IntrospectError::Query { what: "the names of what is not managed".to_owned(), source };
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

const HEAD: &str = "SELECT datname::text, current_user::text, pg_get_userbyid(datdba)::text, \
     ARRAY(SELECT rolname::text FROM pg_roles) FROM pg_database WHERE datname = current_database()";

const DEPENDS: &str =
    "SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend WHERE objid >= 16384";

/// Nothing of what belongs to a session.
const DESCRIBE: &str = "SELECT pg_describe_object($1, $2, $3) FROM pg_identify_object($1, $2, $3) o \
     WHERE coalesce(o.schema, '') !~ '^pg_temp(_|$)' AND o.identity !~ ' on pg_temp(_[0-9]+)?[.]'";

/// A kind's query without the temporary objects of whatever session: nobody plans those, and their owner may drop them before
/// they are deparsed. Kinds of many rows leave them out by themselves, which costs less.
fn lasting(sql: String) -> String {
    if sql.contains("relpersistence <> 't'") {
        return sql;
    }
    format!(
        "SELECT * FROM ({sql}) q(c, o, s, n, a, pc, po, ps, w, acl, acld, d, x) WHERE NOT (n[1] LIKE 'pg\\_temp\\_%' AND n[2] IS NOT NULL)"
    )
}

const IDENTIFY: &str = "SELECT type, identity, schema FROM pg_identify_object($1, $2, 0) o \
     WHERE coalesce(o.schema, '') !~ '^pg_temp(_|$)' AND o.identity !~ ' on pg_temp(_[0-9]+)?[.]'";

/// Comments of user objects; on an extension, only one that differs from its control file's.
const COMMENTS: &str = "SELECT classoid, objoid, objsubid, description FROM pg_description \
     WHERE (objoid >= 16384 OR classoid = 'pg_namespace'::regclass AND objoid = 2200) \
     AND (classoid <> 'pg_extension'::regclass OR NOT EXISTS (SELECT FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname \
     WHERE e.oid = objoid AND a.comment = description))";

fn oids(row: &Row, at: usize) -> Oids {
    (row.get(at), row.get(at + 1), row.get(at + 2))
}

/// A definition without its nulls; the server takes longer to strip them.
fn map(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => stripped(map),
        _ => Map::new(),
    }
}

fn stripped(map: Map<String, Value>) -> Map<String, Value> {
    let inner = |value| if let Value::Object(map) = value { Value::Object(stripped(map)) } else { value };
    map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, inner(v))).collect()
}

impl Reading {
    /// Takes one row of a kind's query, whose form `kind::Query` fixes.
    fn object(&mut self, class: &str, row: &Row) -> Result<(), IntrospectError> {
        let id = Id::with_args(class, row.get::<_, Vec<String>>(3), row.get::<_, Option<Vec<String>>>(4));
        let parent = row.get::<_, Option<u32>>(5).map(|catalog| (catalog, row.get(6), row.get(7)));
        let owner: Option<String> = row.get(8);
        if let (Some(acl), Some(default)) = (row.get::<_, Option<Vec<String>>>(9), row.get::<_, Option<Vec<String>>>(10)) {
            self.grants.push((id.clone(), owner.clone(), acl, default));
        }
        if let Some(owner) = owner {
            self.owners.push((id.clone(), owner));
        }
        let mut detail = map(row.get(12));
        if let (Some(default), Some(owner)) =
            (row.get::<_, Option<Vec<String>>>(10), self.owners.last().filter(|(o, _)| *o == id))
        {
            detail.insert("acl_default".to_owned(), json!(privileges::parse(&default, Some(&owner.1))));
        }
        let object = Object { id, parent: None, definition: map(row.get(11)), detail };
        kind::check(&object).map_err(IntrospectError::Unreadable)?;
        self.objects.push((oids(row, 0), parent, object));
        Ok(())
    }

    /// Joins addresses, drops what belongs to extensions, and makes satellites and edges.
    fn join(self) -> Result<Joined, IntrospectError> {
        let resolver = Resolver::new(&self);
        let mut objects: Vec<Object> = Vec::with_capacity(self.objects.len() * 2);
        let mut kept: HashSet<Id> = HashSet::new();
        let mut lost: Vec<Oids> = Vec::new();
        let unmanaged: HashSet<(u32, u32)> = self.unmanaged.iter().map(|(o, _)| (o.0, o.1)).collect();
        for (oids, parent, mut object) in self.objects {
            if resolver.is_member(oids) || parent.is_some_and(|p| resolver.is_member(p)) {
                continue;
            }
            if let Some(parent) = parent {
                let Some(parent) = resolver.exact(parent) else {
                    // A trigger of a foreign table, and the like.
                    lost.extend(Some(oids).filter(|_| unmanaged.contains(&(parent.0, parent.1))));
                    continue;
                };
                object.parent = Some(parent.clone());
            }
            kept.insert(object.id.clone());
            objects.push(object);
        }
        let mut owner_of: HashMap<Id, String> = HashMap::new();
        for (id, role) in self.owners.into_iter().filter(|(id, _)| kept.contains(id)) {
            if kind::of(&id).has_owner {
                objects.push(kind::owner_object(&id, &role));
            }
            owner_of.insert(id, role);
        }
        let parents: HashMap<Id, Id> = objects.iter().filter_map(|o| Some((o.id.clone(), o.parent.clone()?))).collect();
        for (id, owner, acl, default) in self.grants.into_iter().filter(|(id, ..)| kept.contains(id)) {
            let owner = owner.or_else(|| owner_of.get(parents.get(&id)?).cloned());
            let (given, base) = (privileges::parse(&acl, owner.as_deref()), privileges::parse(&default, owner.as_deref()));
            if given != base {
                objects.push(kind::grant_object(&id, &given, &base));
            }
        }
        let mut strange = Vec::new();
        for (oids, text) in &self.comments {
            match resolver.exact(*oids) {
                Some(id) if kept.contains(id) => objects.push(kind::comment_object(id, text)),
                Some(_) => {}
                None if resolver.is_member(*oids) => {}
                None => strange.push(*oids),
            }
        }
        let unknown = resolver.unknown(&self.depends, &self.unmanaged, &self.parts);
        let edges = resolver.edges(&self.depends, &self.inherited, &parents);
        let mut catalog = Catalog::new(objects, edges);
        catalog.unmanaged = resolver.unmanaged(self.unmanaged, &self.depends);
        Ok(Joined { catalog, strange, lost, unknown })
    }
}
