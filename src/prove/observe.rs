//! What each step does to what stood before the plan, as the server sees it: the plan is run step by step on a second copy, and
//! after each step `pg_locks` tells what it holds, what it has written anew and what it has read in full. Relations are those that
//! stood before the plan, by the names that they have then; the index of a table counts as the table, since nobody can plan a query
//! on one without the other. Locks weaker than SHARE UPDATE EXCLUSIVE stop only what takes the strongest and are not told.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio_postgres::{Client, Error};

use super::rehearse::rehearse;
use super::{administrator, gone, limit};
use crate::apply::assertion::understood;
use crate::apply::run::{ASSERTED, StepFailed, server_message};
use crate::pg;
use crate::plan::sql::SETTINGS;
use crate::plan::{Group, PlanStep, Touched};
use crate::shadow::Scratch;
use crate::statement::{LockMode, Loss};

/// What was seen of a plan.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// By the number of the step.
    pub steps: BTreeMap<u32, Touched>,
    /// What steps that were edited by hand take away with its rows or values, by the number of the step.
    pub losses: BTreeMap<u32, BTreeSet<Loss>>,
    /// What was seen of steps that give rows their values, on rows that were made up, as sentences.
    pub on_rows: Vec<String>,
    /// Assertions that the server does not understand.
    pub wrong: Vec<StepFailed>,
    /// Why the steps after the last of these were not seen.
    pub missing: Option<String>,
}

/// The weakest lock that is worth telling.
pub const WEAKEST: LockMode = LockMode::ShareUpdateExclusive;

/// A relation before the plan.
struct Standing {
    /// As a SQL name; the table's for an index.
    name: String,
    /// Whether it, or the table of the index, has a file with rows.
    holds_rows: bool,
    /// Whether that is a materialized view, which LOCK TABLE does not take.
    is_view: bool,
    file: Option<u32>,
}

type Relations = HashMap<u32, Standing>;

/// Relations of users, less TOAST, temporary and composite types.
const STANDING: &str = "SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(t.relname), t.relkind IN ('r', 'm'), t.relkind = 'm', pg_relation_filenode(c.oid) \
     FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid) \
     JOIN pg_namespace n ON n.oid = t.relnamespace WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'S', 'f', 'i', 'I') \
     AND n.nspname !~ '^pg_(toast|temp)'";

/// What the transaction holds. Scans are those that are not reported yet: of this transaction, when the one before has reported its own.
const HELD: &str = "SELECT relation, mode, pg_relation_filenode(relation), pg_stat_get_xact_numscans(relation) FROM pg_locks \
     WHERE pid = pg_backend_pid() AND locktype = 'relation' AND database <> 0 AND relation >= 16384";

/// Until the end of the transaction names are those of the server's own, whatever a step has set.
const CATALOG: &str = "SET LOCAL search_path = pg_catalog, pg_temp";

/// Constraints that this transaction has written and that hold now. A NOT NULL constraint that the column had before has its row by
/// an upgrade, never by a step.
const VALID: &str = "SELECT k.conrelid, k.conname::text FROM pg_constraint k WHERE k.conrelid = ANY ($1) AND k.convalidated \
     AND k.contype IN ('c', 'f', 'n', 'p', 'u', 'x') AND k.xmin = pg_current_xact_id()::xid";

/// Runs the groups on a copy that nobody else uses, as the roles that the plan runs as there.
pub async fn observe(copy: &Scratch, groups: &[Group]) -> Observations {
    let mut seen = Observations::default();
    if let Err((place, words)) = all(copy, groups, &mut seen).await {
        seen.missing = Some(format!("{place}: {words}"));
    }
    seen
}

