//! The way back as a plan: made before the plan is applied, good when it has been, and refused otherwise.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::{Desk, desk};

const BEFORE: &str = r#"CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, "a
b" text NOT NULL DEFAULT '<b>|`x`', feels mood);
CREATE TABLE orders (id bigint PRIMARY KEY, total integer NOT NULL CHECK (total >= 0), note text, of bigint REFERENCES "Sélect""; --");
CREATE INDEX orders_note_idx ON orders (note);
CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 100;
COMMENT ON VIEW dear IS 'what is dear'; GRANT SELECT ON dear TO PUBLIC;
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n * 2';
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (total < 1000);
"#;

const AFTER: &str = r#"CREATE TYPE mood AS ENUM ('good', 'bad', 'so so');
CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, feels mood, "new; --" integer);
CREATE TABLE orders (id bigint PRIMARY KEY, total bigint NOT NULL, of bigint, placed timestamptz NOT NULL DEFAULT now());
CREATE UNIQUE INDEX orders_of_idx ON orders (of, id);
ALTER TABLE orders ADD CONSTRAINT of_is_positive CHECK (of > 0);
CREATE VIEW dear AS SELECT id, total, placed FROM orders WHERE total IN (101, 102, 1000);
CREATE TABLE lines (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of bigint REFERENCES orders);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (total < 1000 AND of IS NOT NULL);
"#;

const ROWS: &str = r#"INSERT INTO "Sélect""; --" SELECT n, 'v' || n, (ARRAY['good', 'bad'])[1 + n % 2]::mood FROM generate_series(1, 50) n;
INSERT INTO orders SELECT n, n * 10, 'note', n FROM generate_series(1, 50) n; ANALYZE;"#;

async fn start(d: &Desk<'_>) {
    d.sql(BEFORE).await;
    d.sql(ROWS).await;
    d.place.write("schema/all.sql", AFTER);
    d.exits(0, "snapshot --db $DB --out before.json");
}

fn plan(d: &Desk<'_>, file: &str) -> Value {
    serde_json::from_str(&d.place.read(file)).unwrap()
}

