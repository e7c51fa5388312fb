//! Roles that the files name. They belong to the cluster, so they are made beforehand, without rights, where they are missing.

use super::name::Class;
use super::problem::Problem;
use super::read::{Statement, words};
use super::screen::Action;
use crate::sql;
use pg_query::{Node, NodeEnum};
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Every role that a statement names: grantees, owners, members, roles of policies.
pub fn roles(statements: &[Statement]) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for s in statements {
        roles.extend(s.hints.requires.iter().filter(|m| m.name.class == Class::Role).map(|m| m.name.base().to_owned()));
        roles.extend(s.hints.defines.iter().filter(|d| d.name.class == Class::Role).map(|d| d.name.base().to_owned()));
        roles.extend(bare(&s.node));
    }
    roles.retain(|r| !r.starts_with("pg_"));
    roles
}

/// Names of roles that stand in the tree as bare strings.
fn bare(node: &NodeEnum) -> Vec<String> {
    match node {
        NodeEnum::GrantRoleStmt(s) => s.granted_roles.iter().filter_map(granted).collect(),
        NodeEnum::CommentStmt(s) if s.objtype() == pg_query::protobuf::ObjectType::ObjectRole => {
            s.object.iter().flat_map(|o| words(std::slice::from_ref(o))).collect()
        }
        _ => Vec::new(),
    }
}

fn granted(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AccessPriv(p)) => Some(p.priv_name.clone()),
        _ => None,
    }
}

/// What the files say about roles themselves: seen, not run.
pub fn notices(statements: &[Statement]) -> Vec<String> {
    let about = statements.iter().filter(|s| s.action == Action::Role);
    let named: BTreeSet<String> = about.flat_map(|s| roles(std::slice::from_ref(s))).collect();
    named.into_iter().map(|r| format!("outside scope: role {r}")).collect()
}

/// Makes the missing ones of `wanted`, without login and rights, and lets the loading role act for them. Returns those made.
/// Roles that are there are never granted: one of them may be a superuser.
pub async fn make(
    wanted: &BTreeSet<String>,
    loader: &Client,
    administrator: Option<&Client>,
) -> Result<BTreeSet<String>, Problem> {
    let client = administrator.unwrap_or(loader);
    let failed = |e: tokio_postgres::Error| {
        Problem::general("source::role", format!("cannot create the roles the files name: {}", text(&e)))
    };
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let rows =
        client.query("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)", &[&names]).await.map_err(failed)?;
    let there: BTreeSet<String> = rows.iter().map(|r| r.get::<_, String>(0)).collect();
    let missing: BTreeSet<String> = wanted.difference(&there).cloned().collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let me: String = loader.query_one("SELECT current_user::text", &[]).await.map_err(failed)?.get(0);
    let mut text = String::new();
    for role in missing.iter().map(|r| sql::ident(r)) {
        text.push_str(&format!("CREATE ROLE {role} NOLOGIN;\n"));
        if administrator.is_some() {
            text.push_str(&format!("GRANT {role} TO {};\n", sql::ident(&me)));
        }
    }
    client.batch_execute(&text).await.map_err(failed)?;
    Ok(missing)
}

/// The server's own words for an error.
pub fn text(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned())
}