async fn all(copy: &Scratch, groups: &[Group], seen: &mut Observations) -> Result<(), (String, String)> {
    let before = |e| ("before the first step".to_owned(), server_message(&e).0);
    let settings: String = SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value};")).collect();
    for session in [&copy.session, &copy.administrator] {
        session.client.batch_execute(&settings).await.map_err(before)?;
    }
    let mut relations = standing(&copy.administrator.client).await.map_err(before)?;
    let mut scans: HashMap<u32, i64> = HashMap::new();
    for (group, step) in groups.iter().flat_map(|g| g.steps.iter().map(move |s| (g, s))) {
        let at = || format!("step {} ({})", step.id, step.object);
        let limit = limit::of(copy.statement_timeout, step.sql.len());
        for query in &step.asserts {
            if let Err(words) = understood(&copy.session.client, query).await {
                seen.wrong.push(StepFailed::new(step, query, words, ASSERTED.to_owned()));
            }
        }
        let looked = one(copy, group, step, &mut relations, &mut scans);
        let found = limit::within(&[&copy.session, &copy.administrator], limit, looked).await;
        let found = found.ok_or_else(|| (at(), format!("it does not come to an end within {} s", limit.as_secs())))?;
        let (touched, losses, on_rows) = found.map_err(|e| (at(), e.to_string()))?;
        seen.on_rows.extend(on_rows);
        seen.steps.insert(step.id, touched);
        seen.losses.extend(losses.map(|losses| (step.id, losses)));
    }
    Ok(())
}

async fn standing(client: &Client) -> Result<Relations, Error> {
    let rows = client.query(STANDING, &[]).await?;
    let one = |row: &tokio_postgres::Row| {
        (row.get(0), Standing { name: row.get(1), holds_rows: row.get(2), is_view: row.get(3), file: row.get(4) })
    };
    Ok(rows.iter().map(one).collect())
}

/// Whether a statement waits for others instead of locking them out.
fn concurrently(sql: &str) -> bool {
    format!("{} ", sql.to_uppercase()).contains(" CONCURRENTLY ")
}

/// Whether a statement of the step does.
fn waits(step: &PlanStep) -> bool {
    step.sql.iter().any(|sql| concurrently(sql))
}

/// A step, what it takes away where it was edited by hand, and what is told of its work on rows.
async fn one(
    copy: &Scratch,
    group: &Group,
    step: &PlanStep,
    relations: &mut Relations,
    scans: &mut HashMap<u32, i64>,
) -> Result<(Touched, Option<BTreeSet<Loss>>, Option<String>), Unseen> {
    let on_rows = match &step.batches {
        Some(batches) => rehearse(copy, step, batches).await?,
        None => None,
    };
    // what a step says of itself must not come from names that it has made: the administrator looks, where it is to be relied on
    let administrator = &copy.administrator.client;
    let before = if step.edited { Some(gone::columns(administrator).await?) } else { None };
    let touched = if group.transactional || step.edited && !waits(step) {
        inside(copy, step, relations, scans).await?
    } else {
        let found = outside(copy, step, relations).await;
        counted(&copy.session.client, relations, scans).await?;
        found?
    };
    if step.renamed.is_some() {
        called(administrator, relations).await?;
    }
    let losses = match before {
        Some(before) => Some(gone::gone(&before, &gone::columns(administrator).await?)),
        None => None,
    };
    Ok((touched, losses, on_rows))
}

/// What stands is called otherwise from now on.
async fn called(client: &Client, relations: &mut Relations) -> Result<(), Error> {
    for (relation, now) in standing(client).await? {
        if let Some(stood) = relations.get_mut(&relation) {
            stood.name = now.name;
        }
    }
    Ok(())
}

/// Why a step was not seen.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error("{}", server_message(.0).0)]
    Server(#[from] Error),
    #[error(transparent)]
    Refused(#[from] administrator::Refused),
    #[error(transparent)]
    Connect(#[from] pg::ConnectError),
}

/// Consecutive statements of a step that one role runs.
struct Part<'a> {
    administrators: bool,
    sql: Vec<&'a str>,
}

fn parts<'a>(sql: impl Iterator<Item = &'a str>, is_administrators: impl Fn(&str) -> bool) -> Vec<Part<'a>> {
    let mut parts: Vec<Part> = Vec::new();
    for sql in sql {
        let administrators = is_administrators(sql);
        match parts.last_mut().filter(|p| p.administrators == administrators && !administrators) {
            Some(part) => part.sql.push(sql),
            None => parts.push(Part { administrators, sql: vec![sql] }),
        }
    }
    parts
}

