use super::super::tests::{SHARED, alone, drop_roles, problems, scratch, shown};
use super::super::{Files, Policy, load_statements, read};
use super::*;
use std::path::{Path, PathBuf};

/// Codes and words of what is underlined.
async fn found(name: &str, sql: &str) -> Vec<(String, String)> {
    let problems = problems(name, sql).await;
    shown(&problems).into_iter().map(|(_, code, text)| (code.replace("source::unknown_", ""), text.to_owned())).collect()
}

/// One misspelt name, so that the statement fails, among what only looks like an unknown name.
#[tokio::test]
async fn what_only_looks_unknown_is_not_reported() {
    let lines = [
        "CREATE TABLE t (id serial, s smallserial, p point, c \"char\", a int[], z timestamptz(3), n pg_catalog.int4);",
        "CREATE TYPE span AS RANGE (subtype = int4, subtype_diff = int4mi_);",
        "CREATE VIEW v AS WITH RECURSIVE c AS (SELECT 1 AS n UNION SELECT n + 1 FROM c) SELECT c.n, d.id, count(*), id(d), \
         nope(1), coalesce(d.s, 1), extract(year FROM now()), 'x'::text::varchar(3), span(1, 2), span_multirange(span(1, 2)) \
         FROM c, t d FOR UPDATE OF d;",
        "CREATE RULE r AS ON UPDATE TO t DO ALSO INSERT INTO t (id) SELECT new.id FROM nowhere;",
        "CREATE FUNCTION f(x t.id%TYPE, y _t) RETURNS SETOF t LANGUAGE sql AS 'SELECT nope3()';",
        "CREATE AGGREGATE agg(int) (sfunc = int4pl, stype = int8x);",
        "CREATE TABLE k (id int DEFAULT nextval('t_id_seq'), b nope2 DEFAULT lastval());",
    ];
    let expected = [("function", "int4mi_"), ("function", "nope"), ("table", "nowhere"), ("type", "int8x"), ("type", "nope2")];
    assert_eq!(found("looks_unknown", &lines.join("\n")).await, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

/// Of what the server has taken nothing is unknown, even to who looks into its catalog only.
#[tokio::test]
async fn nothing_that_the_server_takes_is_unknown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.join("fixtures/systems"), Path::new(SHARED).join("corpora")];
    let mut schemas: Vec<PathBuf> =
        folders.iter().flat_map(|f| std::fs::read_dir(f).into_iter().flatten().flatten()).map(|e| e.path()).collect();
    schemas.push(root.join("schema"));
    let _alone = alone().await;
    let policy = Policy { allow_do: true, allow_superuser: true, ..Policy::default() };
    let nothing = Definitions::new(&[]);
    let mut checked = 0;
    for path in schemas {
        let parts = ["schema.sql", "schema"].map(|part| path.join(part));
        let path = parts.into_iter().find(|p| p.exists()).unwrap_or(path);
        let Ok(files) = Files::read(&path) else { continue };
        let Ok(statements) = read(&files, &policy) else { continue };
        let s = scratch("taken").await;
        let loaded = load_statements(&s.loader, Some(&s.administrator), &files, &policy).await;
        let all: BTreeSet<usize> = (0..statements.len()).collect();
        if loaded.is_ok() && !statements.iter().any(|s| s.hints.undoes) {
            let found = beyond(&s.loader, &statements, &all, &nothing).await;
            assert_eq!(found.len(), statements.len());
            let found: Vec<_> = found.into_values().flatten().collect();
            assert!(found.is_empty(), "{}: {found:#?}", path.display());
            checked += statements.len();
        }
        eprintln!("{}: {} statements, {}", path.display(), statements.len(), loaded.is_ok());
        drop(s);
        drop_roles("taken").await;
    }
    assert!(checked > 100, "{checked} statements");
}
