//! Partitions that leave while others work: nobody who reads or writes their table waits, and a detaching that was broken off halfway comes to its end.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::plan::read;
use rustix::process::Signal;
use std::process::Child;
use std::time::{Duration, Instant};
use support::command::finish;
use support::desk::{Desk, Writer, desk, killed, signal, until};
use support::server;

const BEFORE: &str =
    "CREATE TABLE \"Evénts\" (id bigint, at date NOT NULL, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON \"Evénts\" (note);
CREATE TABLE e24 PARTITION OF \"Evénts\" FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE e25 PARTITION OF \"Evénts\" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE \"e26 DETACH PARTITION x\" PARTITION OF \"Evénts\" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO \"Evénts\" SELECT n, date '2024-01-01' + n % 1000, 'note' FROM generate_series(1, 3000) n;";

/// What is left of it: without the oldest, and with the hostile one on its own where `stays`.
fn after(stays: bool) -> String {
    let kept = BEFORE.lines().filter(|line| !line.starts_with("CREATE TABLE e24") && !line.starts_with("INSERT"));
    let alone = "CREATE TABLE \"e26 DETACH PARTITION x\" (id bigint NOT NULL, at date NOT NULL, note text, PRIMARY KEY (id, at));\nCREATE INDEX ON \"e26 DETACH PARTITION x\" (note);";
    let line = |line: &'static str| if stays && line.starts_with("CREATE TABLE \"e26") { alone } else { line };
    kept.map(|l| line(l).to_owned() + "\n").collect()
}

async fn planned(d: &Desk<'_>, stays: bool) -> String {
    d.sql(BEFORE).await;
    d.place.write("schema/all.sql", &after(stays));
    d.exits(2, "plan --db $DB --out plan.json --online always");
    sql(d)
}

const HALFWAY: &str = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";

/// The statements of the plan.
fn sql(d: &Desk<'_>) -> String {
    let plan = read(&std::fs::read_to_string(d.place.path().join("plan.json")).unwrap()).unwrap();
    plan.steps().flat_map(|step| &step.sql).map(|sql| format!("{sql};\n")).collect()
}

/// Somebody's old transaction, which has read the table.
async fn reading(d: &Desk<'_>) {
    d.sql("BEGIN; SELECT count(*) FROM \"Evénts\"").await;
}

async fn until_halfway(d: &Desk<'_>) {
    until("it is halfway", async || {
        let other = server::session(&d.database).await;
        let halfway: i64 = other.client.query_one(HALFWAY, &[]).await.unwrap().get(0);
        other.close().await;
        halfway > 0
    })
    .await;
}

/// The partition that stays is held by its own name, so that the second half of detaching it has to wait: an apply that waits there.
async fn waiting_halfway(d: &Desk<'_>, lock_timeout: &str) -> Child {
    planned(d, true).await;
    d.sql("BEGIN; LOCK TABLE \"e26 DETACH PARTITION x\" IN ACCESS SHARE MODE").await;
    let apply = d.start(&format!("apply plan.json --db $DB --allow all --lock-timeout {lock_timeout}"));
    until_halfway(d).await;
    apply
}

#[test]
fn nobody_waits_and_it_goes_through() {
    desk("detach", async |d| {
        let plan = planned(d, true).await;
        for statement in [
            "DETACH PARTITION public.e24 CONCURRENTLY",
            "DETACH PARTITION public.\"e26 DETACH PARTITION x\" CONCURRENTLY",
            "DROP CONSTRAINT IF EXISTS \"e26 DETACH PARTITION x_at_check\"",
        ] {
            assert!(plan.contains(statement), "{plan}");
        }
        reading(d).await;
        let apply = d.start("apply plan.json --db $DB --allow all --lock-timeout 1s");
        until_halfway(d).await;
        // others read and write as before: it waits for the old transaction, and they do not wait for it
        let others = Writer::new(&d.database, |n| {
            format!(
                "INSERT INTO \"Evénts\" VALUES ({}, '2025-02-01', 'new'); SELECT count(*) FROM \"Evénts\" WHERE at > '2025-03-01'",
                10_000 + n
            )
        });
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs(4)).await;
        let written = others.stop();
        assert!(written > 20, "{written} in {:?}", begun.elapsed());
        d.sql("COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 0, "{}", apply.stderr);
        assert!(apply.stderr.contains("retry") && apply.stderr.contains("idle in transaction"), "{}", apply.stderr);
        d.exits(0, "drift --db $DB");
        let kept =
            "SELECT (SELECT count(*) FROM \"Evénts\" WHERE note = 'note') + (SELECT count(*) FROM \"e26 DETACH PARTITION x\")";
        assert_eq!(d.number(kept).await, 3000 - 1098, "rows of 2024 are gone with their table, no others");
        assert_eq!(
            d.number("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace").await,
            0,
            "the check that is left"
        );
    });
}

