//! What each step does to what stood before the plan, as the server sees it: the plan is run step by step on a second copy, and
//! after each step `pg_locks` tells what it holds, what it has written anew and what it has read in full. Relations are those that
//! stood before the plan, by the names that they have then; the index of a table counts as the table, since nobody can plan a query
//! on one without the other. Locks weaker than SHARE UPDATE EXCLUSIVE stop only what takes the strongest and are not told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio_postgres::{Client, Error};

use super::gone;
use super::rehearse::rehearse;
use crate::apply::run::server_message;
use crate::plan::sql::SETTINGS;
use crate::plan::{Group, PlanStep, Touched};
use crate::shadow::{Scratch, adopt};
use crate::statement::{LockMode, Loss};

/// What was seen of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    /// By the number of the step.
    pub steps: BTreeMap<u32, Touched>,
    /// What steps that were edited by hand take away with its rows or values, by the number of the step.
    pub losses: BTreeMap<u32, BTreeSet<Loss>>,
    /// What was seen of steps that give rows their values, on rows that were made up, as sentences.
    pub on_rows: Vec<String>,
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

/// Constraints that this transaction has written and that hold now. A NOT NULL constraint that the column had before has its row by
/// an upgrade, never by a step.
const VALID: &str = "SELECT k.conrelid, k.conname::text FROM pg_constraint k WHERE k.conrelid = ANY ($1) AND k.convalidated \
     AND k.contype IN ('c', 'f', 'n', 'p', 'u', 'x') AND k.xmin = pg_current_xact_id()::xid";

/// Runs the groups on a copy that nobody else uses, as the role that rules its server.
pub async fn observe(copy: &Scratch, groups: &[Group]) -> Observations {
    let mut seen = Observations::default();
    if let Err((place, error)) = all(copy, groups, &mut seen).await {
        seen.missing = Some(format!("{place}: {}", server_message(&error).0));
    }
    seen
}

async fn all(copy: &Scratch, groups: &[Group], seen: &mut Observations) -> Result<(), (String, Error)> {
    let client = &copy.administrator.client;
    let before = |e| ("before the first step".to_owned(), e);
    let settings: String = SETTINGS.iter().map(|(name, value)| format!("SET {name} = {value};")).collect();
    for client in [client, &copy.session.client] {
        client.batch_execute(&settings).await.map_err(before)?;
    }
    let mut relations = standing(client).await.map_err(before)?;
    let mut counts: [HashMap<u32, i64>; 2] = Default::default();
    let flushes = copy.administrator.version.0 >= 150_000;
    for (group, step) in groups.iter().flat_map(|g| g.steps.iter().map(move |s| (g, s))) {
        let here = |e| (format!("step {} ({})", step.id, step.object), e);
        if let Some(batches) = &step.batches {
            seen.on_rows.extend(rehearse(copy, step, batches).await.map_err(here)?);
        }
        let scans = &mut counts[usize::from(step.edited)];
        let columns = if step.edited { Some(gone::columns(client).await.map_err(here)?) } else { None };
        let found = if group.transactional || step.edited && !waits(step) {
            inside(copy, step, &mut relations, scans, flushes).await
        } else {
            let found = outside(copy, step, &relations).await;
            counted(runner(copy, step), &relations, scans).await.map_err(here)?;
            found
        };
        if step.change == "rename" {
            called(client, &mut relations).await.map_err(before)?;
        }
        seen.steps.insert(step.id, found.map_err(here)?);
        if let Some(before) = columns {
            seen.losses.insert(step.id, gone::gone(&before, &gone::columns(client).await.map_err(here)?));
        }
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
    sql.to_uppercase().contains(" CONCURRENTLY ")
}

/// Whether a statement of the step does.
fn waits(step: &PlanStep) -> bool {
    step.sql.iter().any(|sql| concurrently(sql))
}

/// Who runs a step: the administrator, who becomes the role that the plan will run as, and can be itself again. What was edited by
/// hand could become that too, and is run by the role in its own session.
fn runner<'a>(copy: &'a Scratch, step: &PlanStep) -> &'a Client {
    if step.edited { &copy.session.client } else { &copy.administrator.client }
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

