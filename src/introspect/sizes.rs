//! What the relations of a live database hold, and which of them are published: estimates of the server, read in one query and
//! without a lock on any of them.

use super::IntrospectError;
use crate::catalog::{Catalog, Size};
use crate::pg;

/// Rows are the larger of what the last VACUUM or ANALYZE has seen and what was counted since. Those of a partitioned table
/// are its partitions'.
const SIZES: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), \
     (CASE WHEN c.relkind = 'p' THEN total.rows ELSE own.rows END)::int8, \
     ((CASE WHEN c.relkind = 'p' THEN total.pages ELSE c.relpages END) * current_setting('block_size')::int8)::int8, u.tablename IS NOT NULL \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     CROSS JOIN LATERAL (SELECT CASE WHEN c.reltuples < 0 AND pg_stat_get_live_tuples(c.oid) = 0 THEN NULL \
         ELSE greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)) END AS rows) own \
     LEFT JOIN LATERAL (SELECT CASE WHEN count(*) FILTER (WHERE l.reltuples < 0 AND pg_stat_get_live_tuples(l.oid) = 0) = 0 \
             THEN coalesce(sum(greatest(l.reltuples, pg_stat_get_live_tuples(l.oid))), 0) END AS rows, coalesce(sum(l.relpages), 0) AS pages \
         FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf AND l.relkind = 'r') total ON c.relkind = 'p' \
     LEFT JOIN published u ON u.schemaname = n.nspname AND u.tablename = c.relname \
     WHERE c.relkind IN ('r', 'm', 'p') AND c.oid >= 16384 AND c.relpersistence <> 't'";

const PUBLISHED: &str = "WITH published AS MATERIALIZED (SELECT DISTINCT t.schemaname, t.tablename FROM pg_publication_tables t \
     JOIN pg_publication b ON b.pubname = t.pubname WHERE b.pubupdate OR b.pubdelete)";

/// Reads them into the catalog.
///
/// # Errors
/// When the query fails.
pub async fn read_sizes(session: &pg::Session, catalog: &mut Catalog) -> Result<(), IntrospectError> {
    let failed = |source| IntrospectError::Query { what: "the sizes of tables".to_owned(), source };
    pg::settings::pin(&session.client).await.map_err(failed)?;
    let rows = session.client.query(&format!("{PUBLISHED} {SIZES}"), &[]).await.map_err(failed)?;
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
