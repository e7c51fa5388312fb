//! The log of DDL: event triggers (manual: chapter 40) that note who changes what, for `plumb drift` to say where a difference
//! comes from. Its table and function belong to the ledger's owner, its triggers to the superuser that has installed it.

mod query;

use serde::Serialize;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Error, Row};

use crate::catalog::Id;
use query::Target;

/// The table, its index and the functions.
const INSTALL: &str = include_str!("watch/install.sql");

const TRIGGERS: &[(&str, &str)] = &[("plumb_watch", "ddl_command_end"), ("plumb_watch_drop", "sql_drop")];

const FUNCTIONS: &[&str] = &["plumb.note_ddl()", "plumb.redacted(text)", "plumb.token_at(text, text)", "plumb.comment_at(text)"];

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
    let owners: String = FUNCTIONS.iter().map(|function| format!("ALTER FUNCTION {function} OWNER TO {owner};\n")).collect();
    let triggers: String = TRIGGERS
        .iter()
        .map(|(name, event)| format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION plumb.note_ddl();\n"))
        .collect();
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog;\n{}\n{INSTALL}\n\
         ALTER TABLE plumb.ddl OWNER TO {owner};\n{owners}{triggers}COMMIT",
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
    let functions: String = FUNCTIONS.iter().map(|function| format!("DROP FUNCTION IF EXISTS {function};\n")).collect();
    format!("{triggers}{functions}DROP TABLE IF EXISTS plumb.ddl;\n")
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
    /// The object; none for GRANT and REVOKE, of which the server does not say on what. Their statement does.
    pub object: Option<String>,
    /// The role that it ran as.
    pub role: String,
    /// The role that had logged in.
    pub login: String,
    /// `application_name`.
    pub application: Option<String>,
    /// The client's address; none for a socket.
    pub client: Option<String>,
    /// What the client has sent, `'***'` for every string in it, `0` for every number, and without comments. A long one ends with `...`.
    /// None where PostgreSQL's own scanner finds a constant that was left.
    pub query: Option<String>,
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
            query: row.try_get::<_, Option<String>>(8)?.and_then(query::redacted),
        })
    }

    /// What, who and when, as a part of a sentence, and with what statement.
    pub fn words(&self) -> String {
        let query = self.query.as_ref().map_or(String::new(), |q| format!(": {q}"));
        format!("{} {}, {}{query}", self.tag, self.who(), self.at)
    }

    /// Who it was, as a part of a sentence.
    pub fn who(&self) -> String {
        let login = if self.login == self.role { String::new() } else { format!(" (logged in as {})", self.login) };
        let by = self.application.as_ref().map_or(String::new(), |a| format!(" with {a}"));
        let from = self.client.as_ref().map_or(String::new(), |c| format!(" from {c}"));
        format!("by {}{login}{by}{from}", self.role)
    }
}

const COLUMNS: &str = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC', tag, class, object, role, login, application, host(client), query";

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

/// A command about rights, of which the server does not say on what it was; its statement may.
pub struct Rights {
    /// The command.
    pub noted: Noted,
    on: Vec<Target>,
}

impl Rights {
    /// Whether it names this object, or what that is a part of.
    pub fn are_on(&self, object: &Id) -> bool {
        self.on.iter().any(|target| target.is(object))
    }
}

/// In how many commands about rights an object is looked for.
const RIGHTS: i64 = 1000;

/// The newest commands about rights, the newest one first.
///
/// # Errors
/// When the log cannot be read.
pub async fn rights(client: &Client) -> Result<Vec<Rights>, Error> {
    let query = format!(
        "SELECT {COLUMNS} FROM plumb.ddl WHERE tag IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES') ORDER BY id DESC LIMIT {RIGHTS}"
    );
    let rows = client.query(&query, &[]).await?;
    let rights = |noted: Noted| Rights { on: noted.query.as_deref().map_or_else(Vec::new, query::targets), noted };
    rows.iter().map(|row| Noted::of(row).map(rights)).collect()
}
