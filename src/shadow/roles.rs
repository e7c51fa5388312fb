//! The roles that a scratch database needs: its owner, whom SQL is loaded as, and those that SQL names.

use super::error::ShadowError;
use crate::pg::Session;
use crate::sql::{ident, idents};
use std::collections::BTreeSet;

/// The rights of the role that a session is connected as (manual: 22.2 "Role Attributes").
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rights {
    pub(super) superuser: bool,
    pub(super) createdb: bool,
    pub(super) createrole: bool,
}

impl Rights {
    /// Reads them.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(super) async fn read(session: &Session) -> Result<Rights, ShadowError> {
        let query = "SELECT rolsuper, rolcreatedb OR rolsuper, rolcreaterole OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let row = session.client.query_one(query, &[]).await.map_err(ShadowError::sql("read the rights of the shadow's role"))?;
        Ok(Rights { superuser: row.get(0), createdb: row.get(1), createrole: row.get(2) })
    }
}

/// Those of `wanted` that are ordinary roles and missing on the server, each once. `public` is no role, and names that begin
/// with `pg_` are the server's own.
///
/// # Errors
/// When the server cannot be asked.
pub(super) async fn missing<'a>(session: &Session, wanted: impl Iterator<Item = &'a str>) -> Result<Vec<String>, ShadowError> {
    let wanted: Vec<&str> = wanted.filter(|name| is_ordinary(name)).collect();
    let query = "SELECT DISTINCT w FROM pg_catalog.unnest($1::text[]) AS w WHERE NOT EXISTS \
                 (SELECT FROM pg_catalog.pg_roles WHERE rolname = w) ORDER BY w";
    let rows = session.client.query(query, &[&wanted]).await.map_err(ShadowError::sql("list the shadow's roles"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn is_ordinary(name: &str) -> bool {
    name != "public" && name != "none" && !name.starts_with("pg_")
}

/// In a private cluster: makes `owner` an ordinary role that can log in and administers every one of `roles`.
///
/// The owner never becomes a member of the server's own roles: `pg_execute_server_program` and its like would open the wall
/// that loading as an ordinary role is.
///
/// # Errors
/// When the server refuses.
pub(super) async fn prepare_private(administrator: &Session, owner: &str, roles: &BTreeSet<String>) -> Result<(), ShadowError> {
    let doing = || ShadowError::sql("prepare the roles of a scratch database");
    let wanted = roles.iter().map(String::as_str).chain([owner]);
    let mut batch: Vec<String> =
        missing(administrator, wanted).await?.iter().map(|name| format!("CREATE ROLE {} NOLOGIN;", ident(name))).collect();
    batch.push(format!("ALTER ROLE {} LOGIN;", ident(owner)));
    administrator.client.batch_execute(&batch.join("\n")).await.map_err(doing())?;
    // A role that is a member of the owner already cannot be granted to it; it was the owner of another scratch database.
    let query = "SELECT w FROM pg_catalog.unnest($1::text[]) AS w WHERE w <> $2 AND NOT pg_catalog.pg_has_role(w, $2, 'MEMBER') ORDER BY w";
    let ordinary: Vec<&str> =
        roles.iter().map(String::as_str).filter(|name| is_ordinary(name) && *name != super::BOOTSTRAP).collect();
    let rows = administrator.client.query(query, &[&ordinary, &owner]).await.map_err(doing())?;
    let grantable: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    grant(administrator, &grantable, owner).await
}

/// Makes `member` a member of `roles` that may pass them on, use their rights and become them.
///
/// # Errors
/// When the server refuses.
pub(super) async fn grant(session: &Session, roles: &[String], member: &str) -> Result<(), ShadowError> {
    if roles.is_empty() {
        return Ok(());
    }
    // From 16 on the maker of a role administers it already, and cannot grant that to itself.
    let options = match session.version.major() {
        ..16 => "ADMIN OPTION",
        _ if member == session.user => "INHERIT TRUE, SET TRUE",
        _ => "ADMIN TRUE, INHERIT TRUE, SET TRUE",
    };
    let sql = format!("GRANT {} TO {} WITH {options}", idents(roles), ident(member));
    session.client.batch_execute(&sql).await.map_err(ShadowError::sql(format!("grant roles to {member}")))
}
