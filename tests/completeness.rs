//! Nothing silent: every column of `pg_catalog` on this server is in `tests/catalog.txt`, every field of every kind comes from one,
//! whatever plumb does not manage it names, and `docs/coverage.md` says so.
//!
//! The other half of it costs nothing and runs everywhere: `support::engine::read`, through which the golden cases, the systems
//! and the conformance runs read every database, fails on an object of `pg_depend` whose class stands in no list.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::kind::KINDS;
use std::collections::BTreeSet;
use support::catalog::{self, Table};
use support::{Bench, engine, load, server, tree};

/// Fields that come from no column of their own.
const DERIVED: &[(&str, &str, &str)] = &[
    ("check", "deferrable", "always false"),
    ("check", "deferred", "always false"),
    ("default privileges", "base", "what applies without an entry (acldefault)"),
    ("primary key", "nulls_not_distinct", "always false"),
    ("procedure", "result", "always empty"),
    ("exclusion", "replica_identity", "always false"),
];

fn sorted(list: impl IntoIterator<Item = String>) -> String {
    let list: BTreeSet<String> = list.into_iter().collect();
    list.into_iter().map(|l| format!("\n  {l}")).collect()
}

/// The columns that the list does not have.
async fn missing(tables: &[Table]) -> Vec<String> {
    let sql = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
               WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'";
    let session = server::session("template1").await;
    let rows = session.client.query(sql, &[]).await.unwrap();
    session.close().await;
    let listed = |table: &str, column: &str| {
        let found = tables.iter().find(|t| t.name == table);
        found.is_some_and(|t| t.left_out.is_some() || t.columns.iter().any(|c| c.name == column))
    };
    let columns = rows.iter().map(|r| (r.get::<_, String>(0), r.get::<_, String>(1)));
    columns.filter(|(t, c)| !listed(t, c)).map(|(t, c)| format!("{t}.{c}")).collect()
}

/// What the zoo does not show, of what the list says is named as not managed.
async fn not_named(bench: &Bench, tables: &[Table]) -> Result<Vec<String>, String> {
    let zoo = tree::text(&tree::root("tests/zoo.sql"));
    let database = load::fresh(bench, &[&zoo]).await.map_err(|e| format!("tests/zoo.sql: {e}"))?;
    let catalog = engine::read(&database).await;
    let session = server::session(&database).await;
    session.client.batch_execute("DROP SUBSCRIPTION subscription").await.unwrap();
    session.close().await;
    let named: BTreeSet<String> = catalog.map_err(|f| f.to_string())?.unmanaged.into_iter().map(|u| u.class).collect();
    println!("named: {}", named.iter().cloned().collect::<Vec<_>>().join(", "));
    let since = |class: &str| if class == "persistence" { 150_000 } else { 0 };
    let wanted = tables.iter().flat_map(|t| &t.columns).flat_map(|c| &c.named);
    Ok(wanted.filter(|c| server::server().version >= since(c) && !named.contains(*c)).cloned().collect())
}

fn stale(tables: &[Table]) -> bool {
    let (path, page) = (tree::root("docs/coverage.md"), catalog::page(tables));
    if std::env::var_os("PLUMB_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    std::fs::read_to_string(path).unwrap_or_default() != page
}

#[test]
fn nothing_is_silent() {
    let tables = catalog::tables();
    let unknown = catalog::unknown(&tables);
    assert!(unknown.is_empty(), "tests/catalog.txt names what no kind has:{}", sorted(unknown));
    let known: BTreeSet<(String, String)> = tables.iter().flat_map(|t| &t.columns).flat_map(|c| c.fields.clone()).collect();
    let fields = KINDS.iter().flat_map(|k| k.fields.iter().map(|f| (k.class, f.name)));
    let derived = |(kind, field): &(&str, &str)| DERIVED.iter().any(|(k, f, _)| k == kind && f == field);
    let unlisted = fields.filter(|f| !derived(f)).filter(|(k, f)| !known.contains(&((*k).to_owned(), (*f).to_owned())));
    let unlisted = sorted(unlisted.map(|(k, f)| format!("{k}.{f}")));
    assert!(unlisted.is_empty(), "fields that come from no column of tests/catalog.txt:{unlisted}");
    let (missing, not_named) = Bench::work(async |bench| (missing(&tables).await, not_named(bench, &tables).await));
    server::cleanup();
    assert!(missing.is_empty(), "columns of this server that tests/catalog.txt does not have:{}", sorted(missing));
    let not_named = not_named.unwrap_or_else(|e| panic!("{e}"));
    assert!(
        not_named.is_empty(),
        "classes that tests/catalog.txt says are named as not managed, and are not:{}",
        sorted(not_named)
    );
    assert!(!stale(&tables), "docs/coverage.md is not what tests/catalog.txt says: PLUMB_BLESS=1 cargo test --test completeness");
}
