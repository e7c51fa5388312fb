//! What a superuser runs on a copy: statements of a few kinds, told by PostgreSQL's own parser, each by itself. Everything else of a
//! plan, whose expressions and bodies may be a stranger's, runs as the loading role.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableType, ObjectType, RoleSpec, RoleSpecType};
use tokio_postgres::{Client, Error};

use crate::apply::run::server_message;
use crate::plan::PlanStep;
use crate::shadow::{self, BOOTSTRAP, Hushed, Scratch, adopt, as_superuser};
use crate::source::screen::new_owners;

/// What the statements may begin with that are looked at closely.
const WORDS: &[&str] = &[
    "CREATE EXTENSION",
    "COMMENT ON EXTENSION",
    "ALTER EXTENSION",
    "DROP EXTENSION",
    "CREATE EVENT TRIGGER",
    "ALTER EVENT TRIGGER",
    "DROP EVENT TRIGGER",
    "COMMENT ON EVENT TRIGGER",
];

/// Whether a superuser has to run it where the live database has run it as one. Names, texts and expressions in it are no reason; what
/// was edited by hand may be anything, and is none.
pub fn needs(scratch: &Scratch, step: &PlanStep, sql: &str) -> bool {
    let old = scratch.session.version.0 < 150_000 && scratch.administrator.user == BOOTSTRAP;
    let may = WORDS.iter().any(|w| sql.starts_with(w))
        || sql.starts_with("ALTER ") && sql.contains(" OWNER TO ")
        || old && sql.contains(" ON SCHEMA public ");
    may && !step.edited && alone(sql).is_some_and(|node| is_listed(&node) || old && is_on_public(&node))
}

/// The statement, if the text is exactly one.
fn alone(sql: &str) -> Option<NodeEnum> {
    let mut statements = pg_query::parse(sql, 0).ok()?.protobuf.stmts;
    let node = statements.pop()?.stmt?.node?;
    statements.is_empty().then_some(node)
}

fn is_listed(node: &NodeEnum) -> bool {
    use NodeEnum as N;
    let ours = |kind: ObjectType| matches!(kind, ObjectType::ObjectExtension | ObjectType::ObjectEventTrigger);
    match node {
        N::CreateExtensionStmt(_) | N::AlterExtensionStmt(_) | N::CreateEventTrigStmt(_) | N::AlterEventTrigStmt(_) => true,
        N::AlterOwnerStmt(_) => true,
        N::AlterTableStmt(s) => {
            s.cmds.iter().all(|c| matches!(&c.node, Some(N::AlterTableCmd(c)) if c.subtype() == AlterTableType::AtChangeOwner))
        }
        N::CommentStmt(s) => ours(s.objtype()),
        N::DropStmt(s) => ours(s.remove_type()),
        N::RenameStmt(s) => ours(s.rename_type()),
        N::AlterObjectSchemaStmt(s) => ours(s.object_type()),
        _ => false,
    }
}

/// What only the owner of the schema `public` may say of it: before 15 that is not the database's.
fn is_on_public(node: &NodeEnum) -> bool {
    let public = |n: &pg_query::Node| matches!(&n.node, Some(NodeEnum::String(s)) if s.sval == "public");
    match node {
        NodeEnum::CommentStmt(s) => s.objtype() == ObjectType::ObjectSchema && s.object.as_deref().is_some_and(public),
        NodeEnum::GrantStmt(s) => s.objtype() == ObjectType::ObjectSchema && s.objects.iter().all(public),
        _ => false,
    }
}

/// Whether it does nothing but give something another name or place, which works out no expression.
pub fn is_rename(sql: &str) -> bool {
    matches!(alone(sql), Some(NodeEnum::RenameStmt(_) | NodeEnum::AlterObjectSchemaStmt(_)))
}

/// A routine in a language, or an aggregate over a type, that only a superuser may use: one that is not edited by hand.
pub fn is_superusers_routine(step: &PlanStep, sql: &str, code: &str) -> bool {
    matches!(code, "42501" | "42P13") && !step.edited && alone(sql).is_some_and(|node| is_routine(&node))
}

fn is_routine(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::CreateFunctionStmt(_) => true,
        NodeEnum::DefineStmt(s) => s.kind() == ObjectType::ObjectAggregate,
        _ => false,
    }
}

/// Why the administrator has not run a statement.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The server's words, or what stands for them.
    pub message: String,
    /// The server's error code; empty where it was not asked.
    pub code: String,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        let (message, code) = server_message(&error);
        Refused { message, code }
    }
}

/// A statement that the administrator is about to run; event triggers are silent meanwhile.
pub struct Ready {
    /// What to send.
    pub batch: String,
    hushed: Option<Hushed>,
}