fn both_ways(name: &str, online: &'static str) {
    desk(name, async |d| {
        start(d).await;
        d.exits(2, &format!("plan --db $DB --online {online} --out there.json"));
        let shown = d.exits(2, &format!("plan --db $DB --online {online} --reverse --out back.json"));
        let (there, back) = (plan(d, "there.json"), plan(d, "back.json"));
        assert_eq!(back["from"]["scope"], there["to"]);
        assert_eq!(back["takes_back"], there["id"]);
        assert_eq!(back["proof"]["result"], "equal", "{}", back["proof"]);
        assert!(back["proof"]["copy"].as_str().unwrap().contains("the other plan"), "{}", back["proof"]);
        let id = &there["id"].as_str().unwrap()[..8];
        assert!(shown.stdout.contains(&format!("Takes back plan {id}")), "{}", shown.stdout);
        for code in ["loses-values", "loses-rows"] {
            assert!(shown.stdout.contains(code), "{code}: {}", shown.stdout);
        }
        let in_parts = back["groups"].as_array().unwrap().len();
        assert_eq!(in_parts > 2, online != "never", "{in_parts} transactions");

        d.exits(0, "apply there.json --db $DB --allow all");
        d.exits(0, "prove back.json --db $DB");
        let refused = d.exits(3, "apply back.json --db $DB").stderr;
        assert!(refused.contains("apply::refused") && refused.contains("loses-rows"), "{refused}");
        d.exits(0, "apply back.json --db $DB --allow all");
        let diff = d.run("diff before.json $DB");
        assert_eq!(diff.exit, 0, "{}{}", diff.stdout, diff.stderr);
        assert_eq!(d.number("SELECT count(*) FROM orders WHERE total = id * 10 AND of = id AND note IS NULL").await, 50);
        assert_eq!(
            d.number(
                r#"SELECT count(*) FROM "Sélect""; --" WHERE feels IS NOT NULL AND "a
b" = '<b>|`x`'"#
            )
            .await,
            50
        );
        let again = d.exits(3, "apply back.json --db $DB --allow all").stderr;
        assert!(again.contains("plan::stale") && again.contains(&format!("takes back plan {id}")), "{again}");
        // The schema is the one that the plan was made for: it can be applied again, and taken back again.
        d.exits(2, "plan --db $DB");
        d.exits(0, "apply --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn there_and_back_with_rows() {
    both_ways("back-direct", "never");
}

#[test]
fn there_and_back_in_online_forms() {
    both_ways("back-online", "auto");
}

#[test]
fn refused_where_there_is_nothing_to_take_back() {
    desk("back-stale", async |d| {
        start(d).await;
        d.exits(2, "plan --db $DB --out there.json");
        d.exits(2, "plan --db $DB --reverse --out back.json");
        for allow in ["", " --allow all"] {
            let early = d.exits(3, &format!("apply back.json --db $DB{allow}")).stderr;
            assert!(allow.is_empty() || early.contains("plan::stale") && early.contains("without that one"), "{early}");
        }
        let stale = d.exits(3, "prove back.json --db $DB").stderr;
        assert!(stale.contains("plan::stale") && stale.contains("gone: table public.lines"), "{stale}");
        d.exits(0, "apply there.json --db $DB --allow all");
        d.sql("CREATE TABLE hotfix (id int)").await;
        let stale = d.exits(3, "apply back.json --db $DB --allow all").stderr;
        for said in ["plan::stale", "leaves it", "new: table public.hotfix", "plumb plan --reverse"] {
            assert!(stale.contains(said), "{said}: {stale}");
        }
    });
}

#[test]
fn a_row_in_the_way_stops_it_before_its_first_step() {
    desk("back-rows", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, must int NOT NULL); INSERT INTO t VALUES (1, 1)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (id int PRIMARY KEY, other text);\n");
        d.exits(2, "plan --db $DB --out there.json");
        let shown = d.exits(2, "plan --db $DB --reverse --out back.json").stdout;
        assert!(shown.contains("not asked whether") && shown.contains("not applied yet"), "{shown}");
        d.exits(0, "apply there.json --db $DB --allow all");
        let allowed = "--allow loses-values --allow breaks-code --allow irreversible";
        let refused = d.exits(3, &format!("apply back.json --db $DB {allowed}")).stderr;
        assert!(refused.contains("apply::rows") && refused.contains("must"), "{refused}");
        d.sql("DELETE FROM t").await;
        d.exits(0, &format!("apply back.json --db $DB {allowed}"));
    });
}

#[test]
fn in_all_forms_unproven_and_empty() {
    desk("back-forms", async |d| {
        d.sql("CREATE TABLE gone (id int); CREATE TABLE t (id int)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (id int, other text);\n");
        for (format, said) in [
            ("text", "+ table"),
            ("sql", "CREATE TABLE public.gone"),
            ("markdown", "CREATE TABLE public.gone"),
            ("html", "CREATE TABLE public.gone"),
            ("json", "\"takes_back\""),
        ] {
            let shown = d.exits(2, &format!("plan --db $DB --reverse --out - --format {format}")).stdout;
            assert!(shown.contains(said), "{format}: {shown}");
            assert!(format == "json" || shown.contains("Takes back plan"), "{format}: {shown}");
        }
        d.exits(2, "plan --db $DB --no-prove --out there.json");
        d.exits(2, "plan --db $DB --no-prove --reverse --out back.json");
        let (there, back) = (plan(d, "there.json"), plan(d, "back.json"));
        assert_eq!((&back["from"]["scope"], &back["proof"]["result"]), (&there["to"], &Value::from("unproven")));
        d.exits(0, "apply there.json --db $DB --allow all");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'gone'").await, 1);
        d.sql("DROP TABLE gone; ALTER TABLE t ADD other text").await;
        let empty = d.exits(0, "plan --db $DB --reverse").stdout;
        assert!(empty.starts_with("No changes: "), "{empty}");
    });
}

/// What stands outside the scope is part of the copy and of no plan, and what is not managed is the same on both sides.
#[test]
fn what_is_outside_the_scope_stays_outside() {
    desk("back-scope", async |d| {
        d.sql("CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, a text); CREATE TABLE public.other (id int REFERENCES app.t)").await;
        d.sql("CREATE TEXT SEARCH CONFIGURATION app.words (COPY = english); CREATE VIEW public.seen AS SELECT id FROM app.t")
            .await;
        d.sql("INSERT INTO app.t VALUES (1, 'x')").await;
        d.place.write("schema/t.sql", "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, b int);\n");
        d.exits(0, "snapshot --db $DB --out before.json");
        d.exits(2, "plan --db $DB --out there.json");
        d.exits(2, "plan --db $DB --reverse --out back.json");
        let back = plan(d, "back.json");
        assert_eq!(back["scope"], plan(d, "there.json")["scope"]);
        assert_eq!(back["proof"]["result"], "equal", "{}", back["proof"]);
        assert_eq!(back["unmanaged"][0]["side"], "both", "{}", back["unmanaged"]);
        assert!(back["outside_scope"].as_array().unwrap().contains(&Value::from("table public.other")));
        d.exits(0, "apply there.json --db $DB --allow all");
        d.exits(0, "apply back.json --db $DB --allow all");
        d.exits(0, "diff before.json $DB");
    });
}