/// A step in a transaction of its own.
async fn inside(
    copy: &Scratch,
    step: &PlanStep,
    relations: &mut Relations,
    scans: &mut HashMap<u32, i64>,
    flushes: bool,
) -> Result<Touched, Error> {
    let client = runner(copy, step);
    run(copy, step).await?;
    let mut seen = Touched::default();
    let mut tables: Vec<u32> = Vec::new();
    for row in client.query(HELD, &[]).await? {
        let relation: u32 = row.get(0);
        let count = row.get::<_, Option<i64>>(3).unwrap_or(0);
        let new = count - scans.insert(relation, count).filter(|before| *before <= count).unwrap_or(0);
        let Some(stood) = relations.get_mut(&relation) else { continue };
        take_lock(&mut seen, stood, row.get(1));
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
    seen.scans.retain(|table| seen.locks.contains_key(table) && !seen.rewrites.contains(table));
    for row in client.query(VALID, &[&tables]).await? {
        let table = &relations[&row.get(0)].name;
        seen.validates.insert(format!("{} of {table}", crate::sql::ident(row.get(1))));
    }
    client.batch_execute(if flushes { "SELECT pg_stat_force_next_flush(); COMMIT" } else { "COMMIT" }).await?;
    if flushes {
        scans.clear();
    }
    Ok(seen)
}

/// Runs a step and leaves its transaction open: as the role that the plan will run as or, where that may not, as the administrator.
async fn run(copy: &Scratch, step: &PlanStep) -> Result<(), Error> {
    let client = runner(copy, step);
    let sql = step.sql.join(";\n");
    if step.edited {
        return client.batch_execute(&format!("BEGIN; {sql}")).await;
    }
    if copy.session.user != copy.administrator.user {
        let role = crate::sql::ident(&copy.session.user);
        if client.batch_execute(&format!("BEGIN; SET LOCAL ROLE {role}; {sql}")).await.is_ok() {
            return client.batch_execute("RESET ROLE").await;
        }
        client.batch_execute("ROLLBACK").await?;
    }
    client.batch_execute(&format!("BEGIN; {sql}")).await?;
    if step.change == "create" { adopt(client, &copy.session.user).await } else { Ok(()) }
}

fn take_lock(seen: &mut Touched, stood: &Standing, mode: &str) {
    let Some(mode) = LockMode::of_pg_locks(mode).filter(|m| *m >= WEAKEST) else { return };
    let strongest = seen.locks.entry(stood.name.clone()).or_insert(mode);
    *strongest = (*strongest).max(mode);
}

/// Takes the scans of what ran outside of a transaction for reported: they are not those of the next step.
async fn counted(client: &Client, relations: &Relations, scans: &mut HashMap<u32, i64>) -> Result<(), Error> {
    let all: Vec<u32> = relations.keys().copied().collect();
    let query = "SELECT r, pg_stat_get_xact_numscans(r) FROM unnest($1::oid[]) AS r";
    let rows = client.query(query, &[&all]).await?;
    scans.extend(rows.iter().map(|row| (row.get::<_, u32>(0), row.get::<_, Option<i64>>(1).unwrap_or(0))));
    Ok(())
}

/// What somebody who reads and writes these relations would hold, and an old picture of the database.
fn in_the_way(step: &PlanStep, relations: &Relations) -> String {
    let views: BTreeSet<&str> = relations.values().filter(|r| r.is_view).map(|r| r.name.as_str()).collect();
    let hold = |l: &crate::plan::LockFact| match views.contains(l.relation.as_str()) {
        true => format!("; EXPLAIN SELECT FROM {}", l.relation),
        false => format!("; LOCK TABLE {} IN ROW EXCLUSIVE MODE", l.relation),
    };
    let held: String = step.locks.iter().map(hold).collect();
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1{held}")
}

/// What may not run in a transaction waits for others by itself: it is made to, and watched meanwhile.
async fn outside(copy: &Scratch, step: &PlanStep, relations: &Relations) -> Result<Touched, Error> {
    let watcher = if step.edited { &copy.administrator.client } else { &copy.session.client };
    let runner = runner(copy, step);
    let pid: i32 = runner.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    // What is read is counted when the server reports it, in one of the transactions of its own or later: CONCURRENTLY reads all.
    let mut seen = Touched { scans: step.scans.iter().cloned().collect(), ..Touched::default() };
    for sql in &step.sql {
        if !concurrently(sql) || step.locks.is_empty() {
            runner.batch_execute(sql).await?;
            continue;
        }
        watcher.batch_execute(&in_the_way(step, relations)).await?;
        let run = runner.batch_execute(sql);
        tokio::pin!(run);
        let done = loop {
            let waits = tokio::select! {
                done = &mut run => break Some(done),
                waits = waiting(watcher, pid) => waits,
            };
            match waits {
                Ok(rows) if rows.is_empty() => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(rows) => {
                    for (relation, mode) in rows {
                        if let Some(stood) = relations.get(&relation) {
                            take_lock(&mut seen, stood, &mode);
                        }
                    }
                    break None;
                }
                Err(error) => {
                    watcher.batch_execute("ROLLBACK").await.ok();
                    return Err(error);
                }
            }
        };
        watcher.batch_execute("ROLLBACK").await?;
        match done {
            Some(done) => done?,
            None => run.await?,
        }
    }
    Ok(seen)
}

/// What a backend holds while it waits for something; nothing as long as it does not wait.
async fn waiting(watcher: &Client, pid: i32) -> Result<Vec<(u32, String)>, Error> {
    let sql = "SELECT relation, mode FROM pg_locks WHERE pid = $1 AND granted AND locktype = 'relation' AND database <> 0 \
         AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = $1 AND NOT w.granted)";
    Ok(watcher.query(sql, &[&pid]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
