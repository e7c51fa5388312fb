//! `plumb purge`: what was put aside is listed, and dropped when it has been there for long.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::aside::becomes;
use support::desk::{Desk, desk};

/// Makes what was put aside older.
async fn ages(d: &Desk<'_>, on: &str, day: &str) {
    d.sql(&format!("COMMENT ON {on} IS 'Quarantined by plumb at {day}T12:00:00Z, plan 0a0b0c0d: table public.x'")).await;
}

#[test]
fn nothing_is_there() {
    desk("nothing", async |d| {
        for line in ["purge --db $DB", "purge --db $DB --older-than 0d"] {
            assert!(d.exits(0, line).stdout.contains("Nothing was put aside"), "{line}");
        }
        let json: serde_json::Value = serde_json::from_str(&d.exits(0, "purge --db $DB --format json").stdout).unwrap();
        assert_eq!(json["objects"].as_array().unwrap().len(), 0);
        assert!(d.exits(1, "purge --db $DB --older-than 30").stderr.contains("no unit"));
        assert!(d.exits(1, "purge --db nothing.json").stderr.contains("purge::snapshot"));
    });
}

#[test]
fn what_is_old_enough_goes() {
    desk("old", async |d| {
        d.sql("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 1000); CREATE TABLE b (id int); CREATE TABLE c (id int, \"x \"\"y\" text)").await;
        d.sql("CREATE TABLE base (id int); CREATE TABLE heir () INHERITS (base)").await;
        d.sql("INSERT INTO c SELECT n, 'value' FROM generate_series(1, 100) n; ANALYZE c").await;
        becomes(d, "CREATE TABLE c (id int);", "").await;
        let list = d.exits(0, "purge --db $DB").stdout;
        println!("{list}");
        assert!(list.contains("5 objects") && list.contains("was table public.a") && list.contains(" ago"), "{list}");
        assert!(
            list.contains("public.c.\"plumb_quarantine_x \"\"y\"") && list.contains("kB") && list.contains("600 bytes"),
            "{list}"
        );
        assert!(list.contains("plumb purge --older-than 0d"), "{list}");
        let plan = d.place.read("proven.json");
        let id = serde_json::from_str::<serde_json::Value>(&plan).unwrap()["id"].as_str().unwrap()[..8].to_owned();
        assert_eq!(list.matches(&format!("plan {id}")).count(), 5, "{list}");
        ages(d, "TABLE plumb_quarantine.a", "2026-01-02").await;
        ages(d, "COLUMN c.\"plumb_quarantine_x \"\"y\"", "2026-01-02").await;
        d.sql("COMMENT ON TABLE plumb_quarantine.b IS 'mine'").await;
        // A comment alone makes nothing of it, nor does a name alone.
        d.sql("CREATE TABLE public.innocent (id int)").await;
        ages(d, "TABLE public.innocent", "2020-01-01").await;
        let list = d.exits(0, "purge --db $DB").stdout;
        assert!(list.contains(" days ago") && list.contains("nobody knows when") && !list.contains("innocent"), "{list}");
        let refused = d.exits(3, "purge --db $DB --older-than 30d");
        assert!(
            refused.stdout.contains("To be dropped") && refused.stderr.contains("--yes"),
            "{}{}",
            refused.stdout,
            refused.stderr
        );
        let purged = d.exits(0, "purge --db $DB --older-than 30d --yes").stdout;
        assert!(purged.contains("2 objects dropped") && purged.contains("1 object without a comment"), "{purged}");
        assert_eq!(
            d.number("SELECT count(*) FROM pg_attribute WHERE attrelid = 'c'::regclass AND attnum > 0 AND NOT attisdropped")
                .await,
            1
        );
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b', 'innocent') AND relkind = 'r'").await, 2);
        let none = d.exits(0, "purge --db $DB --older-than 30d --yes").stdout;
        assert!(none.contains("longer than 30 days ago: 3 objects stay"), "{none}");
        // A table and what inherits from it, in whatever order they are named.
        let json: serde_json::Value = serde_json::from_str(
            &d.exits(0, "purge --db $DB --older-than 0d --yes --format json")
                .stdout
                .lines()
                .skip_while(|l| *l != "{")
                .collect::<String>(),
        )
        .unwrap();
        let objects = json["objects"].as_array().unwrap();
        assert!(objects.len() == 2 && objects.iter().all(|o| o["dropped"] == true), "{json}");
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname IN ('base', 'heir')").await, 0);
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'plumb_quarantine'").await, 1, "b is in it");
    });
}

#[test]
fn what_cannot_go_is_named() {
    desk("stays", async |d| {
        d.sql("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)").await;
        becomes(d, "CREATE TABLE c (id int);", "").await;
        d.sql("CREATE VIEW uses_it AS SELECT * FROM plumb_quarantine.a").await;
        let part = d.exits(4, "purge --db $DB --older-than 0d --yes");
        assert!(
            part.stderr.contains("purge::stays") && part.stderr.contains("view public.uses_it depends on"),
            "{}",
            part.stderr
        );
        assert!(part.stdout.contains("1 object dropped"), "{}", part.stdout);
        d.sql("DROP VIEW uses_it; BEGIN; LOCK TABLE plumb_quarantine.a").await;
        let busy = d.exits(1, "purge --db $DB --older-than 0d --yes --lock-timeout 300ms");
        assert!(busy.stderr.contains("lock timeout"), "{}{}", busy.stdout, busy.stderr);
        d.sql("COMMIT; SELECT pg_advisory_unlock_all()").await;
        d.exits(0, "purge --db $DB --older-than 0d --yes");
        assert!(d.exits(0, "drift --db $DB").stdout.contains("No drift"));
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'plumb_quarantine'").await, 0);
    });
}

#[test]
fn after_it_the_way_back_makes_an_empty_table() {
    desk("empty", async |d| {
        d.sql("CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE TABLE c (id int, x int)").await;
        becomes(d, "CREATE TABLE c (id int);", "").await;
        d.exits(0, "purge --db $DB --older-than 0d --yes");
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM a").await, 0);
        d.sql("SELECT x FROM c").await;
    });
}
