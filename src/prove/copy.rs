//! A schema-only copy of a catalog in an empty scratch database, made by plumb's own plan from nothing.

use super::{administrator, limit};
use crate::apply::run::{StepFailed, run_group_fast};
use crate::catalog::{Catalog, Object};
use crate::change::Scope;
use crate::introspect::{IntrospectError, introspect};
use crate::kind;
use crate::plan::{Group, MakeError, PlanStep, Sides, make_bare};
use crate::shadow::Scratch;
use crate::sql::{literal, qualified};

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
    let sides = Sides::within(empty, catalog, Scope::whole());
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
    Ok(oddities(scratch, catalog).await)
}

/// What no statement makes is so on the copy, too. What ends an interrupted detaching is refused for any other partition; partitions lack identities
/// or not by the order in which they came.
async fn oddities(scratch: &Scratch, catalog: &Catalog) -> Result<(), CopyError> {
    let table = |partition: &Object| format!("{}::pg_catalog.regclass", literal(&qualified(partition.id.name())));
    let halfway = kind::detaching(catalog).map(|partition| {
        let set = "UPDATE pg_catalog.pg_inherits SET inhdetachpending = true WHERE inhrelid";
        (partition, format!("{set} = {}", table(partition)))
    });
    let lacking = kind::lacking_identity(catalog).map(|(partition, columns)| {
        let names = columns.iter().map(|column| literal(column)).collect::<Vec<_>>().join(", ");
        let set = "UPDATE pg_catalog.pg_attribute SET attidentity = '' WHERE attrelid";
        (partition, format!("{set} = {} AND attname IN ({names})", table(partition)))
    });
    for (partition, sql) in halfway.chain(lacking) {
        let refused = |e: administrator::Refused| CopyError::Step { object: partition.id.to_string(), message: e.message };
        administrator::run(scratch, &sql).await.map_err(refused)?;
    }
    Ok(())
}

/// Runs a group as the loading role, and as the administrator what only one may do; those statements cut the group. What was edited
/// by hand may be anything: no administrator runs it.
///
/// # Errors
/// The step that failed, or that the group does not come to an end.
pub async fn run_as(scratch: &Scratch, group: &Group) -> Result<(), StepFailed> {
    let limit = limit::of(scratch.statement_timeout, group.steps.iter().map(|s| s.sql.len()).sum());
    let endless = || {
        let first = group.steps.first();
        StepFailed {
            step: first.map_or(0, |s| s.id),
            object: first.map_or_else(String::new, |s| format!("{}, the first of transaction {}", s.object, group.id)),
            sql: String::new(),
            message: format!("it does not come to an end within {} s, and there are no rows", limit.as_secs()),
            code: "57014".to_owned(),
            unfinished: false,
        }
    };
    limit::within(&[&scratch.session, &scratch.administrator], limit, in_turn(scratch, group)).await.ok_or_else(endless)?
}

async fn in_turn(scratch: &Scratch, group: &Group) -> Result<(), StepFailed> {
    if !group.steps.iter().any(|s| s.sql.iter().any(|sql| administrator::needs(scratch, s, sql))) {
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
            if !administrator::needs(scratch, step, sql) {
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
            Err(e) => {
                let at = pending.steps.iter().position(|s| s.id == e.step).unwrap_or(0);
                if !pending.steps.get(at).is_some_and(|s| administrator::is_superusers_routine(s, &e.sql, &e.code)) {
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
        }
    }
}

async fn as_administrator(scratch: &Scratch, step: &PlanStep, sql: &str) -> Result<(), StepFailed> {
    let failed = |administrator::Refused { message, code }| StepFailed::new(step, sql, message, code);
    administrator::run(scratch, sql).await.map_err(failed)
}
