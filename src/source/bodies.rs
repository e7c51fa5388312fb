//! Checks the bodies of routines, which were loaded unread: each language's validator, with `check_function_bodies` on.

use super::files::Place;
use super::lexer::{Kind, tokens};
use super::name::{Class, Name};
use super::problem::Problem;
use super::read::Statement;
use super::send::{ServerError, send};
use crate::shadow::STATEMENT_TIMEOUT;
use crate::sql;
use std::collections::BTreeMap;
use tokio_postgres::Client;

const ROUTINES: &str = "
SELECT p.oid, n.nspname::text, p.proname::text,
       pg_catalog.quote_ident(vn.nspname) || '.' || pg_catalog.quote_ident(v.proname),
       ARRAY(SELECT CASE WHEN t.typcategory = 'A' AND t.typelem <> 0
                         THEN (SELECT e.typname FROM pg_catalog.pg_type e WHERE e.oid = t.typelem)::text || '[]'
                         ELSE t.typname::text END
             FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY a (type, n)
             JOIN pg_catalog.pg_type t ON t.oid = a.type ORDER BY a.n),
       (SELECT pg_catalog.substr(c, 13) FROM pg_catalog.unnest(p.proconfig) c WHERE c LIKE 'search\\_path=%'),
       p.prokind = 'p'
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
JOIN pg_catalog.pg_proc v ON v.oid = l.lanvalidator
JOIN pg_catalog.pg_namespace vn ON vn.oid = v.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('internal', 'c') AND p.prosqlbody IS NULL
  AND p.prokind <> 'a'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 2, 3, 1";

const SCHEMAS: &str =
    "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1";

struct Routine {
    oid: u32,
    name: Name,
    validator: String,
    path: Option<String>,
    procedure: bool,
}

const BATCH: usize = 500;

impl Routine {
    /// The call of its validator under a search path; `place` is where it stands in the list.
    fn check(&self, place: usize, path: String) -> Check {
        Check { path, routine: place, sql: format!("SELECT {}({})", self.validator, self.oid) }
    }

    fn identity(&self) -> String {
        let kind = if self.procedure { "procedure" } else { "function" };
        format!("{kind} {}({})", sql::qualified(&self.name.parts), self.name.args.join(", "))
    }
}

fn lost(error: &tokio_postgres::Error) -> Problem {
    Problem::general("source::connection", format!("cannot check bodies: {}", super::roles::text(error)))
}

async fn routines(client: &Client) -> Result<Vec<Routine>, Problem> {
    let rows = client.query(ROUTINES, &[]).await.map_err(|e| lost(&e))?;
    let routine = |r: &tokio_postgres::Row| Routine {
        oid: r.get(0),
        name: Name { class: Class::Routine, parts: vec![r.get(1), r.get(2)], args: r.get(4) },
        validator: r.get(3),
        path: r.get(5),
        procedure: r.get(6),
    };
    Ok(rows.iter().map(routine).collect())
}

/// The routines of a database whose bodies their languages do not accept, with the server's words. Who calls a routine that
/// sets no search path is not known: it counts only when neither its own schema first nor all of them make it good.
///
/// # Errors
/// When the server cannot be asked. The session's search path and `check_function_bodies` are changed afterwards.
pub async fn broken(client: &Client) -> Result<BTreeMap<String, String>, Problem> {
    let routines = routines(client).await?;
    let rows = client.query(SCHEMAS, &[]).await.map_err(|e| lost(&e))?;
    let schemas: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
    let path = |first: &[&str]| {
        let rest = schemas.iter().map(String::as_str).filter(|s| !first.contains(s));
        sql::idents(&first.iter().copied().chain(rest).map(str::to_owned).collect::<Vec<_>>())
    };
    let own = |r: &Routine| r.path.clone().unwrap_or_else(|| path(&[&r.name.parts[0], "public"]));
    let failed = run(client, routines.iter().enumerate().map(|(i, r)| r.check(i, own(r))).collect()).await?;
    let free = failed.iter().filter(|(i, _)| routines[*i].path.is_none());
    let still = run(client, free.map(|(i, _)| routines[*i].check(*i, path(&["public"]))).collect()).await?;
    let real = |i: &usize| routines[*i].path.is_some() || still.iter().any(|(j, _)| j == i);
    let list = failed.into_iter().filter(|(i, e)| e.code != "42501" && real(i));
    Ok(list.map(|(i, e)| (routines[i].identity(), e.message)).collect())
}

/// Every body that its language does not accept, at its line.
pub async fn check(client: &Client, statements: &[Statement]) -> Result<Vec<Problem>, Problem> {
    let routines = routines(client).await?;
    let check = |i: usize, path: String| routines[i].check(i, path);
    let path = |r: &Routine| r.path.clone().unwrap_or_else(|| file_path(definition(statements, &r.name)));
    let failed = run(client, routines.iter().enumerate().map(|(i, r)| check(i, path(r))).collect()).await?;
    // the search path of the callers is not known (a dump has none): what a wider one heals is no error
    let wide = wide_path(statements);
    let free = failed.iter().filter(|(i, _)| routines[*i].path.is_none());
    let still = run(client, free.map(|(i, _)| check(*i, wide.clone())).collect()).await?;
    client.batch_execute("SET check_function_bodies = off").await.map_err(|e| lost(&e))?;
    let real = |i: &usize| routines[*i].path.is_some() || still.iter().any(|(j, _)| j == i);
    let real = failed.iter().filter(|(i, _)| real(i));
    Ok(real.map(|(i, error)| problem(&routines[*i], definition(statements, &routines[*i].name), error)).collect())
}

