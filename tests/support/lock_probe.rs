//! Runs one entry of `fixtures/locks` on the server and sees what it does: as `src/prove/observe.rs` does it for the steps of plans,
//! but with weak locks, indexes for themselves, and refusals.

use super::lock_table::{Facts, Row};
use super::server::{self, Bench};
use super::tree;
use plumb::pg::Session;
use plumb::statement::LockMode;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// Databases that nobody works in.
static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How long a statement may take to wait for its watcher, or to end after it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relation before the statement.
struct Standing {
    name: String,
    kind: i8,
    file: Option<u32>,
    /// By finished transactions.
    reads: i64,
}

impl Standing {
    fn is_index(&self) -> bool {
        [b'i' as i8, b'I' as i8].contains(&self.kind)
    }

    fn holds_rows(&self) -> bool {
        [b'r' as i8, b'm' as i8].contains(&self.kind)
    }
}

type Relations = HashMap<u32, Standing>;

/// Relations of users less TOAST, and the catalogs that are asked for.
const STANDING: &str = "SELECT c.oid, c.oid::regclass::text, c.relkind, pg_relation_filenode(c.oid), pg_stat_get_numscans(c.oid) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = ANY ($1) AND n.nspname = 'pg_catalog' \
     OR c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f', 'i', 'I', 'c') AND n.nspname !~ '^(pg_(toast|temp)|information_schema)'";

const LOCKS: &str = "SELECT relation, mode FROM pg_locks WHERE pid = $1 AND locktype = 'relation'";

/// Objects that stood before: what has an OID below that of a large object that was made last.
const OBJECTS: &str = "SELECT classid::regclass::text, mode FROM pg_locks \
     WHERE pid = pg_backend_pid() AND locktype = 'object' AND objid < $1";

/// An index may come again under its name with another OID, and with or without the file that it had.
const FILES: &str = "SELECT o, pg_relation_filenode(coalesce(to_regclass(n)::oid, o)), pg_stat_get_xact_numscans(o), pg_stat_get_numscans(o) \
     FROM unnest($1::oid[], $2::text[]) u(o, n)";

fn text(error: &Error) -> String {
    server::message(error)
}

/// What the server of this run does with the statement.
pub fn measure(row: &Row) -> Result<Facts, String> {
    server::runtime().block_on(async {
        let free = FREE.lock().unwrap().pop();
        let database = match free {
            Some(database) => database,
            None => new_database().await?,
        };
        // A database in which something failed is not used again.
        let facts = in_database(row, &database).await.map_err(|e| format!("{}: {e}", row.key()))?;
        FREE.lock().unwrap().push(database);
        Ok(facts)
    })
}

async fn new_database() -> Result<String, String> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    let name = format!("locks{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let session = server::session("template1").await;
    let made = session.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    session.close().await;
    made.map(|()| name).map_err(|e| text(&e))
}

async fn in_database(row: &Row, database: &str) -> Result<Facts, String> {
    let admin = server::session(database).await;
    let facts = if row.watch.is_empty() { inside(row, &admin).await } else { outside(row, &admin).await };
    clean(row, &admin).await.map_err(|e| format!("cleanup: {}", text(&e)))?;
    admin.close().await;
    facts
}

async fn clean(row: &Row, admin: &Session) -> Result<(), Error> {
    admin.client.batch_execute("DROP SCHEMA IF EXISTS public CASCADE").await?;
    admin.client.batch_execute(&row.cleanup).await
}

async fn set_up(row: &Row, admin: &Session) -> Result<Relations, String> {
    let base = tree::text(&tree::root("fixtures/locks/base.sql"));
    let failed = |e: Error| format!("setup: {}", text(&e));
    let client = &admin.client;
    client
        .batch_execute("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; SET search_path = public")
        .await
        .map_err(failed)?;
    for sql in &row.alone {
        client.batch_execute(sql).await.map_err(failed)?;
    }
    client.batch_execute(&format!("{base}{}", row.setup)).await.map_err(failed)?;
    flush(admin).await.map_err(failed)?;
    let rows = client.query(STANDING, &[&row.also]).await.map_err(failed)?;
    let one = |row: &tokio_postgres::Row| Standing {
        name: row.get(1),
        kind: row.get(2),
        file: row.get(3),
        reads: row.get::<_, Option<i64>>(4).unwrap_or(0),
    };
    Ok(rows.iter().map(|row| (row.get(0), one(row))).collect())
}