#[test]
fn broken_off_halfway_it_goes_on() {
    for (n, stays) in [true, false].into_iter().enumerate() {
        desk(&format!("detachkilled{n}"), async |d| {
            planned(d, stays).await;
            reading(d).await;
            let apply = d.start("apply plan.json --db $DB --allow all --lock-timeout 30s");
            until_halfway(d).await;
            signal(apply.id(), Signal::KILL);
            finish(apply);
            d.sql("COMMIT").await;
            until("its session ends", async || {
                d.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
                    .await
                    == 0
            })
            .await;
            // it may have come to its end between the kill and the commit; then this says so
            println!("halfway: {}", d.number(HALFWAY).await);
            let drift = d.exits(3, "drift --db $DB");
            assert!(drift.stderr.contains("unfinished"), "{}", drift.stderr);
            let apply = d.exits(0, "apply plan.json --db $DB --allow all");
            assert!(apply.stdout.contains("the live schema equals what was planned"), "{}", apply.stdout);
            assert_eq!(d.number(HALFWAY).await, 0);
            d.exits(0, "drift --db $DB");
        });
    }
}

#[test]
fn halfway_for_sure_it_is_finished_and_somebody_elses_change_is_seen() {
    desk("detachhalf", async |d| {
        let apply = waiting_halfway(d, "30s").await;
        signal(apply.id(), Signal::KILL);
        finish(apply);
        let plumbs = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()";
        until("its sessions end", async || {
            d.sql("SELECT pg_stat_clear_snapshot()").await;
            d.number(plumbs).await == 0
        })
        .await;
        d.sql("COMMIT").await;
        assert_eq!(d.number(HALFWAY).await, 1);
        d.sql("CREATE TABLE hot (a int)").await;
        let refused = d.exits(3, "apply plan.json --db $DB --allow all");
        assert!(refused.stderr.contains("apply::changed") && refused.stderr.contains("table public.hot"), "{}", refused.stderr);
        d.sql("DROP TABLE hot").await;
        d.exits(0, "apply --resume --db $DB --allow all");
        assert_eq!(d.number(HALFWAY).await, 0);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn interrupted_halfway_it_is_said() {
    desk("detachint", async |d| {
        let apply = waiting_halfway(d, "30s").await;
        signal(apply.id(), Signal::TERM);
        let apply = finish(apply);
        assert_eq!(apply.exit, 4, "{}", apply.stderr);
        assert!(apply.stderr.contains("detached halfway") && apply.stderr.contains("--resume"), "{}", apply.stderr);
        d.sql("COMMIT").await;
        // given up instead, the next plan brings it to its end
        d.exits(0, "apply --abandon --db $DB --yes");
        d.exits(2, "plan --db $DB --out plan.json --online always");
        assert!(sql(d).contains("FINALIZE"), "{}", sql(d));
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn whoever_uses_the_partition_itself_does_not_wait_for_long() {
    desk("detachqueue", async |d| {
        let apply = waiting_halfway(d, "1s").await;
        let reader = server::session(&d.database).await;
        let (begun, mut longest) = (Instant::now(), Duration::ZERO);
        while begun.elapsed() < Duration::from_secs(4) {
            let asked = Instant::now();
            reader.client.batch_execute("SELECT FROM \"e26 DETACH PARTITION x\" LIMIT 1").await.unwrap();
            longest = longest.max(asked.elapsed());
        }
        reader.close().await;
        d.sql("COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 0, "{}", apply.stderr);
        assert!(longest < Duration::from_millis(1500), "{longest:?}");
        assert!(longest > Duration::from_millis(500), "nobody waited, so that this shows nothing: {longest:?}");
    });
}

#[test]
fn where_the_server_refuses_it_the_direct_form_is_taken() {
    for (n, more) in [
        "CREATE TABLE rest PARTITION OF \"Evénts\" DEFAULT;",
        "CREATE TABLE other (id bigint, at date, FOREIGN KEY (id, at) REFERENCES \"Evénts\");",
    ]
    .into_iter()
    .enumerate()
    {
        desk(&format!("detachdirect{n}"), async |d| {
            d.sql(&format!("{BEFORE}{more}")).await;
            d.place.write("schema/all.sql", &format!("{}{more}\n", after(true)));
            let plan = d.exits(2, "plan --db $DB --out - --format sql --online always").stdout;
            assert!(!plan.contains("CONCURRENTLY") && plan.contains("DETACH PARTITION"), "{plan}");
        });
    }
    desk("detachkilledtwice", async |d| {
        planned(d, false).await;
        reading(d).await;
        let apply = d.start("apply plan.json --db $DB --allow all --lock-timeout 30s");
        until_halfway(d).await;
        d.sql("COMMIT").await;
        killed(d, apply).await;
        d.run("apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}
