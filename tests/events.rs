//! What machines are told of an apply (docs/events.md), line by line.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::pg::sync_scans;
use serde_json::Value;
use std::time::{Duration, Instant};
use support::desk::{Desk, desk, waits};
use support::server;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn named<'a>(all: &'a [Value], event: &str) -> Vec<&'a Value> {
    all.iter().filter(|e| e["event"] == event).collect()
}

/// A table with rows, and a plan that fills a column, adds a check and builds an index.
async fn planned(d: &Desk<'_>) {
    d.sql("CREATE TABLE t (id bigint PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 3000) g").await;
    let wanted = "CREATE TABLE t (\n    id bigint PRIMARY KEY,\n    a int,\n    b uuid NOT NULL DEFAULT gen_random_uuid(),\n    CHECK (a > 0)\n);\n\
         CREATE INDEX \"t; --\" ON t (a);\n";
    d.place.write("schema/t.sql", wanted);
    d.exits(2, "plan --db $DB --out plan.json");
}

#[test]
fn every_step_is_told_and_standard_output_has_nothing_else() {
    desk("events", async |d| {
        planned(d).await;
        let done = d.exits(0, "apply plan.json --db $DB --yes --events -");
        assert!(done.stderr.contains("Done:"), "people are told beside it: {}", done.stderr);
        let all = lines(&done.stdout);
        let begin = &all[0];
        assert_eq!((begin["event"].as_str(), begin["done_before"].as_u64()), (Some("begin"), Some(0)));
        let steps = begin["steps"].as_u64().unwrap();
        let numbers = |event| named(&all, event).iter().map(|e| e["step"].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!(numbers("done"), (1..=steps).collect::<Vec<_>>());
        assert_eq!(numbers("started"), (1..=steps).collect::<Vec<_>>());
        let rows = named(&all, "progress").into_iter().find(|e| e["of"] == "rows").expect("rows are counted");
        assert!(rows["done"].as_u64() >= Some(1000), "{rows}");
        let end = all.last().unwrap();
        assert_eq!((&end["event"], &end["exit"], &end["applied"]), (&"end".into(), &0.into(), &steps.into()));
        assert!(end.get("error").is_none());
        let time = end["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && time.starts_with("20"), "{time}");
    });
}

#[test]
fn of_a_validation_it_is_estimated_how_far_it_is() {
    desk("eventsvalidate", async |d| {
        let slow = "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.005); RETURN x > 0; END $$;\n";
        d.sql(&format!("{slow} CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 900); ANALYZE t")).await;
        d.place.write("schema/t.sql", &format!("{slow}CREATE TABLE t (x int, CHECK (slow(x)));\n"));
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let all = lines(&d.exits(0, "apply plan.json --db $DB --allow all --events -").stdout);
        let told = named(&all, "progress");
        let estimates: Vec<&&Value> = told.iter().filter(|e| e["of"] == "rows, by estimate").collect();
        // The rows were asked before, which took as long: it is known from the third second on.
        let first = estimates.first().unwrap_or_else(|| panic!("nothing is told: {told:?}"));
        let (done, left) = (first["done"].as_u64().unwrap(), first["left"].as_f64().unwrap());
        assert_eq!(first["total"], 900);
        assert!((200..800).contains(&done) && left < 4.0, "{first}");
        assert!(estimates.iter().all(|e| e["done"].as_u64() <= Some(900)), "{estimates:?}");
    });
}

/// A table of 1,000 blocks, more than a quarter of the shared buffers of these servers, a check on which takes 5 s, and a scan of it that has
/// stopped halfway, so that the next one begins there.
const LARGE: &str = "CREATE TABLE \"T; --\" (x int, pad text); \
     INSERT INTO \"T; --\" SELECT g, repeat('x', 1900) FROM generate_series(1, 4000) g; ANALYZE \"T; --\"; \
     SELECT count(*) FROM (SELECT FROM \"T; --\" LIMIT 2000) AS half";

#[test]
fn of_the_validation_of_a_large_table_it_is_seen_how_far_it_is() {
    desk("eventsscan", async |d| {
        let slow = "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN IF x % 20 = 0 THEN PERFORM pg_catalog.pg_sleep(0.025); END IF; RETURN x > 0; END $$;\n";
        d.sql(&format!("{slow} {LARGE}")).await;
        let wanted = "CREATE TABLE \"T; --\" (\n    x int,\n    pad text,\n    CHECK (slow(x))\n);\n";
        d.place.write("schema/t.sql", &format!("{slow}{wanted}"));
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let applied = d.exits(0, "apply plan.json --db $DB --allow all --events -");
        let all = lines(&applied.stdout);
        let told = named(&all, "progress");
        let read: Vec<u64> =
            told.iter().filter(|e| e["of"] == "rows read of public.\"T; --\"").filter_map(|e| e["done"].as_u64()).collect();
        assert!(read.len() >= 2 && read.is_sorted(), "{told:?}");
        // Looked at the third second or later, within five.
        assert!((800..3200).contains(&read[0]) && read[read.len() - 1] > 2000, "{read:?}");
        let last = told[told.len() - 1];
        assert_eq!(last["total"], 4000);
        let expected = 5.0 * (1.0 - last["done"].as_f64().unwrap() / 4000.0);
        let left = last["left"].as_f64().unwrap();
        assert!((left - expected).abs() < 1.5, "{left} s instead of {expected} s: {told:?}");
    });
}

#[test]
fn nobody_waits_for_who_looks_at_scans() {
    desk("eventslook", async |d| {
        let looked = async |client: &tokio_postgres::Client| {
            let table = "public.\"T; --\"".to_owned();
            let gone = "public.gone".to_owned();
            let small = "small".to_owned();
            let since = Instant::now();
            let found = sync_scans(client, &[&table, &gone, &small].into()).await.map_err(|e| server::message(&e));
            assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
            found.map(|found| found.into_iter().map(|s| (s.relation, s.block, s.blocks, s.rows)).collect::<Vec<_>>())
        };
        let other = server::session(&d.database).await;
        assert_eq!(looked(&other.client).await, Ok(vec![]), "nothing is there");
        d.sql(&format!("CREATE TABLE small (x int); {LARGE}")).await;
        let halfway = Ok(vec![("public.\"T; --\"".to_owned(), 496, 1000, Some(4000))]);
        assert_eq!(looked(&other.client).await, halfway, "the block that is noted, a multiple of 16");
        // Locked, and wanted by somebody who waits behind a reader.
        d.sql("BEGIN; LOCK TABLE \"T; --\"").await;
        assert_eq!(looked(&other.client).await, Ok(vec![]));
        d.sql("COMMIT; BEGIN; LOCK TABLE \"T; --\" IN ACCESS SHARE MODE").await;
        let third = server::session(&d.database).await;
        let wanting = third.client.batch_execute("BEGIN; LOCK TABLE \"T; --\"; COMMIT");
        let look = async {
            waits(d).await;
            let found = looked(&other.client).await;
            d.sql("COMMIT").await;
            found
        };
        let (wanted, found) = tokio::join!(wanting, look);
        assert_eq!((wanted.map_err(|e| server::message(&e)), found), (Ok(()), Ok(vec![])));
        // Policies are code of others: they are not run.
        let policy = "CREATE FUNCTION run() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'run'; END $$; CREATE POLICY p ON \"T; --\" USING (run()); \
             ALTER TABLE \"T; --\" ENABLE ROW LEVEL SECURITY; CREATE ROLE reader; GRANT SELECT ON \"T; --\" TO reader";
        d.sql(policy).await;
        other.client.batch_execute("SET ROLE reader").await.unwrap();
        assert_eq!(looked(&other.client).await, Ok(vec![]));
        other.close().await;
        third.close().await;
        d.sql("DROP OWNED BY reader; DROP ROLE reader").await;
    });
}

#[test]
fn who_is_in_the_way_is_told_and_a_refusal_is_an_end() {
    desk("eventswait", async |d| {
        planned(d).await;
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.exits(1, "apply plan.json --db $DB --yes --events log/events.jsonl --wait 3s --lock-timeout 300ms");
        assert!(apply.stderr.contains("events::file"), "{}", apply.stderr);
        d.exits(3, "apply plan.json --db $DB --yes --events events.jsonl --wait 3s --lock-timeout 300ms");
        let text = d.place.read("events.jsonl");
        let all = lines(&text);
        let pid = d.number("SELECT pg_backend_pid()::bigint").await;
        let waiting = named(&all, "waiting");
        let blocker = &waiting.first().expect("it waits")["blockers"][0];
        assert_eq!((blocker["pid"].as_i64(), blocker["state"].as_str()), (Some(pid), Some("idle in transaction")));
        let retry = named(&all, "retry");
        assert_eq!(retry.first().map(|r| r["attempt"].as_u64()), Some(Some(2)));
        let failed = named(&all, "failed");
        assert_eq!(failed.last().unwrap()["sqlstate"], "55P03");
        let end = all.last().unwrap();
        assert_eq!((&end["event"], &end["exit"], &end["error"]), (&"end".into(), &3.into(), &"apply::locked".into()));
        d.sql("COMMIT").await;
        d.exits(0, "apply plan.json --db $DB --yes --events events.jsonl");
        let more = d.place.read("events.jsonl");
        assert!(more.starts_with(&text) && more.len() > text.len(), "a file is added to");
    });
}

#[test]
fn a_full_disk_stops_no_apply() {
    desk("eventsfull", async |d| {
        planned(d).await;
        let done = d.exits(0, "apply plan.json --db $DB --yes --events /dev/full");
        assert_eq!(done.stderr.matches("no more events are written").count(), 1, "{}", done.stderr);
        assert!(done.stdout.contains("Done:"), "{}", done.stdout);
    });
}

#[test]
fn how_long_the_rest_takes_is_told() {
    desk("eventsleft", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 600) g; ANALYZE t")
            .await;
        d.place.write("plumb.toml", "backfill_batch = 100\nbackfill_pause = \"600ms\"\n");
        d.place.write(
            "schema/t.sql",
            "CREATE TABLE t (\n    id int PRIMARY KEY,\n    a int,\n    -- plumb: backfill a\n    b int\n);\n",
        );
        d.exits(2, "plan --db $DB --out plan.json");
        let done = d.exits(0, "apply plan.json --db $DB --yes --events -");
        let all = lines(&done.stdout);
        let told = named(&all, "progress");
        assert_eq!(told[0].get("left"), None, "nothing is known yet: {}", told[0]);
        let left = told.iter().rev().find_map(|e| e["left"].as_f64()).unwrap_or_else(|| panic!("{}", done.stdout));
        assert!((0.3..1.5).contains(&left), "one of six batches is left: {left}");
    });
}

#[test]
fn the_building_of_an_index_is_told() {
    desk("eventsindex", async |d| {
        let slow = "CREATE FUNCTION slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN a; END $$;\n";
        let table = "CREATE TABLE t (id bigint PRIMARY KEY, a int);\n";
        d.sql(&format!("{slow}{table}INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g")).await;
        d.place.write("schema/t.sql", &format!("{slow}{table}CREATE INDEX i ON t (slow(a));\n"));
        d.exits(2, "plan --db $DB --online always --out plan.json");
        let done = d.exits(0, "apply plan.json --db $DB --yes --events -");
        let all = lines(&done.stdout);
        let told = named(&all, "progress");
        let scanning = told.iter().find(|e| e["of"].as_str().is_some_and(|of| of.starts_with("building index")));
        let scanning = scanning.unwrap_or_else(|| panic!("{}", done.stdout));
        assert!(scanning["total"].as_u64() > Some(0) && scanning["done"].as_u64() <= scanning["total"].as_u64(), "{scanning}");
    });
}
