//! What a superuser has to mind in a database that a stranger's SQL has filled: nothing of that SQL may run as one, and nothing of it
//! may come to belong to one.

use crate::sql::ident;
use std::collections::BTreeSet;
use tokio_postgres::{Client, Error};

/// Roles of the server that nothing of the files may belong to, unless the loading role is a member anyway: their functions with
/// SECURITY DEFINER could do more than load a schema. `pg_database_owner` is the database's owner, which the loading role is.
const POWERFUL: &str = r"
WITH strong AS MATERIALIZED (
    SELECT r.oid, r.rolsuper FROM pg_catalog.pg_roles r
     WHERE r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolname = ANY (ARRAY['pg_execute_server_program',
           'pg_read_server_files', 'pg_write_server_files', 'pg_create_subscription', 'pg_signal_backend']::name[]))
SELECT r.rolname::text FROM pg_catalog.pg_roles r
 WHERE r.rolsuper
    OR NOT pg_catalog.pg_has_role($1::name, r.oid, 'MEMBER')
       AND (r.rolname ~ '^pg_' AND r.rolname <> 'pg_database_owner'
            OR EXISTS (SELECT FROM strong s WHERE s.oid = r.oid OR pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER')))";

/// Roles that nothing of a stranger's may belong to where `loader` loads it.
///
/// # Errors
/// When the server cannot be asked.
pub async fn powerful(administrator: &Client, loader: &str) -> Result<BTreeSet<String>, Error> {
    Ok(administrator.query(POWERFUL, &[&loader]).await?.iter().map(|row| row.get(0)).collect())
}

/// Event triggers that would fire for a superuser's statements, and run a stranger's function as that superuser. From 17 on the
/// administrator's sessions have `event_triggers` off.
const FIRING: &str = "\
SELECT evtname::text, evtenabled FROM pg_catalog.pg_event_trigger
WHERE evtenabled <> 'D' AND pg_catalog.current_setting('event_triggers', true) IS DISTINCT FROM 'off'
  AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper) ORDER BY 1";

/// Event triggers that are disabled for a while.
#[must_use = "restore them"]
pub struct Hushed(Vec<(String, i8)>);

/// Disables the event triggers of the database, if a superuser asks: DDL on event triggers fires none itself.
///
/// # Errors
/// What the server says.
pub async fn hush(administrator: &Client) -> Result<Hushed, Error> {
    let firing: Vec<(String, i8)> = administrator.query(FIRING, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let batch: String = firing.iter().map(|(name, _)| format!("ALTER EVENT TRIGGER {} DISABLE;", ident(name))).collect();
    if !batch.is_empty() {
        administrator.batch_execute(&batch).await?;
    }
    Ok(Hushed(firing))
}

/// Enables them again as they were, those that are still there.
///
/// # Errors
/// What the server says.
pub async fn restore(administrator: &Client, hushed: Hushed) -> Result<(), Error> {
    if hushed.0.is_empty() {
        return Ok(());
    }
    let query = "SELECT evtname::text FROM pg_catalog.pg_event_trigger";
    let there: BTreeSet<String> = administrator.query(query, &[]).await?.iter().map(|row| row.get(0)).collect();
    let word = |state: i8| match state as u8 {
        b'A' => "ENABLE ALWAYS",
        b'R' => "ENABLE REPLICA",
        _ => "ENABLE",
    };
    let back = hushed.0.iter().filter(|(name, _)| there.contains(name));
    let batch: String = back.map(|(name, state)| format!("ALTER EVENT TRIGGER {} {};", ident(name), word(*state))).collect();
    administrator.batch_execute(&batch).await
}

/// Runs statements while no event trigger fires for them.
///
/// # Errors
/// What the server says.
pub async fn quietly(administrator: &Client, batch: &str) -> Result<(), Error> {
    let hushed = hush(administrator).await?;
    let done = administrator.batch_execute(batch).await;
    restore(administrator, hushed).await.and(done)
}
