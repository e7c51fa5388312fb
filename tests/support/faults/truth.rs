//! What a database holds after a plan, as far as it has to be the same whatever happened on the way: schema, rows, ledger; and
//! what must not be left.

use super::throwaway::Throwaway;
use super::{dump, server};
use plumb::pg::Session;
use plumb::sql::ident;
use std::process::Command;
use std::time::{Duration, Instant};

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Statements of pg_dump, else of plumb's own dump.
    schema: Vec<String>,
    /// Of each table its name, number of rows and checksum.
    rows: Vec<String>,
    /// Steps of the ledger: number, object, state, rows.
    steps: Vec<String>,
    /// What is wrong with the ledger by itself.
    wrong: Vec<String>,
}

/// Of a ledger after a plan that is applied each line is 0.
const LEDGER: &[(&str, &str)] = &[
    ("deployments that are done, less one", "SELECT count(*) - 1 FROM plumb.deployment WHERE state = 'done'"),
    ("deployments neither done nor void", "SELECT count(*) FROM plumb.deployment WHERE state NOT IN ('done', 'void')"),
    ("deployments without an end", "SELECT count(*) FROM plumb.deployment WHERE ended IS NULL"),
    (
        "done without the schemas before and after",
        "SELECT count(*) FROM plumb.deployment WHERE state = 'done' AND (before IS NULL OR after IS NULL)",
    ),
    (
        "steps of a void deployment that were done",
        "SELECT count(*) FROM plumb.step s JOIN plumb.deployment d ON d.id = s.deployment WHERE d.state = 'void' AND s.state <> 'failed'",
    ),
    (
        "steps that are missing",
        "SELECT d.steps - (SELECT count(*) FROM plumb.step s WHERE s.deployment = d.id AND s.state = 'done') FROM plumb.deployment d WHERE d.state = 'done'",
    ),
    (
        "steps without times",
        "SELECT count(*) FROM plumb.step s JOIN plumb.deployment d ON d.id = s.deployment WHERE d.state = 'done' AND (s.started IS NULL OR s.ended IS NULL OR s.ended < s.started)",
    ),
    ("runs of which nobody knows the end", "SELECT count(*) FROM plumb.run WHERE outcome IS NULL"),
    ("leases that are held", "SELECT count(*) FROM plumb.lease WHERE run IS NOT NULL"),
];

const STEPS: &str = "SELECT format('%s %s %s %s', s.number, s.object, s.state, s.rows) FROM plumb.step s \
     JOIN plumb.deployment d ON d.id = s.deployment WHERE d.state = 'done' ORDER BY s.number";

const TABLES: &str = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'plumb') ORDER BY 1, 2";

/// Reads it.
pub async fn read(on: &Throwaway, database: &str) -> Result<Truth, String> {
    let session = on.session(database).await;
    let truth = of(on, &session).await;
    session.close().await;
    truth
}

async fn of(on: &Throwaway, session: &Session) -> Result<Truth, String> {
    let client = &session.client;
    let refused = |e: tokio_postgres::Error| server::message(&e);
    let mut wrong = Vec::new();
    for (what, query) in LEDGER {
        let query = format!("SELECT coalesce(sum(n), 0)::bigint FROM ({query}) AS q(n)");
        let number: i64 = client.query_one(&query, &[]).await.map_err(refused)?.get(0);
        if number != 0 {
            wrong.push(format!("{what}: {number}"));
        }
    }
    let steps = client.query(STEPS, &[]).await.map_err(refused)?.iter().map(|row| row.get(0)).collect();
    let mut rows = Vec::new();
    for table in client.query(TABLES, &[]).await.map_err(refused)? {
        let (schema, name): (String, String) = (table.get(0), table.get(1));
        let sum = format!(
            "SELECT format('%s rows, %s', count(*), md5(string_agg(t::text, '|' ORDER BY t::text))) FROM ONLY {}.{} t",
            ident(&schema),
            ident(&name)
        );
        let sum: String = client.query_one(&sum, &[]).await.map_err(refused)?.get(0);
        rows.push(format!("{schema}.{name}: {sum}"));
    }
    Ok(Truth { schema: schema(on, &session.database)?, rows, steps, wrong })
}

/// By pg_dump; where none reads this server (`PLUMB_PG_DUMP=none`), by plumb's own dump.
fn schema(on: &Throwaway, database: &str) -> Result<Vec<String>, String> {
    if server::server().pg_dump.as_os_str() == "none" {
        let target = format!("host={} port=5432 user={} dbname={database}", on.directory().display(), server::USER);
        let out =
            Command::new(env!("CARGO_BIN_EXE_plumb")).args(["dump", "--db", &target]).output().map_err(|e| e.to_string())?;
        return match out.status.success() {
            // The first line names the database.
            true => Ok(String::from_utf8_lossy(&out.stdout).lines().skip(1).map(str::to_owned).collect()),
            false => Err(format!("plumb dump: {}", String::from_utf8_lossy(&out.stderr).trim())),
        };
    }
    let mut command = Command::new(&server::server().pg_dump);
    command.arg("-h").arg(on.directory()).args(["-p", "5432", "-U", server::USER, "-d", database]);
    let out = command.args(["--schema-only", "--no-password", "--exclude-schema=plumb"]).output().map_err(|e| e.to_string())?;
    if !out.status.success() {
        return Err(format!("pg_dump: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    Ok(dump::normalised(&String::from_utf8(out.stdout).map_err(|e| e.to_string())?))
}

impl Truth {
    /// By itself, without another one to compare it with.
    pub fn sound(&self) -> Result<(), String> {
        if self.wrong.is_empty() { Ok(()) } else { Err(format!("the ledger: {}", self.wrong.join("; "))) }
    }

    /// How many steps the plan has.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// An error says what `found` has otherwise.
    pub fn same(&self, found: &Truth) -> Result<(), String> {
        let parts =
            [("pg_dump", &self.schema, &found.schema), ("rows", &self.rows, &found.rows), ("ledger", &self.steps, &found.steps)];
        for (what, wanted, found) in parts {
            let difference = dump::difference(found, wanted);
            if !difference.is_empty() {
                return Err(format!("{what} differs:\n{difference}"));
            }
        }
        Ok(())
    }
}

/// What must not be there, with how many of it there are.
const LEFT: &[(&str, &str)] = &[
    (
        "sessions of plumb",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'plumb' AND datname = current_database() AND pid <> pg_backend_pid()",
    ),
    (
        "advisory locks",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    ),
    ("prepared transactions", "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()"),
    ("indexes that are not valid", "SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready"),
    ("constraints that are not validated", "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"),
    ("partitions about to be detached", "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"),
    ("scratch databases", "SELECT count(*) FROM pg_database WHERE datname LIKE 'plumb%'"),
];

/// Nothing of plumb is left in a database, a moment after it has ended.
pub async fn nothing_left(on: &Throwaway, database: &str) -> Result<(), String> {
    let session = on.session(database).await;
    session.client.batch_execute("SET application_name = 'the test'").await.map_err(|e| server::message(&e))?;
    let limit = Instant::now() + Duration::from_secs(30);
    let outcome = loop {
        let mut left = Vec::new();
        for (what, query) in LEFT {
            let number: i64 = session.client.query_one(*query, &[]).await.map_err(|e| server::message(&e))?.get(0);
            if number != 0 {
                left.push(format!("{number} {what}"));
            }
        }
        match left.is_empty() {
            true => break Ok(()),
            false if Instant::now() > limit => break Err(format!("left: {}", left.join(", "))),
            false => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    session.close().await;
    outcome
}
