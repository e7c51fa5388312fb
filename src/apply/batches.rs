//! Rows are given their values in batches, each a transaction of its own: after whatever breaks it off, what is filled stays, and
//! the next run goes on with the rest, since filled rows are no longer looked for.

use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::ledger::{Ran, Record};
use super::run::{ALL_ROWS, Settings, StepFailed, failed, jittered, preamble, stopped, unrecorded};
use crate::plan::PlanStep;
use crate::sql::literal;
use crate::statement::Batches;

/// How far a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rows that have got their values.
    pub rows: u64,
    /// Rows of the table, where the server has an estimate.
    pub of: Option<u64>,
}

/// How many times all rows are gone through at most where nothing but their places orders them: a row that somebody else changes
/// meanwhile takes another place.
const ROUNDS: usize = 3;

/// Rows on a page when the server has no idea.
const ROWS_ON_A_PAGE: f64 = 100.0;

/// The share of the time of a batch that follows it as a pause when nobody says how long.
const PAUSE: f64 = 0.25;

/// The pause before a batch is tried again, and the longest one.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));

/// A table with rows of its own, and how they lie.
struct Member {
    /// As a SQL name.
    name: String,
    /// None where the rows are on another server, which has no places for them.
    pages: Option<i64>,
    rows: Option<f64>,
}

/// The tables that hold the rows: the table itself, its partitions or heirs.
const MEMBERS: &str = "WITH RECURSIVE tree AS (SELECT $1::text::regclass::oid AS t UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = t) \
     SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
     CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::bigint END, \
     CASE WHEN c.reltuples > 0 THEN c.reltuples::float8 END FROM tree JOIN pg_class c ON c.oid = t JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'f') ORDER BY 1";

/// Those of the tables whose policies apply to this session, so that rows may be hidden from it.
///
/// # Errors
/// When the server cannot be asked.
pub async fn hidden(client: &Client, tables: &[&str]) -> Result<Vec<String>, Error> {
    let query = "SELECT r FROM pg_catalog.unnest($1::pg_catalog.text[]) AS r WHERE pg_catalog.to_regclass(r) IS NOT NULL \
         AND pg_catalog.row_security_active(pg_catalog.to_regclass(r)::pg_catalog.oid)";
    Ok(client.query(query, &[&tables]).await?.iter().map(|row| row.get(0)).collect())
}

/// The work on one step.
struct Work<'a> {
    client: &'a Client,
    step: &'a PlanStep,
    batches: &'a Batches,
    sql: &'a str,
    settings: Settings<'a>,
    record: Option<&'a Record>,
    filled: Filled,
}

/// Runs the statement of a step in batches. Each fails when somebody else has taken the lease of the run that is recorded.
///
/// # Errors
/// The server's words, with what is done and stays.
pub async fn run_batches<'a>(
    client: &Client,
    step: &'a PlanStep,
    batches: &Batches,
    settings: Settings<'_>,
    record: Option<&Record>,
) -> Result<Ran<'a>, StepFailed> {
    let began = Instant::now();
    let sql = step.sql.first().map_or("", String::as_str);
    let found = members(client, batches).await.map_err(|e| failed(step, sql, &e))?;
    let estimates: Vec<f64> = found.iter().filter_map(|m| m.rows).collect();
    let of = Some(estimates.iter().sum::<f64>() as u64).filter(|rows| *rows > 0);
    let mut work = Work { client, step, batches, sql, settings, record, filled: Filled { rows: 0, of } };
    let outcome = if batches.key.is_empty() { work.by_place(found).await } else { work.by_key().await };
    let rows = work.filled.rows;
    match outcome {
        // The ledger has counted its rows, with those of runs before this one.
        Ok(()) => Ok(Ran { step, began, ended: Instant::now(), rows: None }),
        Err(mut failure) => {
            if rows > 0 {
                failure.message += &format!("\n{rows} rows have their values and keep them.");
            }
            Err(failure)
        }
    }
}

async fn members(client: &Client, batches: &Batches) -> Result<Vec<Member>, Error> {
    client.batch_execute("BEGIN; SET LOCAL search_path = pg_catalog").await?;
    let rows = client.query(MEMBERS, &[&batches.table]).await;
    client.batch_execute("ROLLBACK").await?;
    let rows = rows?;
    Ok(rows.iter().map(|r| Member { name: r.get(0), pages: r.get(1), rows: r.get(2) }).collect())
}