/// A step in transactions of its own: one, unless a part of it is the administrator's.
async fn inside(
    copy: &Scratch,
    step: &PlanStep,
    relations: &mut Relations,
    scans: &mut HashMap<u32, i64>,
) -> Result<Touched, Unseen> {
    let mut seen = Touched::default();
    let mut todo: VecDeque<Part> = parts(step.sql.iter().map(String::as_str), |sql| administrator::needs(copy, step, sql)).into();
    while let Some(part) = todo.pop_front() {
        if part.administrators {
            administrators(copy, part.sql[0], relations, &mut seen).await?;
            continue;
        }
        let client = &copy.session.client;
        let Err(error) = client.batch_execute(&format!("BEGIN; {};\n{CATALOG}", part.sql.join(";\n"))).await else {
            look(copy, client, relations, scans, &mut seen).await?;
            continue;
        };
        client.batch_execute("ROLLBACK").await?;
        let (_, code) = server_message(&error);
        let again = parts(part.sql.into_iter(), |sql| administrator::is_superusers_routine(step, sql, &code));
        if !again.iter().any(|p| p.administrators) {
            return Err(error.into());
        }
        again.into_iter().rev().for_each(|p| todo.push_front(p));
    }
    seen.scans.retain(|table| seen.locks.contains_key(table) && !seen.rewrites.contains(table));
    Ok(seen)
}

/// A statement of the administrator's.
async fn administrators(copy: &Scratch, sql: &str, relations: &mut Relations, seen: &mut Touched) -> Result<(), Unseen> {
    let client = &copy.administrator.client;
    let ready = administrator::ready(copy, sql).await?;
    let run = async {
        client.batch_execute(&format!("BEGIN; {}", ready.batch)).await?;
        administrator::made(copy, sql).await?;
        look(copy, client, relations, &mut HashMap::new(), seen).await
    };
    let done = run.await;
    if done.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    ready.restore(client).await?;
    Ok(done?)
}

/// What the open transaction of `client` has done, which is committed then.
async fn look(
    copy: &Scratch,
    client: &Client,
    relations: &mut Relations,
    scans: &mut HashMap<u32, i64>,
    seen: &mut Touched,
) -> Result<(), Error> {
    let flushes = copy.administrator.version.0 >= 150_000;
    let mut tables: Vec<u32> = Vec::new();
    for row in client.query(HELD, &[]).await? {
        let relation: u32 = row.get(0);
        let count = row.get::<_, Option<i64>>(3).unwrap_or(0);
        let new = count - scans.insert(relation, count).filter(|before| *before <= count).unwrap_or(0);
        let Some(stood) = relations.get_mut(&relation) else { continue };
        take_lock(seen, stood, row.get(1));
        let file: Option<u32> = row.get(2);
        if file.is_some() && file != stood.file {
            stood.file = file;
            seen.rewrites.extend(Some(stood.name.clone()).filter(|_| stood.holds_rows));
        }
        if new > 0 && stood.holds_rows {
            seen.scans.insert(stood.name.clone());
        }
        tables.push(relation);
    }
    for row in client.query(VALID, &[&tables]).await? {
        let table = &relations[&row.get(0)].name;
        seen.validates.insert(format!("{} of {table}", crate::sql::ident(row.get(1))));
    }
    client.batch_execute(if flushes { "SELECT pg_stat_force_next_flush(); COMMIT" } else { "COMMIT" }).await?;
    if flushes {
        scans.clear();
    }
    Ok(())
}

fn take_lock(seen: &mut Touched, stood: &Standing, mode: &str) {
    let Some(mode) = LockMode::of_pg_locks(mode).filter(|m| *m >= WEAKEST) else { return };
    let strongest = seen.locks.entry(stood.name.clone()).or_insert(mode);
    *strongest = (*strongest).max(mode);
}

