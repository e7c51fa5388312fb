//! What was put aside in a database, as its catalog has it, and dropping it for good.

use tokio_postgres::{Client, Error};

use super::run::{NO_LOCK, server_message};
use crate::kind::quarantine::{Mark, is_schema, mark};

/// Something that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// What it is: `table`, `column`, `type`, ...
    pub class: String,
    /// What it is called now, as SQL.
    pub name: String,
    /// The schema that it is in now.
    pub schema: String,
    /// What it holds on disk, in bytes; of a column what the server's statistics say. None where that is not known.
    pub bytes: Option<i64>,
    /// What its comment says; none where somebody has changed that.
    pub mark: Option<Mark>,
    /// The statement that drops it.
    pub drop: String,
}

/// Relations, types, routines and collations in the schemas `$1`, and columns elsewhere whose names begin so. Partitions and sequences
/// go with their tables.
const QUERY: &str = "SELECT CASE o.type WHEN 'table column' THEN 'column' ELSE o.type END, \
     CASE WHEN x.sub > 0 THEN x.oid::regclass::text || '.' || quote_ident(x.name) ELSE o.identity END, x.schema, x.bytes, d.description, \
     CASE WHEN x.sub > 0 THEN format('ALTER TABLE %s DROP COLUMN %I', x.oid::regclass, x.name) \
         ELSE format('DROP %s %s', upper(o.type), o.identity) END \
     FROM ( \
         SELECT 'pg_class'::regclass::oid AS class, c.oid, 0 AS sub, c.relname AS name, n.nspname::text AS schema, \
             CASE WHEN $2 THEN (SELECT sum(pg_total_relation_size(t.oid))::int8 FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) t(oid)) \
                 END AS bytes \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1) AND NOT c.relispartition \
             AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d \
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i'))) \
         UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.typname, n.nspname, NULL FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE n.nspname = ANY ($1) AND (t.typtype IN ('e', 'd', 'r') \
                 OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')) \
         UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, p.proname, n.nspname, NULL FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = ANY ($1) AND NOT EXISTS (SELECT FROM pg_depend d \
                 WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('i', 'e')) \
         UNION ALL SELECT 'pg_collation'::regclass, c.oid, 0, c.collname, n.nspname, NULL FROM pg_collation c \
             JOIN pg_namespace n ON n.oid = c.collnamespace WHERE n.nspname = ANY ($1) \
         UNION ALL SELECT 'pg_class'::regclass, c.oid, a.attnum, a.attname, n.nspname, \
             (SELECT (s.avg_width * (1 - s.null_frac) * c.reltuples)::int8 FROM pg_stats s WHERE s.schemaname = n.nspname \
                 AND s.tablename = c.relname AND s.attname = a.attname AND c.reltuples >= 0 ORDER BY s.inherited DESC LIMIT 1) \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE a.attname LIKE 'plumb\\_quarantine\\_%' AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0 \
             AND NOT n.nspname = ANY ($1) AND n.nspname !~ '^pg_temp_' \
     ) x CROSS JOIN LATERAL pg_identify_object(x.class, x.oid, x.sub) o \
     LEFT JOIN pg_description d ON d.classoid = x.class AND d.objoid = x.oid AND d.objsubid = x.sub \
     ORDER BY 1, 2";

/// The schemas of these families that there are.
async fn schemas(client: &Client, families: &[String]) -> Result<Vec<String>, Error> {
    let rows = client.query("SELECT nspname::text FROM pg_catalog.pg_namespace ORDER BY 1", &[]).await?;
    let all = rows.iter().map(|row| row.get::<_, String>(0));
    Ok(all.filter(|name| families.iter().any(|family| is_schema(name, family))).collect())
}

/// All that was put aside in schemas of these families, and columns. The session is pinned. How large they are is not told when
/// somebody holds one of them so that its size cannot be asked for: nobody is waited for longer than half a second.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn quarantined(client: &Client, families: &[String]) -> Result<Vec<Quarantined>, Error> {
    let schemas = schemas(client, families).await?;
    client.batch_execute("SET lock_timeout = '500ms'").await?;
    let rows = match client.query(QUERY, &[&schemas, &true]).await {
        Err(error) if error.code().is_some_and(|code| code.code() == NO_LOCK) => client.query(QUERY, &[&schemas, &false]).await?,
        rows => rows?,
    };
    let one = |row: &tokio_postgres::Row| Quarantined {
        class: row.get(0),
        name: row.get(1),
        schema: row.get(2),
        bytes: row.get(3),
        mark: row.get::<_, Option<String>>(4).and_then(|text| mark(&text)),
        drop: row.get(5),
    };
    Ok(rows.iter().map(one).collect())
}

/// Seconds since 1970 on the server's clock, which is the one that the marks are of.
///
/// # Errors
/// When the server cannot be asked.
pub async fn now(client: &Client) -> Result<i64, Error> {
    Ok(client.query_one("SELECT pg_catalog.date_part('epoch', pg_catalog.now())::pg_catalog.int8", &[]).await?.get(0))
}

/// Why something was not dropped.
pub struct Stays {
    /// The server's words.
    pub message: String,
    /// The SQLSTATE.
    pub code: String,
}

/// Drops one thing in a transaction of its own, which gives way after `lock_timeout` milliseconds.
///
/// # Errors
/// The server's words; nothing is dropped then.
pub async fn drop_one(client: &Client, sql: &str, lock_timeout: u128) -> Result<(), Stays> {
    let batch = format!("BEGIN; SET LOCAL lock_timeout = {lock_timeout}; {sql}; COMMIT");
    let Err(error) = client.batch_execute(&batch).await else { return Ok(()) };
    client.batch_execute("ROLLBACK").await.ok();
    let (message, code) = server_message(&error);
    // What the server advises is to drop what rests on it too.
    let message = message.split("\nHint:").next().unwrap_or_default().to_owned();
    Err(Stays { message, code })
}
