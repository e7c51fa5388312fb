//! How long a statement of a plan may run, by what it does to rows.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::{Desk, desk};

/// A table whose rows take a while to be looked at, so that the server looks at its clock meanwhile.
async fn rows(d: &Desk<'_>) {
    d.sql(
        "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$;
           CREATE TABLE t (id int PRIMARY KEY, x int); INSERT INTO t SELECT n, n FROM generate_series(1, 60) n; ANALYZE t",
    )
    .await;
}

const BEFORE: &str =
    "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$;\n";

#[test]
fn what_reads_rows_ends_at_its_limit_and_nothing_else_does() {
    desk("limit_scan", async |d| {
        rows(d).await;
        let wanted = format!("{BEFORE}CREATE TABLE t (id int PRIMARY KEY, x int, CHECK (slow(x)));\n");
        d.place.write("schema/t.sql", &wanted);
        d.place.write("plumb.toml", "row_check_timeout = \"0s\"\n[statement_timeout]\nscan = \"300ms\"\n");
        d.exits(2, "plan --db $DB --out plan.json --online never");
        let done = d.run("apply plan.json --db $DB");
        assert!([1, 4].contains(&done.exit), "{done:?}");
        for said in ["statement timeout", "0.3 s", "`scan` of [statement_timeout]"] {
            assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        }
        assert_eq!(d.number("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = 't'::regclass").await, 0);
        // What nobody has said has no limit, and the others are not about reading.
        d.place.write(
            "plumb.toml",
            "row_check_timeout = \"0s\"\n[statement_timeout]\nbrief = \"500ms\"\nrewrite = \"1ms\"\nbatch = \"1ms\"\n",
        );
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn a_batch_ends_at_its_limit_and_what_is_done_stays() {
    desk("limit_batch", async |d| {
        rows(d).await;
        let wanted = format!(
            "{BEFORE}CREATE TABLE t (\n    id int PRIMARY KEY,\n    x int,\n    -- plumb: backfill CASE WHEN id < 41 OR slow(id) THEN id END\n    y int NOT NULL\n);\n"
        );
        d.place.write("schema/t.sql", &wanted);
        let config = "backfill_batch = 20\nbackfill_pause = \"0s\"\nrow_check_timeout = \"0s\"\n";
        d.place.write("plumb.toml", &format!("{config}[statement_timeout]\nbatch = \"150ms\"\n"));
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let done = d.run("apply plan.json --db $DB");
        assert!([1, 4].contains(&done.exit), "{done:?}");
        assert!(done.stderr.contains("`batch` of [statement_timeout]"), "{}", done.stderr);
        assert_eq!(d.number("SELECT count(y) FROM t").await, 40, "two batches have their values");
        d.place.write("plumb.toml", config);
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number("SELECT count(y) FROM t").await, 60);
    });
}

#[test]
fn an_index_ends_at_its_limit_and_is_taken_away() {
    desk("limit_apart", async |d| {
        rows(d).await;
        let immutable = BEFORE.replace("plpgsql AS", "plpgsql IMMUTABLE AS");
        d.sql(&immutable.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")).await;
        let wanted = format!("{immutable}CREATE TABLE t (id int PRIMARY KEY, x int);\nCREATE INDEX t_slow ON t (slow(x));\n");
        d.place.write("schema/t.sql", &wanted);
        d.place.write("plumb.toml", "[statement_timeout]\napart = \"200ms\"\n");
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let done = d.run("apply plan.json --db $DB");
        assert!([1, 4].contains(&done.exit), "{done:?}");
        for said in ["`apart` of [statement_timeout]", "was dropped"] {
            assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        }
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 't_slow'").await, 0);
        d.place.write("plumb.toml", "");
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn what_should_be_brief_ends_after_a_minute_when_nobody_says_so() {
    use plumb::apply::time_limit::{BRIEF, TimeLimits};
    desk("limit_brief", async |d| {
        d.sql("CREATE TABLE t (id int)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (id int, x int);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        let plan = plumb::plan::read(&d.place.read("plan.json")).unwrap();
        let limits = TimeLimits { brief: Some(BRIEF), ..TimeLimits::default() };
        let step = plan.steps().next().unwrap();
        assert_eq!(limits.of(step, true).sql(true), "SET LOCAL statement_timeout = 60000");
        assert_eq!(limits.of(step, false).time, None);
        // Code that somebody hangs on DDL counts.
        d.sql(
            "CREATE SCHEMA ops; CREATE FUNCTION ops.hang() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); END $$;
               CREATE EVENT TRIGGER hang ON ddl_command_end EXECUTE FUNCTION ops.hang()",
        )
        .await;
        d.place.write("plumb.toml", "[statement_timeout]\nbrief = \"300ms\"\n");
        let done = d.run("apply plan.json --db $DB --no-ledger");
        assert!([1, 4].contains(&done.exit) && done.stderr.contains("`brief` of [statement_timeout]"), "{done:?}");
    });
}
