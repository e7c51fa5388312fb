//! The log of DDL: event triggers (manual: chapter 40) that note who changes what, for `plumb drift` to say where a difference
//! comes from. Its table and function belong to the ledger's owner, its triggers to the superuser that has installed it.

use serde::Serialize;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, Row};

/// The table, its index and the function.
const INSTALL: &str = include_str!("watch/install.sql");

const TRIGGERS: &[(&str, &str)] = &[("plumb_watch", "ddl_command_end"), ("plumb_watch_drop", "sql_drop")];

/// Whether the log is installed.
///
/// # Errors
/// When the server cannot be asked.
pub async fn installed(client: &Client) -> Result<bool, Error> {
    let query = "SELECT count(*) = 2 FROM pg_catalog.pg_event_trigger WHERE evtname IN ('plumb_watch', 'plumb_watch_drop')";
    client.query_one(query, &[]).await?.try_get(0)
}

/// Installs it beside a ledger, in one transaction.
///
/// # Errors
/// When the server refuses: event triggers are a superuser's.
pub async fn install(client: &Client) -> Result<(), Error> {
    let owner: String = client
        .query_one("SELECT pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(nspowner)) FROM pg_catalog.pg_namespace WHERE nspname = 'plumb'", &[])
        .await?
        .try_get(0)?;
    let triggers: String = TRIGGERS
        .iter()
        .map(|(name, event)| format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION plumb.note_ddl();\n"))
        .collect();
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog;\n{}\n{INSTALL}\n\
         ALTER TABLE plumb.ddl OWNER TO {owner};\nALTER FUNCTION plumb.note_ddl() OWNER TO {owner};\n{triggers}COMMIT",
        removal()
    );
    run(client, &sql).await
}

/// Takes it away, with what it has noted.
///
/// # Errors
/// When the server refuses.
pub async fn remove(client: &Client) -> Result<(), Error> {
    let sql = format!("BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning;\n{}COMMIT", removal());
    run(client, &sql).await
}

fn removal() -> String {
    let triggers: String = TRIGGERS.iter().map(|(name, _)| format!("DROP EVENT TRIGGER IF EXISTS {name};\n")).collect();
    format!("{triggers}DROP FUNCTION IF EXISTS plumb.note_ddl();\nDROP TABLE IF EXISTS plumb.ddl;\n")
}

async fn run(client: &Client, sql: &str) -> Result<(), Error> {
    let done = client.batch_execute(sql).await;
    if done.is_err() {
        client.batch_execute("ROLLBACK").await.ok();
    }
    done
}

/// One command on one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// When, in UTC, `2026-11-26 12:00:03 UTC`.
    pub at: String,
    /// The command's tag: `ALTER TABLE`.
    pub tag: String,
    /// The object's class, in the server's words.
    pub class: String,
    /// The object; none for GRANT and REVOKE, of which the server does not say on what.
    pub object: Option<String>,
    /// The role that it ran as.
    pub role: String,
    /// The role that had logged in.
    pub login: String,
    /// `application_name`.
    pub application: Option<String>,
    /// The client's address; none for a socket.
    pub client: Option<String>,
}

impl Noted {
    fn of(row: &Row) -> Result<Noted, Error> {
        Ok(Noted {
            at: row.try_get(0)?,
            tag: row.try_get(1)?,
            class: row.try_get(2)?,
            object: row.try_get(3)?,
            role: row.try_get(4)?,
            login: row.try_get(5)?,
            application: row.try_get(6)?,
            client: row.try_get(7)?,
        })
    }

    /// What, who and when, as a part of a sentence.
    pub fn words(&self) -> String {
        format!("{} {}, {}", self.tag, self.who(), self.at)
    }

    /// Who it was, as a part of a sentence.
    pub fn who(&self) -> String {
        let login = if self.login == self.role { String::new() } else { format!(" (logged in as {})", self.login) };
        let by = self.application.as_ref().map_or(String::new(), |a| format!(" with {a}"));
        let from = self.client.as_ref().map_or(String::new(), |c| format!(" from {c}"));
        format!("by {}{login}{by}{from}", self.role)
    }
}

const COLUMNS: &str = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', tag, class, object, role, login, application, host(client)";

/// The newest commands, the newest one first.
///
/// # Errors
/// When the log cannot be read.
pub async fn newest(client: &Client, most: i64) -> Result<Vec<Noted>, Error> {
    let query = format!("SELECT {COLUMNS} FROM plumb.ddl ORDER BY id DESC LIMIT $1");
    client.query(&query, &[&most]).await?.iter().map(Noted::of).collect()
}

/// The newest command on each of these objects, by the name that the server has for it.
///
/// # Errors
/// When the log cannot be read.
pub async fn latest(client: &Client, objects: &[&str]) -> Result<BTreeMap<String, Noted>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM plumb.ddl d JOIN (SELECT max(id) AS id FROM plumb.ddl WHERE object = ANY ($1) GROUP BY object) l USING (id)"
    );
    let rows = client.query(&query, &[&objects]).await?;
    let noted: Result<Vec<Noted>, Error> = rows.iter().map(Noted::of).collect();
    Ok(noted?.into_iter().filter_map(|noted| Some((noted.object.clone()?, noted))).collect())
}

/// The newest command about rights on such an object, of which the server says no more than its class.
///
/// # Errors
/// When the log cannot be read.
pub async fn rights(client: &Client) -> Result<Option<Noted>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM plumb.ddl WHERE tag IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES') ORDER BY id DESC LIMIT 1"
    );
    client.query_opt(&query, &[]).await?.as_ref().map(Noted::of).transpose()
}