/// Lets the server count what finished transactions have read.
async fn flush(session: &Session) -> Result<(), Error> {
    if session.version.0 < 150_000 {
        return Ok(());
    }
    session.client.batch_execute("SELECT pg_stat_force_next_flush()").await
}

/// A session that has done nothing yet, so that its counters are those of the statement.
async fn fresh(admin: &Session) -> Result<Session, String> {
    let session = server::session(&admin.database).await;
    let preamble = "SET search_path = public; SET TimeZone = 'UTC'";
    session.client.batch_execute(preamble).await.map_err(|e| text(&e))?;
    Ok(session)
}

fn refusal(error: &Error) -> Result<Facts, String> {
    let code = error.code().ok_or_else(|| text(error))?.code().to_owned();
    Ok(Facts { refused: Some(code), ..Facts::default() })
}

/// In a transaction that is rolled back.
async fn inside(row: &Row, admin: &Session) -> Result<Facts, String> {
    let relations = set_up(row, admin).await?;
    let marker = admin.client.query_one("SELECT lo_creat(-1)", &[]).await.map_err(|e| text(&e))?;
    let marker: u32 = marker.get(0);
    admin.client.query_one("SELECT lo_unlink($1)", &[&marker]).await.map_err(|e| text(&e))?;
    let session = fresh(admin).await?;
    let client = &session.client;
    client.batch_execute("BEGIN").await.map_err(|e| text(&e))?;
    let facts = match client.batch_execute(&row.sql).await {
        Err(error) => refusal(&error),
        Ok(()) => held(client, &relations, marker).await.map_err(|e| text(&e)),
    };
    client.batch_execute("ROLLBACK").await.map_err(|e| text(&e))?;
    session.close().await;
    facts
}

async fn held(client: &Client, relations: &Relations, marker: u32) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    for row in client.query(LOCKS, &[&pid]).await? {
        take_lock(&mut facts, relations, row.get(0), row.get(1));
    }
    for row in client.query(OBJECTS, &[&marker]).await? {
        let mode = LockMode::of_pg_locks(row.get(1)).filter(|m| *m >= LockMode::ShareUpdateExclusive);
        if let Some(mode) = mode {
            strongest(&mut facts.object_locks, row.get(0), mode);
        }
    }
    files(client, relations, &mut facts, true).await?;
    Ok(facts)
}

fn take_lock(facts: &mut Facts, relations: &Relations, relation: u32, mode: &str) {
    let (Some(stood), Some(mode)) = (relations.get(&relation), LockMode::of_pg_locks(mode)) else { return };
    // Weak locks on indexes come and go with what the session has cached.
    if !stood.is_index() {
        strongest(&mut facts.locks, stood.name.clone(), mode);
    } else if mode >= LockMode::ShareUpdateExclusive {
        strongest(&mut facts.index_locks, stood.name.clone(), mode);
    }
}

fn strongest(locks: &mut BTreeMap<String, LockMode>, name: String, mode: LockMode) {
    let held = locks.entry(name).or_insert(mode);
    *held = (*held).max(mode);
}

/// New files, and what was read: in this transaction, or by transactions that have ended since.
async fn files(client: &Client, relations: &Relations, facts: &mut Facts, in_transaction: bool) -> Result<(), Error> {
    let (oids, names): (Vec<u32>, Vec<&str>) = relations.iter().map(|(oid, r)| (*oid, r.name.as_str())).unzip();
    let stood_files: HashSet<Option<u32>> = relations.values().map(|r| r.file).collect();
    for row in client.query(FILES, &[&oids, &names]).await? {
        let stood = &relations[&row.get(0)];
        let file: Option<u32> = row.get(1);
        if file.is_some() && !stood_files.contains(&file) {
            if stood.is_index() { &mut facts.index_rewrites } else { &mut facts.rewrites }.insert(stood.name.clone());
        }
        let count = |n: usize| row.get::<_, Option<i64>>(n).unwrap_or(0);
        let reads = if in_transaction { count(2) } else { count(3) - stood.reads };
        if reads > 0 && stood.holds_rows() {
            facts.reads.insert(stood.name.clone(), reads);
        }
    }
    Ok(())
}