impl Work<'_> {
    /// In the order of the primary key: each batch ends at the key of its last row.
    async fn by_key(&mut self) -> Result<(), StepFailed> {
        let key = self.batches.key.join(", ");
        let texts: Vec<String> = self.batches.key.iter().map(|k| format!("{k}::text")).collect();
        // With the table, since the name alone is that of the text.
        let down: Vec<String> = self.batches.key.iter().map(|k| format!("batch.{k} DESC")).collect();
        let mut after = String::new();
        loop {
            let bound = format!(
                "SELECT {} FROM (SELECT {key} FROM {} WHERE {}{after} ORDER BY {key} LIMIT {}) AS batch ORDER BY {} LIMIT 1",
                texts.join(", "),
                self.batches.table,
                self.batches.left(),
                self.batches.size,
                down.join(", ")
            );
            // The index is read on from where the last batch ended; without statistics the server would rather sort all rows each time.
            let walks = ["enable_seqscan", "enable_bitmapscan", "enable_sort"];
            let set = |value: &str| walks.map(|w| format!("SET LOCAL {w} = {value}; ")).concat();
            let range = |values: &str, sign: &str| format!(" AND ({key}) {sign} ({values})");
            let begun = Instant::now();
            let batch = format!("{}{bound}", set("off"));
            let statement = |last: &str| format!("{}{}{after}{}", set("DEFAULT"), self.sql, range(last, "<="));
            let Some((last, rows)) = self.batch(&batch, statement).await? else { return Ok(()) };
            after = range(&last, ">");
            self.done(rows, begun.elapsed()).await?;
        }
    }

    /// Page after page of each table.
    async fn by_place(&mut self, mut found: Vec<Member>) -> Result<(), StepFailed> {
        let update = format!("UPDATE {} ", self.batches.table);
        let Some(rest) = self.sql.strip_prefix(&update).map(str::to_owned) else { return self.whole().await };
        for _ in 0..ROUNDS {
            let before = self.filled.rows;
            for member in &found {
                self.member(member, &rest).await?;
            }
            if self.filled.rows == before {
                break;
            }
            // The tables have grown by what was written.
            found = members(self.client, self.batches).await.map_err(|e| failed(self.step, self.sql, &e))?;
        }
        Ok(())
    }

    async fn member(&mut self, member: &Member, rest: &str) -> Result<(), StepFailed> {
        let Some(pages) = member.pages else {
            return self.one(&format!("UPDATE ONLY {} {rest}", member.name)).await;
        };
        let on_a_page = member.rows.map_or(ROWS_ON_A_PAGE, |rows| rows / pages.max(1) as f64).max(1.0);
        let step = ((f64::from(self.batches.size) / on_a_page) as i64).max(1);
        let mut page = 0;
        while page < pages {
            let next = (page + step).min(pages);
            self.one(&format!("UPDATE ONLY {} {rest} AND ctid >= '({page},0)' AND ctid < '({next},0)'", member.name)).await?;
            page = next;
        }
        Ok(())
    }

    /// A statement that was written by hand and cannot be cut.
    async fn whole(&mut self) -> Result<(), StepFailed> {
        let sql = self.sql.to_owned();
        self.one(&sql).await
    }

    /// A batch that is known beforehand.
    async fn one(&mut self, sql: &str) -> Result<(), StepFailed> {
        let begun = Instant::now();
        let found = self.batch("SELECT 1", |_| sql.to_owned()).await?;
        self.done(found.map_or(0, |(_, rows)| rows), begun.elapsed()).await
    }

    /// One transaction: what ends the batch, as literals, and how many rows it has changed; none when there are no more. It is tried
    /// again while somebody else holds its rows.
    async fn batch(&self, bound: &str, statement: impl Fn(&str) -> String) -> Result<Option<(String, u64)>, StepFailed> {
        let (begun, mut pause) = (Instant::now(), RETRY.0);
        loop {
            let failure = match self.attempt(bound, &statement).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            self.client.batch_execute("ROLLBACK").await.ok();
            if !failure.gives_way() || begun.elapsed() + pause > self.settings.wait {
                return Err(failure);
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }

    async fn attempt(&self, bound: &str, statement: impl Fn(&str) -> String) -> Result<Option<(String, u64)>, StepFailed> {
        let refused = |e: Error| failed(self.step, self.sql, &e);
        // Rows that a policy hides would be left without a value: the server says so instead.
        let limit = self.settings.limits.of(self.step, true);
        let begin = format!("BEGIN; {}{ALL_ROWS}; {}", preamble(self.settings), limit.sql(true));
        self.client.batch_execute(&begin).await.map_err(refused)?;
        if let Some(record) = self.record {
            record.enter(self.client).await.map_err(|e| unrecorded(self.step, &e))?;
        }
        let found = self.client.simple_query(bound).await.map_err(refused)?;
        let last = found.iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let Some(last) = last else {
            self.client.batch_execute("COMMIT").await.map_err(refused)?;
            return Ok(None);
        };
        let values: Vec<String> = (0..last.len()).map(|i| last.get(i).map_or("NULL".to_owned(), literal)).collect();
        let values = values.join(", ");
        let sent = Instant::now();
        let told = |e: Error| limit.told(refused(e), sent.elapsed());
        let done = self.client.simple_query(&statement(&values)).await.map_err(told)?;
        let rows = done.iter().map(|m| match m {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        });
        let rows = rows.max().unwrap_or_default();
        let filled = self.record.map_or(String::new(), |record| record.filled(self.step, rows));
        self.client.batch_execute(&format!("{filled}COMMIT")).await.map_err(refused)?;
        Ok(Some((values, rows)))
    }

    /// Tells how far it is, and lets others have a turn. It fails when the next batch is not wanted.
    async fn done(&mut self, rows: u64, took: Duration) -> Result<(), StepFailed> {
        if rows == 0 {
            return Ok(());
        }
        self.filled.rows += rows;
        if self.settings.tell.is_some_and(|tell| tell(self.step, self.filled).is_break()) {
            return Err(stopped(self.step));
        }
        tokio::time::sleep(self.settings.pause.unwrap_or(took.mul_f64(PAUSE))).await;
        Ok(())
    }
}
