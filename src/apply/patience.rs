//! How a transaction of a plan takes locks when it needs several. Whoever holds what it wants may want what it holds: the server ends
//! one of the two a second after one began to wait (`deadlock_timeout`), be it plumb or not. So plumb takes its locks at the
//! beginning, one right after the other, in an order that is another one each time, and waits for the second and those after it for
//! less than that second: then it gives up, and tries again.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::{Client, Error};

use super::run::{Settings, StepFailed, chance, failed};
use crate::plan::{Group, PlanStep};
use crate::statement::LockMode;

/// The longest wait for a lock under another one that keeps others waiting: half of PostgreSQL's own `deadlock_timeout`.
const SECOND: Duration = Duration::from_millis(500);

/// Those of the tables that may be locked by name: what is not the role's own it may change in some ways, and not lock.
const OWN: &str = "SELECT r FROM pg_catalog.unnest($1::pg_catalog.text[]) AS r JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(r) \
     WHERE c.relkind IN ('r', 'p') AND pg_catalog.pg_has_role(c.relowner, 'USAGE')";

/// What a transaction is like so far. By itself it waits as it is set to.
#[derive(Default)]
pub(super) struct Patience {
    /// Whether it may still wait for as long as the settings say, and that is longer.
    is_long: bool,
    /// Whether it holds a lock that keeps others waiting.
    holds: bool,
}

impl Patience {
    /// At the beginning of the transaction of a group. Where its steps lock several tables and are brief it takes their locks: in a long
    /// one the last table would be locked for as long.
    ///
    /// # Errors
    /// When a table cannot be locked in time, or the server is lost.
    pub(super) async fn begin(client: &Client, group: &Group, settings: Settings<'_>) -> Result<Patience, StepFailed> {
        let is_long = settings.lock_timeout.is_some_and(|t| t.is_zero() || t > SECOND);
        let patience = Patience { is_long, holds: false };
        let Some(first) = group.steps.first().filter(|_| settings.lock_timeout.is_some()) else { return Ok(patience) };
        let mut statements = locks(client, group).await.map_err(|e| failed(first, "LOCK TABLE", &e))?;
        if statements.len() < 2 {
            return Ok(patience);
        }
        if is_long {
            statements.insert(1, shorter());
        }
        let sql = statements.join("; ");
        client.batch_execute(&sql).await.map_err(|e| failed(first, &sql, &e))?;
        Ok(Patience { is_long: false, holds: true })
    }

    /// Before a statement of a step: the wait is cut when it would be one for a second lock, in this statement or after others.
    ///
    /// # Errors
    /// When the server is lost.
    pub(super) async fn before(&mut self, client: &Client, step: &PlanStep) -> Result<(), StepFailed> {
        let strong = step.locks.iter().filter(|lock| lock.mode.blocks_writes()).count();
        if self.is_long && (strong > 1 || self.holds && strong > 0) {
            client.batch_execute(&shorter()).await.map_err(|e| failed(step, "SET", &e))?;
            self.is_long = false;
        }
        self.holds |= strong > 0;
        Ok(())
    }
}

fn shorter() -> String {
    format!("SET LOCAL lock_timeout = {}", SECOND.as_millis())
}

/// The statements that lock the tables of a brief group, beginning with another one each time.
async fn locks(client: &Client, group: &Group) -> Result<Vec<String>, Error> {
    let mut modes: BTreeMap<&str, LockMode> = BTreeMap::new();
    for lock in group.steps.iter().flat_map(|s| &s.locks).filter(|l| l.mode.blocks_writes()) {
        let mode = modes.entry(&lock.relation).or_insert(lock.mode);
        *mode = lock.mode.max(*mode);
    }
    let is_long = |s: &PlanStep| !s.rewrites.is_empty() || !s.scans.is_empty();
    if modes.len() < 2 || group.steps.iter().any(is_long) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = modes.keys().copied().collect();
    let own = client.query(OWN, &[&names]).await?;
    let statement = |table: &str| modes.get(table).map(|mode| format!("LOCK TABLE ONLY {table} IN {mode} MODE"));
    let mut statements: Vec<String> = own.iter().filter_map(|row| statement(row.get(0))).collect();
    let places = statements.len().max(1);
    statements.rotate_left(chance() as usize % places);
    Ok(statements)
}
