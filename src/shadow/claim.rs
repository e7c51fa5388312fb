//! Claims on what plumb makes on a server that is not its own, so that the next plumb can tell what a killed one left there.
//!
//! A claim is a session-level advisory lock (manual: 13.3.5 "Advisory Locks") on a number made of the name: the server lets go of
//! it when its session ends, however that ends. Every plumb claims its scratch databases before it makes them, and the roles that
//! it needs before it looks for them. What has the name or the mark of plumb's own and no claim belongs to nobody.

use crate::pg::Session;
use crate::sql::{ident, literal};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use tokio_postgres::Error;

/// The first half of the locks' keys: the ASCII letters `plsh`. Not that of [`crate::pg::lock`].
const KEY: i32 = i32::from_be_bytes(*b"plsh");

/// What the names of scratch databases begin with; a [`super::cache::random_word`] follows.
pub(super) const PREFIX: &str = "plumb_scratch_";

/// The comment of roles that plumb made. A role has to have the name that the files give it, so the mark stands here.
const MARK: &str = "made by plumb for a scratch database; removed by plumb when nobody needs it";

/// The second half of the key. Two names with the same number only keep each other from being removed.
fn number(name: &str) -> u32 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(4).fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// Claims `names` for as long as `session` lasts.
///
/// # Errors
/// When the line is lost.
pub(super) async fn claim(session: &Session, names: impl Iterator<Item = &str>) -> Result<(), Error> {
    let numbers: Vec<i32> = names.map(|name| i32::from_ne_bytes(number(name).to_ne_bytes())).collect();
    let query = format!("SELECT pg_catalog.pg_advisory_lock_shared({KEY}, n) FROM pg_catalog.unnest($1::int4[]) AS n");
    session.client.query(&query, &[&numbers]).await.map(drop)
}

/// Those of `names` that no session but the one of server process `own` claims, wherever on the server that session is.
///
/// # Errors
/// When the line is lost.
pub(super) async fn unclaimed(session: &Session, own: i32, mut names: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    if names.is_empty() {
        return Ok(names);
    }
    let query = format!(
        "SELECT objid FROM pg_catalog.pg_locks \
          WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = {KEY} AND pid <> $1"
    );
    let rows = session.client.query(&query, &[&own]).await?;
    let claimed: BTreeSet<u32> = rows.iter().map(|row| row.get(0)).collect();
    names.retain(|name| !claimed.contains(&number(name)));
    Ok(names)
}

/// The statements that make role `name` and mark it, in one transaction.
pub(super) fn create_role(name: &str) -> String {
    format!("CREATE ROLE {0} NOLOGIN; COMMENT ON ROLE {0} IS {1}", ident(name), literal(MARK))
}

/// Removes scratch databases and roles that a killed plumb left on the server. What the server refuses stays: a database with
/// sessions in it, a role that something depends on, what belongs to somebody else.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn sweep(session: &Session, own: i32) -> Result<(), Error> {
    // Names are read before claims: whoever has made one since has claimed it before.
    let databases = unclaimed(session, own, names(session, DATABASES, PREFIX).await?).await?;
    for name in databases.iter().filter(|name| is_scratch(name)) {
        // Without FORCE: where a pooler stands between, a claim may not be seen, but a session in the database is.
        remove(session, "scratch database", name, &format!("DROP DATABASE IF EXISTS {}", ident(name))).await;
    }
    let roles = unclaimed(session, own, names(session, ROLES, MARK).await?).await?;
    for name in &roles {
        remove(session, "role", name, &format!("DROP ROLE IF EXISTS {}", ident(name))).await;
    }
    Ok(())
}

const DATABASES: &str = "SELECT datname::text FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname::text, $1)";

/// Marked roles that are as they were made: one that can log in now, or got rights or roles, is somebody's.
const ROLES: &str = "SELECT r.rolname::text FROM pg_catalog.pg_roles r \
     WHERE pg_catalog.shobj_description(r.oid, 'pg_authid') = $1 \
       AND NOT (rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) AND rolconfig IS NULL \
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid \
                       AND pg_catalog.shobj_description(m.roleid, 'pg_authid') IS DISTINCT FROM $1)";

async fn names(session: &Session, query: &str, text: &str) -> Result<BTreeSet<String>, Error> {
    Ok(session.client.query(query, &[&text]).await?.iter().map(|row| row.get(0)).collect())
}

async fn remove(session: &Session, what: &str, name: &str, sql: &str) {
    match session.client.batch_execute(sql).await {
        Ok(()) => tracing::info!("removed {what} {name}, left on {} by a plumb that was killed", session.target),
        Err(error) => tracing::debug!("{what} {name}, left by a plumb that was killed, stays: {error:?}"),
    }
}

/// True for a name that only plumb gives.
fn is_scratch(name: &str) -> bool {
    let word = name.strip_prefix(PREFIX).unwrap_or_default();
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_databases_are_not_scratch() {
        assert!(is_scratch(&format!("{PREFIX}{}", super::super::cache::random_word())));
        assert!(!is_scratch("plumb_scratch_area"));
        assert!(!is_scratch("plumb_scratch_0123456789ABCDEF"));
        assert!(!is_scratch("scratch"));
    }
}
