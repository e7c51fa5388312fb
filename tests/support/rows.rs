//! Whether rows survive: count and content of every table, over the columns that exist on both sides. Where a column has another
//! type afterwards, the old text is read as a value of that type first (`10.0.0.1` is `10.0.0.1/32` as inet); where the server
//! knows no such reading, only what was NULL has to be NULL still. Generated columns are left out, and so are partitioned tables:
//! a table's rows are its own, wherever it is attached. Sequences go on from where they were.

use super::server::{message, session};
use plumb::catalog::Id;
use plumb::pg::Session;
use plumb::sql::ident;
use std::collections::BTreeMap;

/// A table's columns, and its rows as texts of columns.
#[derive(Debug)]
pub struct Table {
    sql: String,
    name: [String; 2],
    columns: Vec<String>,
    types: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

pub type Tables = BTreeMap<String, Table>;

const TABLES: &str = "SELECT n.nspname::text, c.relname::text, \
     coalesce(array_agg(a.attname::text ORDER BY a.attname) FILTER (WHERE a.attname IS NOT NULL), '{}'), \
     coalesce(array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attname) FILTER (WHERE a.attname IS NOT NULL), '{}') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND (c.relkind = 'r' OR a.attname <> 'log_cnt') \
     WHERE c.relkind IN ('r', 'S') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'plumb') \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e') \
     GROUP BY 1, 2";

/// All rows of all tables of a database. Test data is small.
pub async fn read(database: &str) -> Tables {
    let session = session(database).await;
    session.client.batch_execute("SET TimeZone = 'UTC'; SET row_security = off; SET search_path = pg_catalog").await.unwrap();
    let mut tables = Tables::new();
    for row in session.client.query(TABLES, &[]).await.unwrap_or_else(|e| panic!("{}", message(&e))) {
        let (schema, name, columns, types): (String, String, Vec<String>, Vec<String>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let sql = format!("{}.{}", ident(&schema), ident(&name));
        let rows = rows(&session, &sql, &columns).await;
        tables.insert(sql.clone(), Table { sql, name: [schema, name], columns, types, rows });
    }
    session.close().await;
    tables
}

/// The same by the names that everything has after a plan.
pub fn called(tables: Tables, after: &dyn Fn(&Id) -> Id) -> Tables {
    let one = |mut table: Table| {
        let id = |class: &str| Id::new(class, table.name.iter().cloned());
        let new = ["table", "sequence", "identity sequence"].map(|class| (after(&id(class)), id(class)));
        let new = new.into_iter().find(|(new, old)| new != old).map_or_else(|| id("table"), |(new, _)| new);
        let column = |c: &String| after(&id("table").part("column", c)).base().to_owned();
        table.columns = table.columns.iter().map(column).collect();
        table.sql = new.sql();
        (table.sql.clone(), table)
    };
    tables.into_values().map(one).collect()
}

async fn rows(session: &Session, table: &str, columns: &[String]) -> Vec<Vec<Option<String>>> {
    let list: Vec<String> = columns.iter().map(|c| format!("{}::text", ident(c))).collect();
    let sql = format!("SELECT ARRAY[{}]::text[] FROM ONLY {table}", list.join(", "));
    let rows = session.client.query(&sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {}", message(&e)));
    rows.iter().map(|r| r.get(0)).collect()
}

impl Table {
    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|own| own == column)
    }

    /// The values of a column.
    fn values(&self, place: usize) -> Vec<Option<String>> {
        self.rows.iter().map(|r| r[place].clone()).collect()
    }

    /// Rows cut to some columns, in an order of their own.
    fn over(&self, columns: &[Vec<Option<String>>]) -> Vec<Vec<Option<String>>> {
        let mut list: Vec<Vec<_>> = (0..self.rows.len()).map(|i| columns.iter().map(|c| c[i].clone()).collect()).collect();
        list.sort();
        list
    }
}

/// Texts as values of a type, written again; none when the server cannot read one of them so.
async fn converted(session: &Session, values: &[Option<String>], to: &str) -> Option<Vec<Option<String>>> {
    let sql = format!(
        "SELECT coalesce(array_agg(v::{to}::text ORDER BY i), '{{}}') FROM unnest($1::text[]) WITH ORDINALITY AS u (v, i)"
    );
    session.client.query_one(&sql, &[&values]).await.ok().map(|r| r.get(0))
}

/// Whether a type may be another one under its old name: a domain over `numeric(12,3)` writes 1.000 where it was 1.00. Only the
/// server's own types come without a schema.
fn of_users(name: &str) -> bool {
    name.contains('.')
}

/// That the rows of the tables that exist on both sides are those that were there before; `except` names columns
/// (`public.t.a`) whose values are meant to change: of those only NULL is compared; and tables that others' rows come to.
pub async fn survive(database: &str, before: &Tables, except: &[String]) -> Result<(), String> {
    let after = read(database).await;
    let session = session(database).await;
    session.client.batch_execute("SET TimeZone = 'UTC'; SET search_path = pg_catalog").await.unwrap();
    let mut bad = Vec::new();
    for (name, old) in before {
        let Some(new) = after.get(name) else { continue };
        let more = except.contains(name) && old.rows.len() < new.rows.len();
        if old.rows.len() != new.rows.len() && !more {
            bad.push(format!("{}: {} rows before, {} after", old.sql, old.rows.len(), new.rows.len()));
            continue;
        }
        let (mut left, mut right, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (o, column) in old.columns.iter().enumerate() {
            let Some(n) = new.place(column) else { continue };
            let (mut a, mut b) = (old.values(o), new.values(n));
            let null = |v: &Vec<Option<String>>| v.iter().map(|v| v.as_ref().map(|_| "set".to_owned())).collect();
            if except.contains(&format!("{}.{column}", old.sql)) {
                (a, b) = (null(&a), null(&b));
            } else if old.types[o] != new.types[n] || of_users(&new.types[n]) {
                match converted(&session, &a, &new.types[n]).await {
                    Some(values) => a = values,
                    None if old.types[o] == new.types[n] => {}
                    None => (a, b) = (null(&a), null(&b)),
                }
            }
            left.push(a);
            right.push(b);
            names.push(column);
        }
        let (a, mut b) = (old.over(&left), new.over(&right));
        if more {
            // Those that came are none of the ones to be compared, as far as the old ones are among them.
            let mut wanted = a.clone();
            b.retain(|row| wanted.iter().position(|w| w == row).map(|i| wanted.remove(i)).is_some());
            b.resize(a.len(), vec![None; names.len()]);
        }
        if let Some((x, y)) = a.iter().zip(&b).find(|(x, y)| x != y) {
            let differing = |i: &usize| x[*i] != y[*i];
            let shown = (0..names.len()).filter(differing).map(|i| format!("{}: {:?} became {:?}", names[i], x[i], y[i]));
            bad.push(format!("{}: {}", old.sql, shown.collect::<Vec<_>>().join(", ")));
        }
    }
    session.close().await;
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}
