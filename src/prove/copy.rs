//! A schema-only copy of a catalog in an empty scratch database, made by plumb's own plan from nothing.

use crate::apply::run::{StepFailed, run_group_fast, server_message};
use crate::catalog::Catalog;
use crate::introspect::{IntrospectError, introspect};
use crate::plan::{Group, MakeError, PlanStep, Sides, make_bare};
use crate::shadow::{BOOTSTRAP, Scratch, adopt, as_superuser};

/// Why no copy could be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// No plan leads there from nothing.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The server refused a step; most often something rests on an object that plumb does not manage.
    #[error("{object} cannot be built: {message}")]
    Step {
        /// The object.
        object: String,
        /// The server's words.
        message: String,
    },
}

/// Builds `catalog` in the scratch database.
///
/// # Errors
/// The outer error when the scratch database cannot be read; the inner one when the catalog cannot be built.
pub async fn copy(scratch: &Scratch, catalog: &Catalog) -> Result<Result<(), CopyError>, IntrospectError> {
    let empty = introspect(&scratch.session).await?;
    let sides = Sides::new(empty, catalog, &["*".to_owned()]);
    // The server may have other work meanwhile.
    let groups = match tokio::task::spawn_blocking(move || make_bare(&sides)).await {
        Ok(Ok(groups)) => groups,
        Ok(Err(e)) => return Ok(Err(e.into())),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    for group in &groups {
        if let Err(failed) = run_as(scratch, group).await {
            return Ok(Err(CopyError::Step { object: failed.object, message: failed.message }));
        }
    }
    Ok(Ok(()))
}

/// Statements that a superuser has to run where the live database has run them as one: plumb writes all of them itself.
fn needs_administrator(scratch: &Scratch, sql: &str) -> bool {
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
    WORDS.iter().any(|w| sql.starts_with(w))
        || sql.starts_with("ALTER ") && sql.contains(" OWNER TO ")
        || is_on_public(sql) && scratch.session.version.0 < 150_000 && scratch.administrator.user == BOOTSTRAP
}

/// What only the owner of the schema `public` may say of it: before 15 that is not the database's.
fn is_on_public(sql: &str) -> bool {
    let rest = sql.strip_prefix("COMMENT").or_else(|| ["GRANT ", "REVOKE "].iter().find_map(|w| sql.strip_prefix(w)));
    // privileges are words without quotes: what follows them is the first object
    let schema = rest.and_then(|r| r.find(" ON ").map(|at| &r[at..]));
    schema.is_some_and(|s| s.starts_with(" ON SCHEMA public "))
}

/// Runs a group as the loading role, and as the administrator what only one may do; those statements cut the group. What was edited
/// by hand may be anything: no administrator runs it.
pub async fn run_as(scratch: &Scratch, group: &Group) -> Result<(), StepFailed> {
    if !group.steps.iter().filter(|s| !s.edited).flat_map(|s| &s.sql).any(|sql| needs_administrator(scratch, sql)) {
        return match run_group_fast(&scratch.session.client, group).await {
            Err(e) if matches!(e.code.as_str(), "42501" | "42P13") => one_by_one(scratch, group).await,
            other => other,
        };
    }
    one_by_one(scratch, group).await
}

async fn one_by_one(scratch: &Scratch, group: &Group) -> Result<(), StepFailed> {
    let mut pending = Group { id: group.id, transactional: group.transactional, after: None, steps: Vec::new() };
    for step in &group.steps {
        let mut part = PlanStep { sql: Vec::new(), ..step.clone() };
        for sql in &step.sql {
            if step.edited || !needs_administrator(scratch, sql) {
                part.sql.push(sql.clone());
                continue;
            }
            pending.steps.push(part.clone());
            part.sql.clear();
            flush(scratch, &mut pending).await?;
            as_administrator(scratch, step, sql).await?;
        }
        pending.steps.push(part);
    }
    flush(scratch, &mut pending).await
}

/// Runs what has gathered; a routine in a language that only a superuser may use is made by the administrator.
async fn flush(scratch: &Scratch, pending: &mut Group) -> Result<(), StepFailed> {
    loop {
        pending.steps.retain(|s| !s.sql.is_empty());
        if pending.steps.is_empty() {
            return Ok(());
        }
        match run_group_fast(&scratch.session.client, pending).await {
            Ok(()) => {
                pending.steps.clear();
                return Ok(());
            }
            Err(e) if superusers_routine(&e) => {
                let at = pending.steps.iter().position(|s| s.id == e.step).unwrap_or(0);
                if pending.steps.get(at).is_some_and(|s| s.edited) {
                    return Err(e);
                }
                let rest = pending.steps.split_off(at);
                let before = Group { steps: std::mem::take(&mut pending.steps), ..pending.clone() };
                run_group_fast(&scratch.session.client, &before).await?;
                pending.steps = rest;
                let Some(step) = pending.steps.first_mut() else { return Err(e) };
                step.sql.retain(|sql| *sql != e.sql);
                let step = step.clone();
                as_administrator(scratch, &step, &e.sql).await?;
            }
            Err(e) => return Err(e),
        }
    }
}

/// A routine in a language, or an aggregate over a type, that only a superuser may use.
fn superusers_routine(failed: &StepFailed) -> bool {
    let routine = ["CREATE OR REPLACE ", "CREATE AGGREGATE "].iter().any(|w| failed.sql.starts_with(w));
    routine && matches!(failed.code.as_str(), "42501" | "42P13")
}

async fn as_administrator(scratch: &Scratch, step: &PlanStep, sql: &str) -> Result<(), StepFailed> {
    let statement = match sql.split_once(" OWNER TO ") {
        // in a private cluster nobody else is a superuser, as an event trigger's owner has to be
        Some((what, owner)) if what.starts_with("ALTER EVENT TRIGGER ") && scratch.administrator.user == BOOTSTRAP => {
            as_superuser(owner, &format!("{sql};"))
        }
        _ => sql.to_owned(),
    };
    let batch = format!("SET search_path = pg_catalog; SET check_function_bodies = off; {statement}");
    let done = async {
        scratch.administrator.client.batch_execute(&batch).await?;
        // where the plan runs, who runs it owns what it makes
        if sql.starts_with("CREATE ") { adopt(&scratch.administrator.client, &scratch.session.user).await } else { Ok(()) }
    };
    done.await.map_err(|e| {
        let (message, code) = server_message(&e);
        StepFailed { step: step.id, object: step.object.to_string(), sql: sql.to_owned(), message, code, unfinished: false }
    })
}
