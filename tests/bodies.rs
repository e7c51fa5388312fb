//! Quoted bodies, of whose contents the server keeps no dependencies: plans that bring what they need, and plans that break them.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::desk;

/// Bodies that work as long as `app.orders` has its column.
const LIVE: &str = r#"CREATE SCHEMA app; CREATE SCHEMA other;
CREATE TABLE app.orders (id int PRIMARY KEY, total int, note text);
CREATE FUNCTION other.sum_of() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total) FROM app.orders';
CREATE FUNCTION other.path_set() RETURNS bigint LANGUAGE sql SET search_path = app AS 'SELECT sum(total) FROM orders';
CREATE FUNCTION other.row_of(r app.orders) RETURNS int LANGUAGE sql AS 'SELECT (r).total';
CREATE FUNCTION other.declares() RETURNS void LANGUAGE plpgsql AS 'DECLARE x app.orders.total%TYPE; BEGIN x := 1; END';
CREATE FUNCTION other.broken_before() RETURNS bigint LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION other.calls() RETURNS int LANGUAGE sql AS 'SELECT app.helper(1)';
CREATE FUNCTION app.helper(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
"#;

#[test]
fn bodies_that_a_plan_breaks_are_named() {
    desk("breaks", async |d| {
        let live = format!("SET check_function_bodies = off; {}", LIVE.replace("AS 'SELECT 1'", "AS 'SELECT nothing'"));
        d.sql(&live).await;
        let wanted = "CREATE SCHEMA app;\nCREATE TABLE app.orders (id int PRIMARY KEY, note text);\n";
        d.place.write("schema/app.sql", wanted);
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        let stored = d.place.read("plan.json");
        for name in ["sum_of()", "path_set()", "row_of(orders)", "declares()", "calls()"] {
            let sentence = format!("function other.{name} does not work after this plan: ");
            assert!(stored.contains(&sentence), "{name}: {stored}");
        }
        assert!(!stored.contains("broken_before() does not"), "{stored}");
        let words = |text: &str| text.replace("--", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&plan.stdout).contains("other.sum_of() does not work after this plan"), "{}", plan.stdout);
        let sql = d.exits(2, "plan --db $DB --out - --format sql").stdout;
        assert!(words(&sql).contains("other.sum_of() does not work after this plan"), "{sql}");
    });
}

#[test]
fn bodies_that_a_plan_leaves_alone_are_not_named() {
    desk("leaves", async |d| {
        d.sql(&format!("SET check_function_bodies = off; {LIVE}")).await;
        d.place.write(
            "schema/app.sql",
            "CREATE SCHEMA app;\nCREATE TABLE app.orders (id int PRIMARY KEY, total int, more int);\n\
             CREATE FUNCTION app.helper(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';\n",
        );
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        assert!(!d.place.read("plan.json").contains("does not work"), "{}", plan.stdout);
    });
}
