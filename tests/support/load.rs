//! Running scripts as psql does: statement by statement, each in a transaction of its own unless the script begins one.

use super::server::{Bench, message, session};
use plumb::pg::Session;

/// Why a script does not load.
#[derive(Clone, Debug)]
pub struct Refused {
    pub sql: String,
    pub message: String,
    pub code: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in: {}", self.message, self.sql.trim().lines().next().unwrap_or_default())
    }
}

/// Runs a script.
pub async fn run(session: &Session, sql: &str) -> Result<(), Refused> {
    let parts = pg_query::split_with_parser(sql).or_else(|_| pg_query::split_with_scanner(sql)).unwrap_or_else(|_| vec![sql]);
    for part in parts {
        let text = shared(part);
        if let Err(e) = session.client.batch_execute(&text).await {
            let code = e.code().map(|c| c.code().to_owned()).unwrap_or_default();
            return Err(Refused { sql: part.to_owned(), message: message(&e), code });
        }
    }
    Ok(())
}

/// Roles belong to the whole server: a script that creates one finds it there when another has done so.
fn shared(statement: &str) -> String {
    let head: Vec<&str> = statement.split_whitespace().take(2).collect();
    let is = |i: usize, words: &[&str]| head.get(i).is_some_and(|h| words.iter().any(|w| h.eq_ignore_ascii_case(w)));
    if is(0, &["create"]) && is(1, &["role", "user", "group"]) && !statement.to_lowercase().contains("user mapping") {
        return format!(
            "DO $plumb$ BEGIN {statement}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $plumb$"
        );
    }
    statement.to_owned()
}

/// A new database that holds what the scripts make, one after another. What two threads do to roles at the same moment may
/// collide; then once more.
pub async fn fresh(bench: &Bench, scripts: &[&str]) -> Result<String, Refused> {
    let mut attempt = 0;
    loop {
        let name = bench.create().await;
        let loading = session(&name).await;
        let mut result = Ok(());
        for script in scripts {
            result = run(&loading, script).await;
            if result.is_err() {
                break;
            }
        }
        loading.close().await;
        match result {
            Ok(()) => return Ok(name),
            Err(refused) => {
                bench.drop(&name).await;
                attempt += 1;
                let collision = refused.message.contains("concurrently updated") || refused.message.contains("pg_authid");
                if !collision || attempt == 3 {
                    return Err(refused);
                }
            }
        }
    }
}
