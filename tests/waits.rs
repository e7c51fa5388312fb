//! Locks that others hold while a plan is applied: nobody waits behind it for longer than the lock timeout, and who is in the way is
//! named, or ended where that is wanted.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::time::{Duration, Instant};
use support::command::finish;
use support::desk::{Desk, Writer, desk, waits};
use support::server;

async fn three_tables(d: &Desk<'_>) {
    let tables = ["a", "b", "c"].map(|t| format!("CREATE TABLE {t} (x int);")).concat();
    d.sql(&tables).await;
    d.place.write("schema/t.sql", &tables.replace("x int", "x int, y int"));
    d.exits(2, "plan --db $DB --out plan.json");
}

#[test]
fn all_waits_of_a_transaction_together_are_bounded() {
    desk("waits", async |d| {
        three_tables(d).await;
        let holders =
            [server::session(&d.database).await, server::session(&d.database).await, server::session(&d.database).await];
        for (holder, table) in holders.iter().zip(["a", "b", "c"]) {
            holder.client.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE")).await.unwrap();
        }
        let apply = d.start("apply plan.json --db $DB --lock-timeout 2s");
        waits(d).await;
        // Each of them is in the way for less than the timeout, one after another.
        let release = async {
            for holder in &holders {
                tokio::time::sleep(Duration::from_millis(1600)).await;
                holder.client.batch_execute("COMMIT").await.unwrap();
            }
        };
        let reader = async {
            tokio::time::sleep(Duration::from_millis(1800)).await;
            let begun = Instant::now();
            let reader = server::session(&d.database).await;
            reader.client.batch_execute("SELECT FROM a").await.unwrap();
            begun.elapsed()
        };
        let ((), read) = tokio::join!(release, reader);
        let done = finish(apply);
        assert_eq!(done.exit, 0, "{done:?}");
        assert!(done.stderr.contains("retry"), "it gave way: {done:?}");
        assert!(read < Duration::from_millis(1500), "somebody who only reads waited {read:?} behind the plan");
    });
}

/// Without an order of its own each try, and with waits as long as the server's for a deadlock, either the plan never gets its locks or
/// the writers end.
#[test]
fn a_plan_ends_nobody_by_a_deadlock() {
    desk("deadlock", async |d| {
        three_tables(d).await;
        // To the same tables in another order, each time in one transaction.
        let tables = ["c", "b", "a"].map(|t| format!("INSERT INTO {t} VALUES (1);")).concat();
        let writers = [tables.clone(), tables].map(|sql| Writer::new(&d.database, move |_| sql.clone()));
        let done = d.run("apply plan.json --db $DB --wait 1min");
        let written = writers.map(Writer::stop);
        assert_eq!(done.exit, 0, "{done:?}");
        assert!(written.iter().all(|n| *n > 10), "{written:?}");
    });
}

#[test]
fn idle_sessions_are_ended_where_that_is_wanted() {
    desk("idle", async |d| {
        three_tables(d).await;
        let idle = server::session(&d.database).await;
        idle.client.batch_execute("SET application_name = 'forgotten'; BEGIN; SELECT FROM a").await.unwrap();
        let busy = server::session(&d.database).await;
        let refused = d.exits(3, "apply plan.json --db $DB --lock-timeout 300ms --wait 1s");
        for said in ["forgotten", "\"idle in transaction\"", "SELECT FROM a"] {
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        }
        assert!(idle.is_open(), "only where it is wanted");
        let done = d.exits(0, "apply plan.json --db $DB --lock-timeout 2s --terminate-blockers idle");
        assert!(done.stderr.contains("ended ") && done.stderr.contains("forgotten"), "{}", done.stderr);
        assert!(idle.client.batch_execute("SELECT 1").await.is_err(), "its session is gone");
        busy.client.batch_execute("SELECT FROM a").await.unwrap();
    });
}

#[test]
fn a_session_that_works_is_not_ended() {
    desk("works", async |d| {
        three_tables(d).await;
        let busy = server::session(&d.database).await;
        let work =
            async { busy.client.batch_execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE; SELECT pg_sleep(3); COMMIT").await };
        let apply = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let child = d.start("apply plan.json --db $DB --lock-timeout 500ms --terminate-blockers idle");
            tokio::task::spawn_blocking(|| finish(child)).await.unwrap()
        };
        let (worked, done) = tokio::join!(work, apply);
        worked.expect("it came to its end");
        assert_eq!(done.exit, 0, "{done:?}");
    });
}

#[test]
fn an_index_that_cannot_be_finished_ends_with_its_budget() {
    desk("budget", async |d| {
        d.sql("CREATE TABLE t (x int); INSERT INTO t VALUES (1)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (x int);\nCREATE INDEX t_x ON t (x);\n");
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let writer = server::session(&d.database).await;
        writer.client.batch_execute("SET application_name = 'long_writer'; BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
        let begun = Instant::now();
        let done = d.run("apply plan.json --db $DB --wait 3s");
        assert!([3, 4].contains(&done.exit), "{done:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        for said in ["waiting for", "long_writer", "does not get its lock", "unfinished index"] {
            assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
        }
        writer.client.batch_execute("COMMIT").await.unwrap();
        // As long as the writer is there the unfinished index cannot be dropped either.
        assert!(done.stderr.contains("is left: DROP INDEX CONCURRENTLY public.t_x;"), "{}", done.stderr);
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
        d.exits(0, "drift --db $DB");
    });
}
