//! Which conditions on rows may be asked although nobody has approved their expressions yet: those that only the server's own
//! immutable functions work out. Anything else that an expression calls may do whatever its author likes.

use std::collections::BTreeSet;
use tokio_postgres::{Client, Error};

use crate::body::{Calls, calls};
use crate::sql::qualified;
use crate::statement::RowCheck;

/// Stable ones that read nothing but the clock and the session's settings; they have immutable forms too, and which form is meant is
/// not told by the name.
const CLOCK: &[&str] = &["age", "date_part", "date_trunc", "extract", "now", "timezone", "to_char", "to_date", "to_timestamp"];

/// Of routines, those of `pg_catalog` that are immutable in all of their forms; of types, those that run nobody's code when
/// something becomes one: the server's own, and enums.
const HARMLESS: &str = "\
SELECT true, name FROM unnest($1::text[]) AS name
WHERE name = ANY ($3) OR (SELECT count(*) > 0 AND bool_and(p.provolatile = 'i') FROM pg_catalog.pg_proc p
    WHERE p.proname = name AND p.pronamespace = 'pg_catalog'::regnamespace)
UNION ALL SELECT false, name FROM unnest($2::text[]) AS name
WHERE EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = to_regtype(name)
    AND (t.typtype = 'e' OR t.typtype IN ('b', 'r', 'm') AND t.typnamespace = 'pg_catalog'::regnamespace))";

/// The places in the list of those conditions that may be asked.
///
/// # Errors
/// When the connection fails.
pub async fn harmless(client: &Client, checks: &[&RowCheck]) -> Result<BTreeSet<usize>, Error> {
    let called: Vec<(usize, Calls)> = checks
        .iter()
        .enumerate()
        .filter(|(_, check)| check.evaluates)
        .filter_map(|(at, check)| Some((at, calls(&check.query).filter(|c| !c.foreign)?)))
        .collect();
    if called.is_empty() {
        return Ok(BTreeSet::new());
    }
    let routines: BTreeSet<&String> = called.iter().flat_map(|(_, c)| &c.routines).collect();
    let types: BTreeSet<String> = called.iter().flat_map(|(_, c)| &c.types).map(|parts| qualified(parts)).collect();
    let (routines, types): (Vec<&String>, Vec<&String>) = (routines.into_iter().collect(), types.iter().collect());
    // Names that no schema is written for are those of pg_catalog, as when the conditions are asked.
    client.batch_execute("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog").await?;
    let found = client.query(HARMLESS, &[&routines, &types, &CLOCK]).await;
    client.batch_execute("ROLLBACK").await?;
    let known: BTreeSet<(bool, String)> = found?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let knows = |calls: &Calls| {
        calls.routines.iter().all(|name| known.contains(&(true, name.clone())))
            && calls.types.iter().all(|parts| known.contains(&(false, qualified(parts))))
    };
    Ok(called.into_iter().filter(|(_, calls)| knows(calls)).map(|(at, _)| at).collect())
}
