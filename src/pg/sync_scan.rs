//! How far a sequential scan of a large table is.
//!
//! No view of the server tells that of a scan, such as the one that a validation makes. But of a table that is larger than a quarter of
//! `shared_buffers` the server notes the block that a scan has come to, so that the next one begins there and both read the same
//! blocks (`synchronize_seqscans`, manual: 20.13.1). A query for one row, whichever comes first, is such a next one: where it begins,
//! the others are. What it does not know is whose scan that is: of two, it sees one.

use std::collections::BTreeSet;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use crate::sql::literal;

/// Where the scans of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncScan {
    /// The table, by the name that was asked for.
    pub relation: String,
    /// The block that they have come to.
    pub block: u64,
    /// How many there are. A scan begins anywhere, and goes on at the first block when it comes to the last.
    pub blocks: u64,
    /// About how many rows they hold, when that is known (`pg_class.reltuples`).
    pub rows: Option<u64>,
}

/// More tables than that are not asked about.
const MOST: usize = 64;

/// Nobody waits for who only looks: neither who has the table locked, nor who wants it.
const BRIEFLY: &str = "SET LOCAL lock_timeout = '50ms'; SET LOCAL statement_timeout = '500ms'; ";

/// One row comes from the scan itself, not from an index that is cheaper.
const FROM_THE_SCAN: &str = "SET LOCAL synchronize_seqscans = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; \
     SET LOCAL max_parallel_workers_per_gather = 0; ";

/// The tables of `$names` whose scans the server notes, and that can be asked without waiting and without their policies being
/// run. What is locked is left out first: `pg_relation_size` waits for locks.
const LARGE: &str = "WITH free AS MATERIALIZED (\
       SELECT asked.name, c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation, c.reltuples \
         FROM pg_catalog.unnest($names) AS asked (name) \
         JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(asked.name) \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence <> 't' \
          AND NOT pg_catalog.row_security_active(c.oid) AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')), \
     sized AS (\
       SELECT name, relation, reltuples, \
              pg_catalog.pg_relation_size(oid) / pg_catalog.current_setting('block_size')::bigint AS blocks FROM free) \
     SELECT name, relation, blocks, CASE WHEN reltuples > 0 THEN reltuples::bigint END FROM sized \
      WHERE blocks > (SELECT setting::bigint / 4 FROM pg_catalog.pg_settings WHERE name = 'shared_buffers') \
      ORDER BY blocks DESC";

/// Where the scans of these tables are; of those that are too small, locked, or not to be read, nothing.
///
/// # Errors
/// When the server cannot be asked, or somebody has locked a table meanwhile.
pub async fn sync_scans(client: &Client, relations: &BTreeSet<&String>) -> Result<Vec<SyncScan>, Error> {
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = relations.iter().map(|name| literal(name)).collect();
    let large = LARGE.replace("$names", &format!("ARRAY[{}]::text[]", names.join(", ")));
    // One message is one transaction: whatever becomes of it, no lock stays.
    let tables = rows(client.simple_query(&format!("{BRIEFLY}{large}")).await?);
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let one = |(at, table): (usize, &SimpleQueryRow)| {
        format!("SELECT {at}, ctid FROM ONLY {} LIMIT 1", table.get(1).unwrap_or_default())
    };
    let all: Vec<String> = tables.iter().take(MOST).enumerate().map(one).collect();
    let found = rows(client.simple_query(&format!("{BRIEFLY}{FROM_THE_SCAN}{}", all.join("; "))).await?);
    Ok(found.iter().filter_map(|row| position(row, &tables)).collect())
}

fn rows(answer: Vec<SimpleQueryMessage>) -> Vec<SimpleQueryRow> {
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    answer.into_iter().filter_map(row).collect()
}

fn position(row: &SimpleQueryRow, tables: &[SimpleQueryRow]) -> Option<SyncScan> {
    let table = tables.get(row.get(0)?.parse::<usize>().ok()?)?;
    let number = |at: usize| table.get(at)?.parse().ok();
    Some(SyncScan { relation: table.get(0)?.to_owned(), block: block(row.get(1)?)?, blocks: number(2)?, rows: number(3) })
}

/// The block of a `ctid`: `(5168,1)`.
fn block(ctid: &str) -> Option<u64> {
    ctid.strip_prefix('(')?.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ctid_names_its_block() {
        assert_eq!([block("(5168,1)"), block("(0,12)"), block(""), block("5168")], [Some(5168), Some(0), None, None]);
    }
}