/// One validator's call, under a search path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Check {
    path: String,
    routine: usize,
    sql: String,
}

/// Runs all checks; returns the routines that failed.
async fn run(client: &Client, mut checks: Vec<Check>) -> Result<Vec<(usize, ServerError)>, Problem> {
    // one path after the other: few SETs, and the same order every time
    checks.sort();
    let mut failed = Vec::new();
    let mut from = 0;
    while from < checks.len() {
        let to = (from + BATCH).min(checks.len());
        match batch(client, &checks[from..to]).await? {
            None => from = to,
            Some((n, error)) => {
                failed.push((checks[from + n].routine, error));
                from += n + 1;
            }
        }
    }
    Ok(failed)
}

/// `public` and every schema of the files.
fn wide_path(statements: &[Statement]) -> String {
    let mut schemas = vec!["public".to_owned()];
    for name in statements.iter().flat_map(|s| &s.hints.defines).map(|d| &d.name) {
        if (name.class == Class::Schema || name.parts.len() > 1) && !schemas.contains(&name.parts[0]) {
            schemas.push(name.parts[0].clone());
        }
    }
    sql::idents(&schemas)
}

async fn batch(client: &Client, checks: &[Check]) -> Result<Option<(usize, ServerError)>, Problem> {
    let mut parts = vec!["SET check_function_bodies = on".to_owned()];
    let mut owner = vec![0];
    let mut current = None;
    for (i, Check { path, sql, .. }) in checks.iter().enumerate() {
        if current != Some(path) {
            parts.push(format!("SET search_path = {}", if path.is_empty() { "''" } else { path }));
            owner.push(i);
            current = Some(path);
        }
        parts.push(sql.clone());
        owner.push(i);
    }
    match send(client, &parts, STATEMENT_TIMEOUT, None).await {
        Ok(()) => Ok(None),
        Err(Ok(stopped)) => Ok(Some((owner[stopped.part], stopped.error))),
        Err(Err(lost)) => Err(Problem::general("source::connection", lost.to_string())),
    }
}

/// The last statement that defines the routine.
fn definition<'a>(statements: &'a [Statement], name: &Name) -> Option<&'a Statement> {
    let by =
        |test: &dyn Fn(&Name) -> bool| statements.iter().rev().find(|s| s.hints.defines.first().is_some_and(|d| test(&d.name)));
    by(&|n| n == name).or_else(|| by(&|n| n.class == Class::Routine && n.parts == name.parts && n.args.len() == name.args.len()))
}

fn file_path(statement: Option<&Statement>) -> String {
    statement.map_or_else(|| "public".to_owned(), |s| sql::idents(&s.settings.path))
}

fn problem(routine: &Routine, statement: Option<&Statement>, error: &ServerError) -> Problem {
    let kind = if routine.procedure { "procedure" } else { "function" };
    let message = format!("{kind} {}: {}", sql::qualified(&routine.name.parts), error.message);
    let mut p = Problem::general("source::function_body", message);
    p.label = error.detail.clone().unwrap_or_else(|| "the body is not accepted".to_owned());
    p.help.clone_from(&error.hint);
    p.place = statement.map(|s| place(s, error));
    p
}

fn place(statement: &Statement, error: &ServerError) -> Place {
    let first = statement.hints.defines.first().map_or_else(|| statement.place.clone(), |d| d.place.clone());
    let Some((body, start)) = body(&statement.sql) else { return first };
    let at = match (&error.inside, error.context.as_deref().and_then(line_in)) {
        (Some((at, text)), _) if body.starts_with(text.as_str()) => *at,
        (Some((at, text)), _) if body.contains(text.as_str()) => body.find(text.as_str()).unwrap_or(0) + at,
        (_, Some(line)) => body.split_inclusive('\n').take(line - 1).map(str::len).sum(),
        _ => return first,
    };
    let at = at.min(body.len().saturating_sub(1));
    let rest = body.get(at..).unwrap_or("");
    let skip = rest.len() - rest.trim_start().len();
    let length = super::lexer::token(rest, skip).map_or(1, |t| t.span.end - skip);
    let start = statement.place.span.start + start + at + skip;
    Place::new(statement.place.file, start..start + length)
}

/// The text between the quotes after AS, and its byte in the statement.
pub fn body(sql: &str) -> Option<(&str, usize)> {
    let mut after_as = false;
    for token in tokens(sql) {
        let text = &sql[token.span.clone()];
        match token.kind {
            Kind::Word => after_as = text.eq_ignore_ascii_case("as"),
            Kind::Dollar if after_as => {
                let tag = text[1..].find('$')? + 2;
                return Some((&text[tag..text.len() - tag], token.span.start + tag));
            }
            Kind::Text(_) if after_as => {
                let open = text.find('\'')? + 1;
                return Some((&text[open..text.len() - 1], token.span.start + open));
            }
            _ => {}
        }
    }
    None
}

/// `... near line 5` or `... line 5 at SQL statement`: the line, from 1.
fn line_in(context: &str) -> Option<usize> {
    let after = context.rsplit_once("line ")?.1;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|n| *n > 0)
}