/// Takes the scans of what ran outside of a transaction for reported: they are not those of the next step.
async fn counted(client: &Client, relations: &Relations, scans: &mut HashMap<u32, i64>) -> Result<(), Error> {
    let all: Vec<u32> = relations.keys().copied().collect();
    let query = "SELECT r, pg_catalog.pg_stat_get_xact_numscans(r) FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS r";
    let rows = client.query(query, &[&all]).await?;
    scans.extend(rows.iter().map(|row| (row.get::<_, u32>(0), row.get::<_, Option<i64>>(1).unwrap_or(0))));
    Ok(())
}

/// What somebody who reads and writes these relations would hold, and an old picture of the database. What is locked out (a partition that
/// is detached) is waited for with the lock on the others held; only before that it waits for those, and holds nothing.
fn in_the_way(step: &PlanStep, relations: &Relations) -> String {
    let views: BTreeSet<&str> = relations.values().filter(|r| r.is_view).map(|r| r.name.as_str()).collect();
    let hold = |l: &crate::plan::LockFact| match views.contains(l.relation.as_str()) {
        true => format!("; EXPLAIN SELECT FROM {}", l.relation),
        false => format!("; LOCK TABLE {} IN ROW EXCLUSIVE MODE", l.relation),
    };
    let strongest = step.locks.iter().map(|l| l.mode).max();
    let last = step.locks.iter().filter(|l| strongest < Some(LockMode::AccessExclusive) || Some(l.mode) == strongest);
    let held: String = last.map(hold).collect();
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {CATALOG}; SELECT 1{held}")
}

/// What may not run in a transaction waits for others by itself: it is made to, and watched meanwhile.
async fn outside(copy: &Scratch, step: &PlanStep, relations: &Relations) -> Result<Touched, Unseen> {
    let runner = &copy.session.client;
    let pid: i32 = runner.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await?.get(0);
    // What is read is counted when the server reports it, in one of the transactions of its own or later: CONCURRENTLY reads all.
    let mut seen = Touched { scans: step.scans.iter().cloned().collect(), ..Touched::default() };
    for sql in &step.sql {
        if !concurrently(sql) || step.locks.is_empty() {
            runner.batch_execute(sql).await?;
            continue;
        }
        // of the loading role too: planning a query may run what the files make
        let watcher = pg::connect(&copy.session.target).await?;
        let found = watched(&watcher.client, runner, pid, sql, &in_the_way(step, relations)).await;
        watcher.close().await;
        for (relation, mode) in found? {
            if let Some(stood) = relations.get(&relation) {
                take_lock(&mut seen, stood, &mode);
            }
        }
    }
    Ok(seen)
}

/// Runs a statement while somebody is in its way, and tells what it holds when it waits for them.
async fn watched(watcher: &Client, runner: &Client, pid: i32, sql: &str, in_the_way: &str) -> Result<Vec<(u32, String)>, Error> {
    watcher.batch_execute(in_the_way).await?;
    let run = runner.batch_execute(sql);
    tokio::pin!(run);
    let mut held = Vec::new();
    let done = loop {
        tokio::select! {
            done = &mut run => break Some(done),
            rows = waiting(watcher, pid) => held = rows?,
        }
        if !held.is_empty() {
            break None;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    watcher.batch_execute("ROLLBACK").await?;
    match done {
        Some(done) => done?,
        None => run.await?,
    }
    Ok(held)
}

/// What a backend holds while it waits for something, and the relation that it waits for; nothing as long as it does not wait.
async fn waiting(watcher: &Client, pid: i32) -> Result<Vec<(u32, String)>, Error> {
    let sql = "SELECT relation, mode FROM pg_locks WHERE pid = $1 AND locktype = 'relation' AND database <> 0 \
         AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = $1 AND NOT w.granted)";
    Ok(watcher.query(sql, &[&pid]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
