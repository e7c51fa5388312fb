//! Whether rows survive: count and content of every table, over the columns that exist on both sides.

use super::server::{message, session};
use plumb::pg::Session;
use plumb::sql::ident;
use std::collections::BTreeMap;

/// A table's columns, and its rows as texts of columns.
#[derive(Debug)]
pub struct Table {
    sql: String,
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

pub type Tables = BTreeMap<String, Table>;

const TABLES: &str = "SELECT n.nspname::text, c.relname::text, \
     coalesce(array_agg(a.attname::text ORDER BY a.attname) FILTER (WHERE a.attname IS NOT NULL), '{}') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'plumb') \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') \
     GROUP BY 1, 2";

/// All rows of all tables of a database. Test data is small.
pub async fn read(database: &str) -> Tables {
    let session = session(database).await;
    session.client.batch_execute("SET TimeZone = 'UTC'; SET row_security = off; SET search_path = pg_catalog").await.unwrap();
    let mut tables = Tables::new();
    for row in session.client.query(TABLES, &[]).await.unwrap_or_else(|e| panic!("{}", message(&e))) {
        let (schema, name, columns): (String, String, Vec<String>) = (row.get(0), row.get(1), row.get(2));
        let sql = format!("{}.{}", ident(&schema), ident(&name));
        let rows = rows(&session, &sql, &columns).await;
        tables.insert(sql.clone(), Table { sql, columns, rows });
    }
    session.close().await;
    tables
}

async fn rows(session: &Session, table: &str, columns: &[String]) -> Vec<Vec<Option<String>>> {
    let list: Vec<String> = columns.iter().map(|c| format!("{}::text", ident(c))).collect();
    let sql = format!("SELECT ARRAY[{}]::text[] FROM {table}", list.join(", "));
    let rows = session.client.query(&sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {}", message(&e)));
    rows.iter().map(|r| r.get(0)).collect()
}

impl Table {
    /// The rows, cut to some columns, in an order of their own.
    fn over(&self, columns: &[&String]) -> Vec<Vec<&Option<String>>> {
        let places: Vec<usize> = columns.iter().filter_map(|c| self.columns.iter().position(|own| own == *c)).collect();
        let mut list: Vec<Vec<_>> = self.rows.iter().map(|r| places.iter().map(|p| &r[*p]).collect()).collect();
        list.sort();
        list
    }
}

/// That the rows of the tables that exist on both sides are those that were there before.
pub async fn survive(database: &str, before: &Tables) -> Result<(), String> {
    let after = read(database).await;
    let mut bad = Vec::new();
    for (name, old) in before {
        let Some(new) = after.get(name) else { continue };
        let common: Vec<&String> = old.columns.iter().filter(|c| new.columns.contains(c)).collect();
        if old.rows.len() != new.rows.len() {
            bad.push(format!("{}: {} rows before, {} after", old.sql, old.rows.len(), new.rows.len()));
            continue;
        }
        let (a, b) = (old.over(&common), new.over(&common));
        if let Some((x, y)) = a.iter().zip(&b).find(|(x, y)| x != y) {
            bad.push(format!("{} over {common:?}: {x:?} became {y:?}", old.sql));
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}