/// Makes a statement ready.
///
/// # Errors
/// What the server says, or that an object would come to belong to a role that nothing of a stranger's may belong to.
pub async fn ready(scratch: &Scratch, sql: &str) -> Result<Ready, Refused> {
    let node = alone(sql);
    let owners = node.as_ref().map(new_owners).unwrap_or_default();
    if let Some(role) = powerful(scratch, &owners).await? {
        let message = format!("nothing is given to {role}, which may do more on the shadow's server than load a schema");
        return Err(Refused { message, code: String::new() });
    }
    let statement = match (&node, owners.first()) {
        // in a private cluster nobody else is a superuser, as an event trigger's owner has to be
        (Some(NodeEnum::AlterOwnerStmt(s)), Some(owner))
            if s.object_type() == ObjectType::ObjectEventTrigger && scratch.administrator.user == BOOTSTRAP =>
        {
            as_superuser(&crate::sql::ident(&owner.rolename), &format!("{sql};"))
        }
        _ => sql.to_owned(),
    };
    let hushed = match node.as_ref().is_some_and(is_about_event_triggers) {
        true => None,
        false => Some(shadow::hush(&scratch.administrator.client).await?),
    };
    let batch = format!("SET search_path = pg_catalog, pg_temp; SET check_function_bodies = off; {statement}");
    Ok(Ready { batch, hushed })
}

/// Runs one statement as administrator.
///
/// # Errors
/// As [`ready`].
pub async fn run(scratch: &Scratch, sql: &str) -> Result<(), Refused> {
    let ready = ready(scratch, sql).await?;
    let client = &scratch.administrator.client;
    let mut done = client.batch_execute(&ready.batch).await;
    if done.is_ok() {
        done = made(scratch, sql).await;
    }
    Ok(ready.restore(client).await.and(done)?)
}

/// Where the plan runs, who runs it owns what it makes.
pub async fn made(scratch: &Scratch, sql: &str) -> Result<(), Error> {
    if sql.starts_with("CREATE ") { adopt(&scratch.administrator.client, &scratch.session.user).await } else { Ok(()) }
}

impl Ready {
    /// Event triggers are as they were.
    pub async fn restore(self, client: &Client) -> Result<(), Error> {
        match self.hushed {
            Some(hushed) => shadow::restore(client, hushed).await,
            None => Ok(()),
        }
    }
}

/// No event trigger fires for what is about one, and one that is changed must not be put back.
fn is_about_event_triggers(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::CreateEventTrigStmt(_) | NodeEnum::AlterEventTrigStmt(_) => true,
        NodeEnum::DropStmt(s) => s.remove_type() == ObjectType::ObjectEventTrigger,
        NodeEnum::RenameStmt(s) => s.rename_type() == ObjectType::ObjectEventTrigger,
        NodeEnum::AlterOwnerStmt(s) => s.object_type() == ObjectType::ObjectEventTrigger,
        _ => false,
    }
}

/// The first of these roles that a stranger's function must not belong to.
async fn powerful(scratch: &Scratch, owners: &[&RoleSpec]) -> Result<Option<String>, Error> {
    if owners.is_empty() {
        return Ok(None);
    }
    let named = |r: &&&RoleSpec| r.roletype() == RoleSpecType::RolespecCstring;
    if let Some(other) = owners.iter().find(|r| !named(r)) {
        return Ok(Some(format!("{:?}", other.roletype())));
    }
    let names = || owners.iter().map(|r| &r.rolename);
    if scratch.administrator.user == BOOTSTRAP {
        // a private cluster has no other powerful roles
        let own = |name: &&String| *name == BOOTSTRAP || name.starts_with("pg_") && *name != "pg_database_owner";
        return Ok(names().find(own).cloned());
    }
    let powerful = shadow::powerful(&scratch.administrator.client, &scratch.session.user).await?;
    Ok(names().find(|name| powerful.contains(*name)).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_texts_make_nothing_the_administrators() {
        let listed = |sql: &str| alone(sql).is_some_and(|node| is_listed(&node));
        assert!(listed("ALTER TABLE s.t OWNER TO x"));
        assert!(listed("ALTER FUNCTION s.f(integer) OWNER TO x"));
        assert!(listed("COMMENT ON EXTENSION citext IS 'ALTER TABLE'"));
        assert!(listed("ALTER EXTENSION citext SET SCHEMA s"));
        assert!(!listed("ALTER TABLE s.t ADD COLUMN a text DEFAULT s.f(' OWNER TO '::text)"));
        assert!(!listed("ALTER TABLE s.t OWNER TO x, ADD COLUMN a text DEFAULT s.f()"));
        assert!(!listed("ALTER TABLE s.t OWNER TO x; SELECT s.f()"));
        assert!(!listed("CREATE EXTENSION citext; SELECT s.f()"));
        let routine = |sql: &str| alone(sql).is_some_and(|node| is_routine(&node));
        assert!(!routine("CREATE OR REPLACE VIEW v AS SELECT 1"));
        assert!(routine("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE c AS 'x'"));
    }
}
