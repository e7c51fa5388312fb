//! Signals to a running apply: the first Ctrl-C ends it after the step, the second cancels the statement, the third does not wait.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::pg::lock;
use rustix::process::Signal;
use std::process::Child;
use std::time::{Duration, Instant};
use support::command::{Done, finish};
use support::desk::{Desk, desk, signal, until};

/// A check whose function takes its time on every row, and what comes before and after it.
const WANTED: &str =
    "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(x); RETURN true; END $$;
CREATE TABLE before_it (id int);
CREATE TABLE t (x int, CONSTRAINT is_slow CHECK (slow(x)), CONSTRAINT later CHECK (slow(x - x)));
CREATE INDEX t_x ON t (x);
";

/// A plan in which a step takes so many seconds, made in the way for tables that hold rows or not.
async fn slow(d: &Desk<'_>, seconds: u32, online: &str) {
    let function = WANTED.lines().next().unwrap();
    d.sql(&format!("{function} CREATE TABLE t (x int); INSERT INTO t VALUES ({seconds})")).await;
    d.place.write("schema/t.sql", WANTED);
    d.exits(2, &format!("plan --db $DB --out plan.json --online {online}"));
}

/// Starts the apply, and waits until the slow step runs.
async fn at_work(d: &Desk<'_>) -> Child {
    let apply = d.start("apply plan.json --db $DB --allow all");
    let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE 'ALTER TABLE%' AND datname = current_database()";
    until("the slow step runs", async || d.number(query).await > 0).await;
    apply
}

async fn nothing_runs(d: &Desk<'_>) {
    until("its session ends", async || lock::holder(&d.session.client).await.unwrap().is_none()).await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    until("all sessions end", async || d.number(others).await == 0).await;
}

fn says(done: &Done, exit: i32, all: &[&str]) {
    assert_eq!(done.exit, exit, "{done:?}");
    all.iter().for_each(|said| assert!(done.stderr.contains(said), "{said}: {}", done.stderr));
}

const THERE: &str = "SELECT count(*) FROM pg_class WHERE relname = 'before_it'";
const LAST_RUN: &str =
    "SELECT count(*) FROM (SELECT outcome FROM plumb.run ORDER BY id DESC LIMIT 1) r WHERE outcome = 'interrupted'";

#[test]
fn the_first_one_waits_for_the_step_in_a_transaction() {
    desk("sig1", async |d| {
        slow(d, 2, "never").await;
        let begun = Instant::now();
        let apply = at_work(d).await;
        signal(apply.id(), Signal::INT);
        let done = finish(apply);
        says(&done, 130, &["plumb: interrupted; it stops after step", "Nothing was applied", "can be applied later"]);
        assert!(begun.elapsed() > Duration::from_secs(1), "the step came to its end");
        nothing_runs(d).await;
        assert_eq!((d.number(THERE).await, d.number(LAST_RUN).await), (0, 1));
        d.exits(0, "apply plan.json --db $DB --allow all");
        assert_eq!(d.number(THERE).await, 1);
    });
}

#[test]
fn the_first_one_between_transactions_leaves_what_can_be_gone_on_with() {
    desk("sig2", async |d| {
        slow(d, 2, "always").await;
        let apply = at_work(d).await;
        signal(apply.id(), Signal::INT);
        let done = finish(apply);
        says(&done, 4, &["interrupted", "are applied and stay, and nothing of what comes after", "--resume"]);
        nothing_runs(d).await;
        assert_eq!((d.number(THERE).await, d.number(LAST_RUN).await), (1, 1));
        d.exits(0, "apply --resume --db $DB");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn the_second_one_cancels_the_statement() {
    for online in ["never", "always"] {
        desk("sig3", async |d| {
            slow(d, 60, online).await;
            let apply = at_work(d).await;
            signal(apply.id(), Signal::INT);
            tokio::time::sleep(Duration::from_millis(300)).await;
            let second = Instant::now();
            signal(apply.id(), Signal::INT);
            let done = finish(apply);
            let (exit, state) = if online == "never" { (130, "Nothing was applied") } else { (4, "applied and stay") };
            says(&done, exit, &["is cancelled", "interrupted during step", state]);
            assert!(second.elapsed() < Duration::from_secs(10), "{:?}", second.elapsed());
            nothing_runs(d).await;
            assert_eq!(d.number(LAST_RUN).await, 1, "{online}");
            d.sql("UPDATE t SET x = 0").await;
            let again = if online == "never" { "apply plan.json --db $DB --allow all" } else { "apply --resume --db $DB" };
            d.exits(0, again);
            d.exits(0, "drift --db $DB");
        });
    }
}

#[test]
fn what_terminates_cancels_at_once() {
    desk("sig4", async |d| {
        slow(d, 60, "never").await;
        let apply = at_work(d).await;
        let sent = Instant::now();
        signal(apply.id(), Signal::TERM);
        says(&finish(apply), 130, &["plumb: terminated", "Nothing was applied"]);
        assert!(sent.elapsed() < Duration::from_secs(10));
        nothing_runs(d).await;
    });
}

#[test]
fn the_third_one_does_not_wait_for_a_server_that_says_nothing() {
    desk("sig5", async |d| {
        slow(d, 60, "never").await;
        let apply = at_work(d).await;
        let pid = "SELECT pid::bigint FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
        let backend = u32::try_from(d.number(pid).await).unwrap();
        signal(backend, Signal::STOP);
        for _ in 0..3 {
            signal(apply.id(), Signal::INT);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let third = Instant::now();
        let done = finish(apply);
        signal(backend, Signal::CONT);
        says(&done, 130, &["interrupted"]);
        assert!(third.elapsed() < Duration::from_secs(10));
        nothing_runs(d).await;
        assert_eq!(d.number(THERE).await, 0);
    });
}

#[test]
fn while_it_waits_for_a_lock_it_tries_no_more() {
    desk("sig6", async |d| {
        d.sql("CREATE TABLE t (x int)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (x int, y int);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 300ms --wait 10m");
        support::desk::waits(d).await;
        let sent = Instant::now();
        signal(apply.id(), Signal::INT);
        says(&finish(apply), 130, &["interrupted", "Nothing was applied"]);
        assert!(sent.elapsed() < Duration::from_secs(10));
        d.sql("COMMIT").await;
        nothing_runs(d).await;
        d.exits(0, "apply plan.json --db $DB");
    });
}
