//! What the relations of a live database hold, and which of them are published: estimates of the server, read in one query and
//! without a lock on any of them.

use std::collections::{BTreeMap, BTreeSet};

use super::IntrospectError;
use crate::catalog::{Catalog, Size, Usage};
use crate::pg;

/// Rows are the larger of what the last VACUUM or ANALYZE has seen and what was counted since. Where neither has counted, the file
/// tells whether there are any, unless somebody holds a lock that asking would wait for. Those of a partitioned table are its
/// partitions'.
const SIZES: &str = "WITH published AS MATERIALIZED (SELECT DISTINCT t.schemaname, t.tablename FROM pg_publication_tables t \
         JOIN pg_publication b ON b.pubname = t.pubname WHERE b.pubupdate OR b.pubdelete), \
     held AS MATERIALIZED (SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())), \
     counted AS MATERIALIZED (SELECT c.oid, greatest(c.reltuples, live.rows) AS rows, c.relpages * current_setting('block_size')::int8 AS pages, \
         CASE WHEN c.reltuples < 0 AND live.rows = 0 AND c.oid NOT IN (SELECT relation FROM held) THEN pg_relation_size(c.oid) END AS file, \
         c.reltuples < 0 AND live.rows = 0 AS unknown \
         FROM pg_class c CROSS JOIN LATERAL (SELECT pg_stat_get_live_tuples(c.oid) AS rows OFFSET 0) live \
         WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND c.relpersistence <> 't'), \
     own AS MATERIALIZED (SELECT oid, coalesce(file, pages) AS bytes, CASE WHEN NOT unknown THEN rows WHEN file = 0 THEN 0 END AS rows FROM counted), \
     leaves AS MATERIALIZED (SELECT p.oid, t.relid FROM pg_class p CROSS JOIN LATERAL pg_partition_tree(p.oid) t \
         WHERE p.relkind = 'p' AND p.oid >= 16384 AND t.isleaf), \
     sums AS MATERIALIZED (SELECT t.oid, sum(l.bytes) AS bytes, CASE WHEN count(*) = count(l.rows) THEN sum(l.rows) END AS rows \
         FROM leaves t JOIN own l ON l.oid = t.relid GROUP BY t.oid), \
     total AS MATERIALIZED (SELECT p.oid, coalesce(s.bytes, 0) AS bytes, CASE WHEN s.oid IS NULL THEN 0 ELSE s.rows END AS rows \
         FROM pg_class p LEFT JOIN sums s ON s.oid = p.oid WHERE p.relkind = 'p' AND p.oid >= 16384 AND p.relpersistence <> 't'), \
     known AS MATERIALIZED (SELECT oid, rows, bytes FROM own UNION ALL SELECT oid, rows, bytes FROM total) \
     SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), k.rows::int8, k.bytes::int8, u.tablename IS NOT NULL \
     FROM known k JOIN pg_class c ON c.oid = k.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN published u ON u.schemaname = n.nspname AND u.tablename = c.relname \
     WHERE n.nspname <> 'plumb' OR NOT EXISTS (SELECT FROM pg_class v WHERE v.relnamespace = n.oid AND v.relname = 'ledger_version')";

/// Reads them into the catalog.
///
/// # Errors
/// When the query fails.
pub async fn read_sizes(session: &pg::Session, catalog: &mut Catalog) -> Result<(), IntrospectError> {
    let failed = |source| IntrospectError::Query { what: "the sizes of tables".to_owned(), source };
    pg::settings::pin(session).await.map_err(failed)?;
    let rows = session.client.query(SIZES, &[]).await.map_err(failed)?;
    let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    for row in rows {
        let name: String = row.get(0);
        if row.get(3) {
            catalog.published.insert(name.clone());
        }
        catalog.sizes.insert(name, Size { rows: number(row.get(1)), bytes: number(row.get(2)) });
    }
    Ok(())
}

/// Only of the tables that are named. The statistics of a database that were never reset are as old as those of the server, which
/// begin anew when it has crashed.
const USAGE: &str = "SELECT x.name, count(i.oid), coalesce(sum(i.relpages), 0)::int8 * current_setting('block_size')::int8, \
     to_char(greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)), 'YYYY-MM-DD'), \
     to_char(greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)), 'YYYY-MM-DD'), \
     (pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)) \
         / nullif(extract(epoch FROM now() - coalesce(d.stats_reset, b.stats_reset))::float8, 0) \
     FROM unnest($1::text[]) x(name) JOIN pg_class c ON c.oid = to_regclass(x.name) \
     CROSS JOIN (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) d CROSS JOIN pg_stat_bgwriter b \
     LEFT JOIN pg_index n ON n.indrelid = c.oid LEFT JOIN pg_class i ON i.oid = n.indexrelid \
     GROUP BY x.name, c.oid, d.stats_reset, b.stats_reset";

/// How tables are used, by their SQL names; one that is not there is left out.
///
/// # Errors
/// When the query fails.
pub async fn read_usage(session: &pg::Session, tables: &BTreeSet<String>) -> Result<BTreeMap<String, Usage>, IntrospectError> {
    let failed = |source| IntrospectError::Query { what: "how tables are used".to_owned(), source };
    if tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    pg::settings::pin(session).await.map_err(failed)?;
    let names: Vec<&String> = tables.iter().collect();
    let rows = session.client.query(USAGE, &[&names]).await.map_err(failed)?;
    let number = |row: &tokio_postgres::Row, n: usize| u64::try_from(row.get::<_, i64>(n)).unwrap_or_default();
    let usage = |row: &tokio_postgres::Row| Usage {
        indexes: number(row, 1),
        index_bytes: number(row, 2),
        vacuumed: row.get(3),
        analyzed: row.get(4),
        writes: row.get(5),
    };
    Ok(rows.iter().map(|row| (row.get(0), usage(row))).collect())
}
