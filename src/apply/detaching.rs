//! DETACH PARTITION CONCURRENTLY (manual: ALTER TABLE), which is two transactions with a wait between them. Broken off there it leaves a partition that is
//! detached halfway, and only FINALIZE brings that to its end. So it is looked at what is there before each try.

use tokio_postgres::{Client, Error};

use crate::plan::PlanStep;

const CONCURRENTLY: &str = " CONCURRENTLY";

/// How a partition stands to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As a partition.
    Attached,
    /// Detached halfway: queries of the table pass it by.
    Halfway,
    /// On its own.
    Detached,
}

/// The partition that a step detaches concurrently, as a SQL name, and the statement that does.
pub fn of(step: &PlanStep) -> Option<(&str, &str)> {
    let ends = |sql: &str, child: &str| sql.ends_with(&format!(" DETACH PARTITION {child}{CONCURRENTLY}"));
    let relations = step.locks.iter().map(|l| l.relation.as_str());
    let found = |sql: &'_ str| relations.clone().find(|child| ends(sql, child));
    step.sql.iter().find_map(|sql| Some((found(sql)?, sql.as_str())))
}

/// How it stands now. One that is gone is on its own.
///
/// # Errors
/// When the server cannot be asked.
pub async fn standing(client: &Client, partition: &str) -> Result<Standing, Error> {
    let query = "SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhrelid = pg_catalog.to_regclass($1)";
    let row = client.query_opt(query, &[&partition]).await?;
    Ok(match row.map(|row| row.try_get(0)).transpose()? {
        None => Standing::Detached,
        Some(false) => Standing::Attached,
        Some(true) => Standing::Halfway,
    })
}

/// What is left to do of the statement.
pub fn left(sql: &str, standing: Standing) -> Option<String> {
    match standing {
        Standing::Attached => Some(sql.to_owned()),
        Standing::Halfway => Some(format!("{} FINALIZE", sql.strip_suffix(CONCURRENTLY).unwrap_or(sql))),
        Standing::Detached => None,
    }
}