/// Watched from a second session that it has to wait for, once for each that it may have to wait for.
async fn outside(row: &Row, admin: &Session) -> Result<Facts, String> {
    let mut facts = Facts::default();
    for (n, hold) in row.watch.iter().enumerate() {
        if n > 0 {
            clean(row, admin).await.map_err(|e| text(&e))?;
        }
        let relations = set_up(row, admin).await?;
        let (runner, watcher) = (fresh(admin).await?, fresh(admin).await?);
        let begun = watcher.client.batch_execute(&format!("BEGIN; {hold}")).await;
        begun.map_err(|e| format!("{hold}: {}", text(&e)))?;
        let ran = tokio::time::timeout(PATIENCE, watched(row, &runner, &watcher, &relations, &mut facts)).await;
        if let Err(error) = ran.map_err(|_| "it does not end".to_owned())?? {
            facts = refusal(&error)?;
        } else {
            facts.reads.clear();
            facts.reads_not_seen = admin.version.0 < 150_000;
            flush(&runner).await.map_err(|e| text(&e))?;
            files(&watcher.client, &relations, &mut facts, false).await.map_err(|e| text(&e))?;
        }
        runner.close().await;
        watcher.close().await;
    }
    Ok(facts)
}

/// Runs the statement until it waits, looks at what it holds and wants, and lets it end; gives its result.
async fn watched(
    row: &Row,
    runner: &Session,
    watcher: &Session,
    relations: &Relations,
    facts: &mut Facts,
) -> Result<Result<(), Error>, String> {
    let pid: i32 = runner.client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(|e| text(&e))?.get(0);
    let run = runner.client.batch_execute(&row.sql);
    tokio::pin!(run);
    loop {
        let waits = tokio::select! {
            done = &mut run => {
                watcher.client.batch_execute("ROLLBACK").await.map_err(|e| text(&e))?;
                // Nothing was seen of what ended well without waiting.
                return if done.is_ok() { Err("it did not wait for its watcher".to_owned()) } else { Ok(done) };
            }
            waits = waiting(&watcher.client, pid) => waits.map_err(|e| text(&e))?,
        };
        if waits {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for lock in watcher.client.query(LOCKS, &[&pid]).await.map_err(|e| text(&e))? {
        take_lock(facts, relations, lock.get(0), lock.get(1));
    }
    watcher.client.batch_execute("ROLLBACK").await.map_err(|e| text(&e))?;
    Ok(run.await)
}

async fn waiting(watcher: &Client, pid: i32) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)";
    Ok(watcher.query_one(sql, &[&pid]).await?.get(0))
}

/// The server as it names itself: `15.18`.
pub fn server_version() -> String {
    Bench::work(async |_| {
        let session = server::session("template1").await;
        let version: String = session.client.query_one("SHOW server_version", &[]).await.unwrap().get(0);
        session.close().await;
        version.split(' ').next().unwrap_or_default().to_owned()
    })
}

/// Whether the second of two modes has to wait for the first, by sessions that take them.
pub fn conflicts(pairs: &[(LockMode, LockMode)]) -> Result<Vec<bool>, String> {
    server::runtime().block_on(async {
        let database = new_database().await?;
        let admin = server::session(&database).await;
        set_up(&Row::default(), &admin).await?;
        let (one, two) = (fresh(&admin).await?, fresh(&admin).await?);
        let mut found = Vec::new();
        for (held, wanted) in pairs {
            one.client.batch_execute(&format!("BEGIN; LOCK TABLE t IN {held} MODE")).await.map_err(|e| text(&e))?;
            let taken = two.client.batch_execute(&format!("BEGIN; LOCK TABLE t IN {wanted} MODE NOWAIT")).await;
            found.push(match taken {
                Ok(()) => false,
                Err(error) if error.code().is_some_and(|c| c.code() == "55P03") => true,
                Err(error) => return Err(text(&error)),
            });
            one.client.batch_execute("ROLLBACK").await.map_err(|e| text(&e))?;
            two.client.batch_execute("ROLLBACK").await.map_err(|e| text(&e))?;
        }
        Ok(found)
    })
}
