//! Hazards that the files say are meant, and hazards that the size of a table decides about.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::desk;

const DOCUMENTS: &str =
    "CREATE TABLE documents (id int PRIMARY KEY, shared boolean);\nALTER TABLE documents ENABLE ROW LEVEL SECURITY;\n";

#[test]
fn a_known_hazard_needs_a_reason_and_nothing_else() {
    desk("known", async |d| {
        d.sql(&format!("{DOCUMENTS} CREATE POLICY own ON documents USING (id = 1)")).await;
        let write = |above: &str| {
            let policy = "CREATE POLICY own ON documents USING (id = 1 OR shared);";
            d.place.write("schema/documents.sql", &format!("{DOCUMENTS}{above}{policy}\n"));
        };
        write("");
        d.exits(2, "plan --db $DB --out plan.json");
        let refused = d.exits(3, "apply plan.json --db $DB");
        assert!(refused.stderr.contains("--allow widens-rights"), "{}", refused.stderr);
        write("-- plumb: ignore widens-rights until 2020-01-31: the migration\n");
        let over = d.exits(2, "plan --db $DB --out plan.json");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&over.stdout).contains("was to be ignored until 2020-01-31, and counts again"), "{}", over.stdout);
        d.exits(3, "apply plan.json --db $DB");
        write("-- plumb: ignore loses-rights: another hazard\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(3, "apply plan.json --db $DB");
        write("-- plumb: ignore widens-rights until 2999-12-31: everybody may know\n");
        for format in ["text", "sql", "json"] {
            let shown = d.exits(2, &format!("plan --db $DB --out - --format {format}")).stdout;
            let shown = words(&shown.replace("--", " "));
            assert!(shown.contains("everybody may know") && shown.contains("documents.sql:3"), "{format}: {shown}");
        }
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn a_drop_is_never_known() {
    desk("drop", async |d| {
        d.sql("CREATE TABLE kept (id int PRIMARY KEY, note text)").await;
        d.place.write(
            "schema/kept.sql",
            "-- plumb: ignore loses-values: nobody reads it\nCREATE TABLE kept (id int PRIMARY KEY);\n",
        );
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(3, "apply plan.json --db $DB");
        d.exits(0, "apply plan.json --db $DB --allow loses-values");
    });
}

#[test]
fn the_size_of_a_table_decides_and_a_row_more_does_not() {
    desk("sizes", async |d| {
        d.sql("CREATE TABLE large (id int); INSERT INTO large SELECT generate_series(1, 20000); CREATE TABLE few (id int)").await;
        d.sql("ANALYZE large; ANALYZE few").await;
        let column = "n int GENERATED ALWAYS AS IDENTITY";
        d.place.write("schema/t.sql", &format!("CREATE TABLE large (id int, {column});\nCREATE TABLE few (id int, {column});\n"));
        let plan = || -> serde_json::Value {
            d.exits(2, "plan --db $DB --out plan.json");
            serde_json::from_str(&d.place.read("plan.json")).unwrap()
        };
        let first = plan();
        let steps = first["groups"][0]["steps"].as_array().unwrap();
        let of = |table: &str| steps.iter().find(|s| s["object"]["name"][1] == table).unwrap();
        let rewrites =
            |step: &serde_json::Value| step["hazards"].as_array().is_some_and(|l| l.iter().any(|h| h["code"] == "rewrites"));
        assert!(rewrites(of("large")) && !rewrites(of("few")), "{first}");
        assert_eq!(of("large")["sizes"]["public.large"], "large");
        assert_eq!(of("few")["sizes"]["public.few"], "empty");
        d.sql("INSERT INTO large VALUES (0); ANALYZE large").await;
        assert_eq!(plan()["id"], first["id"], "a row more is another plan");
        d.sql("INSERT INTO few SELECT generate_series(1, 20000); ANALYZE few").await;
        let grown = d.exits(3, "apply plan.json --db $DB");
        assert!(grown.stderr.contains("plan::stale") && grown.stderr.contains("public.few"), "{}", grown.stderr);
        assert_ne!(plan()["id"], first["id"]);
        d.exits(0, "apply plan.json --db $DB");
    });
}
