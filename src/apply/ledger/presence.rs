//! Whether there is a ledger, and making one.

use tokio_postgres::Client;

use super::LedgerError;

/// The version that this plumb writes.
pub const VERSION: i32 = 1;

/// What makes each version of the one before it: a plan to `schema.sql`, made by plumb when the version was, and the rows that it adds.
const VERSIONS: &[&str] = &[concat!(include_str!("1.sql"), include_str!("1_rows.sql"))];

/// What there is of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing: no plan was applied yet.
    Absent,
    /// A schema of its name, which is something else.
    Taken,
    /// One that this role may not read; the owner of it.
    Closed(String),
    /// One of this version.
    Here(i32),
}

const QUERY: &str = "SELECT pg_catalog.pg_get_userbyid(n.nspowner)::text, \
     c.oid IS NOT NULL, pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
     FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'ledger_version' \
     WHERE n.nspname = 'plumb'";

/// Looks for a ledger.
///
/// # Errors
/// When the server cannot be asked.
pub async fn presence(client: &Client) -> Result<Presence, LedgerError> {
    let Some(row) = client.query_opt(QUERY, &[]).await? else { return Ok(Presence::Absent) };
    let (owner, ours, readable) = (row.try_get(0)?, row.try_get::<_, bool>(1)?, row.try_get::<_, Option<bool>>(2)?);
    if !ours {
        return Ok(Presence::Taken);
    }
    if readable != Some(true) {
        return Ok(Presence::Closed(owner));
    }
    let row = client.query_one("SELECT version FROM plumb.ledger_version", &[]).await?;
    Ok(Presence::Here(row.try_get(0)?))
}

/// Makes the ledger, or brings it to this version, in one transaction; to be called under the lock of the database.
///
/// # Errors
/// When it is not plumb's, is a newer one, or the role may not.
pub async fn prepare(client: &Client) -> Result<(), LedgerError> {
    let version = match presence(client).await? {
        Presence::Here(VERSION) => return writable(client).await,
        Presence::Here(version) if version > VERSION => return Err(LedgerError::Newer(version)),
        Presence::Here(version) => version,
        Presence::Absent => 0,
        Presence::Taken => return Err(LedgerError::Taken),
        Presence::Closed(owner) => return Err(closed(client, owner).await),
    };
    let missing = VERSIONS.get(usize::try_from(version).unwrap_or_default()..).unwrap_or_default().concat();
    let batch = format!(
        "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog; \
         {missing}; UPDATE plumb.ledger_version SET version = {VERSION}; COMMIT"
    );
    let Err(error) = client.batch_execute(&batch).await else { return Ok(()) };
    client.batch_execute("ROLLBACK").await.ok();
    let denied = error.as_db_error().is_some_and(|e| e.code().code() == "42501");
    if !denied {
        return Err(error.into());
    }
    let row = client.query_one("SELECT current_user::text, pg_catalog.current_database()::text", &[]).await?;
    Err(LedgerError::NoRight { role: row.try_get(0)?, database: row.try_get(1)? })
}

async fn closed(client: &Client, owner: String) -> LedgerError {
    match client.query_one("SELECT current_user::text", &[]).await.and_then(|row| row.try_get(0)) {
        Ok(role) => LedgerError::Closed { role, owner },
        Err(error) => error.into(),
    }
}

/// The role may write what it is about to write.
async fn writable(client: &Client) -> Result<(), LedgerError> {
    let query = "SELECT current_user::text, pg_catalog.pg_get_userbyid(n.nspowner)::text, pg_catalog.bool_and( \
         pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
         AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')) \
         FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r' \
         WHERE n.nspname = 'plumb' GROUP BY n.nspowner";
    let row = client.query_one(query, &[]).await?;
    match row.try_get(2)? {
        true => Ok(()),
        false => Err(LedgerError::Closed { role: row.try_get(0)?, owner: row.try_get(1)? }),
    }
}
