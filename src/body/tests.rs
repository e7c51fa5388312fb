//! What is found in bodies, and where.

use super::*;

fn plpgsql(arguments: &[&str], result: &str, text: &str) -> Body {
    let definition = format!("CREATE FUNCTION s.f(r app.orders) RETURNS s.x LANGUAGE plpgsql AS $f${text}$f$");
    let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let body = read(&definition, Signature { arguments: &arguments, result: Some(result) }).expect("a body");
    assert!(!body.unread, "{text}");
    body
}

/// Every name of a class, with the text that stands at its place.
fn all(body: &Body, of: impl Fn(&Names) -> Vec<(Vec<String>, Range<usize>)>) -> Vec<(String, String)> {
    let found = body.queries.iter().flat_map(of);
    found.map(|(parts, at)| (parts.join("."), body.text[at].to_owned())).collect()
}

fn relations(body: &Body) -> Vec<(String, String)> {
    all(body, |n| n.relations.iter().map(|r| (r.parts.clone(), r.at.clone())).collect())
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn every_statement_and_expression_is_read_in_its_place() {
    let body = plpgsql(
        &["i r", "i total"],
        "SETOF app.orders",
        "\nDECLARE\n  x app.orders.total%TYPE;\n  y app.orders%ROWTYPE;\n  z app.mood := 'a';\n  c CURSOR FOR SELECT 1 FROM app.cur;\n\
         BEGIN\n  x := (SELECT sum(o.total) FROM app.\"Old orders\" o) + app.helper(1);\n  PERFORM app.other(2);\n\
         FOR y IN SELECT * FROM app.looped WHERE total > 1 LOOP\n    UPDATE app.upd SET total = 2 WHERE id = y.id;\n  END LOOP;\n\
         SELECT a INTO x FROM app.into_from;\n  RETURN QUERY SELECT * FROM app.returned;\n  RETURN;\nEND",
    );
    let mut found = relations(&body);
    found.sort();
    let wanted = ["app.cur", "app.into_from", "app.looped", "app.returned", "app.upd"].map(|n| pair(n, n));
    assert_eq!(found, [&[pair("app.Old orders", "app.\"Old orders\"")][..], &wanted].concat());
    let routines = all(&body, |n| n.routines.clone());
    assert_eq!(routines, [pair("sum", "sum"), pair("app.helper", "app.helper"), pair("app.other", "app.other")]);
    let columns = all(&body, |n| n.columns.clone());
    for (name, written) in [("app.orders.total", "app.orders.total"), ("o.total", "o.total"), ("upd.total", "total")] {
        assert!(columns.contains(&pair(name, written)), "{name}: {columns:?}");
    }
    let types = all(&body, |n| n.types.clone());
    assert!(types.contains(&pair("app.orders", "app.orders")) && types.contains(&pair("app.mood", "app.mood")), "{types:?}");
    assert!(body.dynamic.is_empty());
}

#[test]
fn trigger_functions_are_read() {
    let body = plpgsql(
        &[],
        "trigger",
        "BEGIN\n NEW.total := OLD.total + 1; IF TG_OP = 'INSERT' THEN RETURN NEW; END IF; RETURN OLD; END",
    );
    let columns = all(&body, |n| n.columns.clone());
    assert!(
        columns.contains(&pair("new.total", "NEW.total")) && columns.contains(&pair("old.total", "OLD.total")),
        "{columns:?}"
    );
}

#[test]
fn what_is_built_is_known_to_be_so() {
    let body =
        plpgsql(&[], "void", "BEGIN\n EXECUTE 'DELETE FROM ' || quote_ident('x');\n EXECUTE 'DELETE FROM app.known';\nEND");
    assert_eq!(body.dynamic.iter().map(|at| &body.text[at.clone()]).collect::<Vec<_>>(), ["'DELETE FROM ' || quote_ident('x')"]);
    assert_eq!(relations(&body), [pair("app.known", "app.known")]);
    assert_eq!(body.line(body.dynamic[0].start), (2, " EXECUTE 'DELETE FROM ' || quote_ident('x');", 6));
}

#[test]
fn sql_bodies_are_read_whole() {
    let definition = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'WITH c AS (SELECT 1) SELECT (r).total FROM a.b, c; INSERT INTO t (x) VALUES (1)'";
    let body = read(definition, Signature { arguments: &[], result: Some("integer") }).expect("a body");
    assert_eq!(relations(&body), [pair("a.b", "a.b"), pair("c", "c"), pair("t", "t")]);
    assert!(body.queries[0].own.contains("c") && body.queries[0].fields[0].0 == "total");
    assert_eq!(body.queries[1].columns, [(vec!["t".to_owned(), "x".to_owned()], 66..67)]);
    assert!(read("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a', 'b'", Signature { arguments: &[], result: None }).is_none());
}

#[test]
fn names_are_cut_as_postgres_cuts_them() {
    assert_eq!(name("Public.\"A \"\"b\"\"\".c rest"), (vec!["public".into(), "A \"b\"".into(), "c".into()], 18));
    assert_eq!(name("été.x"), (vec!["été".into(), "x".into()], 7));
    assert_eq!(name("(x)"), (Vec::new(), 0));
}
