//! How much a step works through, as the live database estimates it: in every form of the plan, and never part of its id.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::desk;

const TABLE: &str = r#"CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, total int, note text);
INSERT INTO "Sélect""; --" SELECT n, n, repeat('x', 400) FROM generate_series(1, 30000) n; ANALYZE;
CREATE TABLE quiet (id int);"#;

#[test]
fn what_is_worked_through_is_told_in_figures() {
    desk("estimates", async |d| {
        d.sql(TABLE).await;
        let wanted = r#"CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, total numeric, note text);
            CREATE INDEX by_note ON "Sélect""; --" (note); CREATE TABLE quiet (id int); COMMENT ON TABLE quiet IS 'quiet';"#;
        d.place.write("schema/all.sql", wanted);
        let plan = d.exits(2, "plan --db $DB --out plan.json --report plan.md --report plan.html");
        let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains(r#"reads 30,000 rows of public."Sélect""; --" (13 MB), less than 1 s, blocks nobody"#),
            "{}",
            plan.stdout
        );
        assert!(text.contains(r#"writes 30,000 rows of public."Sélect""; --" (13 MB) anew, less than 1 s"#), "{}", plan.stdout);
        let stored: Value = serde_json::from_str(&d.place.read("plan.json")).unwrap();
        let tables = stored["observed"]["tables"].as_object().unwrap();
        assert_eq!(tables.keys().collect::<Vec<_>>(), [r#"public."Sélect""; --""#], "only what is worked on is asked for");
        let table = tables.values().next().unwrap();
        assert_eq!((table["rows"].as_u64(), table["indexes"].as_u64()), (Some(30000), Some(1)), "{table}");
        assert!(table["index_bytes"].as_u64().unwrap() > 100_000 && table["analyzed"].is_string(), "{table}");
        assert!(d.place.read("plan.md").contains("reads 30,000 rows (13 MB)"), "{}", d.place.read("plan.md"));
        assert!(d.place.read("plan.html").contains("30,000 rows (13 MB), 1 index"));
        let explained = d.exits(0, "explain plan.json by_note").stdout;
        assert!(
            explained.contains("takes    less than 1 s") && explained.contains("30,000 rows (13 MB), 1 index"),
            "{explained}"
        );
        let sarif = d.exits(2, "plan --db $DB --out - --format sarif").stdout;
        assert!(sarif.contains("(30,000 rows (13 MB), less than 1 s)"), "{sarif}");
        // More rows of the same magnitude are the same plan.
        d.sql(r#"INSERT INTO "Sélect""; --" SELECT n, n, 'x' FROM generate_series(30001, 60000) n; ANALYZE"#).await;
        d.exits(2, "plan --db $DB --out again.json");
        let again: Value = serde_json::from_str(&d.place.read("again.json")).unwrap();
        assert_eq!(again["id"], stored["id"]);
        assert_ne!(again["observed"]["tables"], stored["observed"]["tables"]);
    });
}

#[test]
fn of_a_snapshot_nothing_is_estimated() {
    desk("estimates_none", async |d| {
        d.sql("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)").await;
        d.place.write("schema/all.sql", "CREATE TABLE t (id int, CONSTRAINT positive CHECK (id > 0));");
        d.exits(0, "snapshot --db $DB --out live.json");
        let plan = d.exits(2, "plan --db live.json --out plan.json");
        assert!(plan.stdout.contains("reads all of public.t, blocks"), "{}", plan.stdout);
        assert!(!plan.stdout.contains("about ") && !d.place.read("plan.json").contains("\"tables\""), "{}", plan.stdout);
    });
}
