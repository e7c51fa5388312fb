//! Lines that say nothing any more, and lines that are lost at the very end: what waits for them ends, and nothing of plumb stays behind on the server.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[allow(dead_code)]
#[path = "support/faults/proxy.rs"]
mod proxy;
mod support;

use plumb::pg::lock;
use proxy::{Fault, From, Proxy};
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use support::command::{Done, finish, socket};
use support::desk::{Desk, TABLE, desk, signal, until, waits};
use support::server;

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
     AND application_name = 'plumb' AND backend_type = 'client backend'";

fn open(fault: Option<(usize, Fault)>) -> Proxy {
    Proxy::new(&Path::new(&socket()).join(".s.PGSQL.5432"), fault)
}

/// The database by way of the proxy, with little patience.
fn by(proxy: &Proxy, d: &Desk<'_>) -> String {
    let patience = "connect_timeout=4&keepalives_idle=1&keepalives_interval=1&keepalives_count=2";
    format!("postgresql://{}@127.0.0.1:{}/{}?sslmode=disable&{patience}", server::USER, proxy.port, d.database)
}

async fn wider(d: &Desk<'_>) {
    d.sql("SET application_name = 'somebody'; CREATE TABLE users (id bigint PRIMARY KEY)").await;
    d.place.write("schema/users.sql", TABLE);
    d.exits(2, "plan --db $DB --out plan.json");
}

/// An apply that waits for a lock while `silence` begins, and which is then given up.
async fn given_up(d: &Desk<'_>, silence: impl Fn(&Proxy)) -> Done {
    wider(d).await;
    d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
    let proxy = open(None);
    let apply = d.start(&format!("apply plan.json --db {} --lock-timeout 20s --allow all", by(&proxy, d)));
    waits(d).await;
    silence(&proxy);
    d.sql("COMMIT").await;
    let begun = Instant::now();
    let done = tokio::task::spawn_blocking(|| finish(apply)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // The proxy still holds the server's end.
    until("its sessions end", async || d.number(OTHERS).await == 0).await;
    assert!(lock::holder(&d.session.client).await.unwrap().is_none());
    d.exits(0, "apply plan.json --db $DB --allow all");
    d.exits(0, "drift --db $DB");
    done
}

#[test]
fn a_network_that_is_parted_is_given_up() {
    desk("parted", async |d| {
        let done = given_up(d, Proxy::part).await;
        assert!([1, 4].contains(&done.exit), "{done:?}");
        assert!(done.stderr.contains("is silent for 3 s and given up"), "{}", done.stderr);
    });
}

#[test]
fn a_line_of_which_only_the_server_knows_is_given_up() {
    desk("dead", async |d| {
        let done = given_up(d, Proxy::forget).await;
        assert!([1, 4].contains(&done.exit), "{done:?}");
        assert!(done.stderr.contains("is silent for 3 s and given up"), "{}", done.stderr);
    });
}

#[test]
fn a_statement_of_which_only_the_beginning_arrives_is_given_up() {
    desk("beginning", async |d| {
        wider(d).await;
        let proxy = open(None);
        d.exits(0, &format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        let messages = proxy.messages();
        let run = messages.iter().position(|m| m.kind == 'P' && m.text.contains("INSERT INTO plumb.run")).expect("a run begins");
        // The values of a statement, and the closing of one: what follows in the same piece does not arrive.
        for (kind, state) in [('B', "active"), ('C', "idle in transaction")] {
            let at = messages[run..].iter().position(|m| m.from == From::Plumb && m.kind == kind).expect("it follows") + run;
            d.sql("DROP SCHEMA plumb CASCADE; DROP TABLE users; CREATE TABLE users (id bigint PRIMARY KEY)").await;
            let cut = open(Some((at + 1, Fault::PartitionAfter)));
            let done = d.exits(1, &format!("apply plan.json --db {} --allow all", by(&cut, d)));
            assert!(done.stderr.contains("is silent for 3 s and given up"), "{}", done.stderr);
            // The server waits for the rest, and has no limit for that.
            assert!(d.exits(3, "apply plan.json --db $DB --allow all").stderr.contains("another plumb is at work"));
            tokio::time::sleep(Duration::from_secs(7)).await;
            let stuck = format!("{OTHERS} AND wait_event = 'ClientRead' AND state = '{state}'");
            assert_eq!(d.number(&stuck).await, 1, "{kind}");
            let done = d.exits(0, "apply plan.json --db $DB --allow all");
            let said = "was silent in the middle of a statement; its session was ended";
            assert!(done.stderr.contains(said), "{}", done.stderr);
            d.exits(0, "drift --db $DB");
        }
    });
}

#[test]
fn one_that_has_nothing_to_say_for_long_is_not_ended() {
    desk("thinks", async |d| {
        wider(d).await;
        d.place.write("plumb.toml", "[[hook]]\nwhen = \"before\"\ncommand = [\"sleep\", \"15\"]\n");
        let proxy = open(None);
        let apply = d.start(&format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        tokio::time::sleep(Duration::from_secs(14)).await;
        // Heard of within 6 s, it has been idle for longer than twice that.
        assert!(d.exits(3, "apply plan.json --db $DB --allow all").stderr.contains("another plumb is at work"));
        let done = tokio::task::spawn_blocking(|| finish(apply)).await.unwrap();
        assert_eq!(done.exit, 0, "{done:?}");
    });
}

#[test]
fn a_statement_that_takes_long_is_no_silence() {
    desk("long", async |d| {
        let slow = "CREATE FUNCTION slow(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(x); RETURN true; END $$;\n";
        d.sql(&format!("{slow} CREATE TABLE t (x int); INSERT INTO t VALUES (11)")).await;
        d.place.write("schema/t.sql", &format!("{slow}CREATE TABLE t (x int, CHECK (slow(x)));\n"));
        d.exits(2, "plan --db $DB --out plan.json --online never");
        let proxy = open(None);
        let done = d.exits(0, &format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        assert!(!done.stderr.contains("silent"), "{}", done.stderr);
        let log = "step 1 (check t_x_check on public.t): at work for 10 s, reads ";
        assert!(done.stderr.contains(log), "a log tells what goes on: {}", done.stderr);
    });
}

#[test]
fn a_line_that_is_lost_at_the_end_leaves_what_can_be_recorded_later() {
    desk("end", async |d| {
        wider(d).await;
        let proxy = open(None);
        d.exits(0, &format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        let all = proxy.messages().len();
        for again in ["apply plan.json --db $DB", "apply --resume --db $DB"] {
            d.sql("DROP SCHEMA plumb CASCADE; DROP TABLE users; CREATE TABLE users (id bigint PRIMARY KEY)").await;
            let proxy = open(Some((all - 12, Fault::CutBefore)));
            let done = d.exits(4, &format!("apply plan.json --db {} --allow all", by(&proxy, d)));
            assert!(done.stderr.contains("every step is applied and stays"), "{}", done.stderr);
            let unsaid = "SELECT count(*) FROM plumb.deployment d JOIN plumb.run r ON r.deployment = d.id \
                 WHERE d.state = 'done' AND d.after IS NULL AND r.outcome IS NULL";
            assert_eq!(d.number(unsaid).await, 1);
            let done = d.exits(0, again);
            assert!(done.stdout.contains("is applied already"), "{}", done.stdout);
            assert_eq!(d.number(unsaid).await, 0);
            assert_eq!(d.number("SELECT count(*) FROM plumb.lease WHERE run IS NOT NULL").await, 0);
            d.exits(0, "drift --applied --db $DB");
        }
    });
}

#[test]
fn a_step_that_is_cancelled_when_it_is_through_is_looked_for() {
    desk("through", async |d| {
        let before = "CREATE TABLE users (id bigint PRIMARY KEY, name text)";
        d.sql(&format!("SET application_name = 'somebody'; {before}")).await;
        d.place.write("schema/users.sql", &format!("{before};\nCREATE INDEX users_name ON users (name);\n"));
        d.exits(2, "plan --db $DB --out plan.json --online always");
        let proxy = open(None);
        d.exits(0, &format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        let made = |m: &proxy::Message| m.from == From::Server && m.text.starts_with("CREATE INDEX");
        let at = proxy.messages().iter().position(made).expect("an index is made") + 1;
        d.sql("DROP SCHEMA plumb CASCADE; DROP INDEX users_name").await;
        let proxy = open(Some((at, Fault::Pause(true))));
        let apply = d.start(&format!("apply plan.json --db {} --allow all", by(&proxy, d)));
        until("the index is made", async || proxy.fired()).await;
        // The second cancelling, two seconds later, meets what is to be recorded of the step.
        d.sql("BEGIN; SELECT FROM plumb.lease FOR UPDATE").await;
        signal(apply.id(), Signal::TERM);
        proxy.release();
        tokio::time::sleep(Duration::from_millis(3500)).await;
        d.sql("COMMIT").await;
        let done = tokio::task::spawn_blocking(|| finish(apply)).await.unwrap();
        assert_eq!(done.exit, 4, "{done:?}");
        assert_eq!(d.number("SELECT count(*) FROM plumb.step WHERE state = 'failed'").await, 0, "{done:?}");
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn what_begins_is_left_at_the_second_signal() {
    desk("recording", async |d| {
        let before = "CREATE TABLE users (id bigint PRIMARY KEY)";
        d.sql(before).await;
        d.place.write("schema/users.sql", TABLE);
        d.exits(2, "plan --db $DB --out plan.json");
        let proxy = open(None);
        let apply =
            |proxy: &Proxy| format!("apply plan.json --db {} --allow all", by(proxy, d).split("&connect").next().unwrap());
        d.exits(0, &apply(&proxy));
        let recorded = |m: &proxy::Message| m.from == From::Plumb && m.text.contains("INSERT INTO plumb.deployment");
        let at = proxy.messages().iter().position(recorded).expect("a deployment is recorded") + 1;
        d.sql(&format!("DROP SCHEMA plumb CASCADE; DROP TABLE users; {before}")).await;
        let proxy = open(Some((at, Fault::Pause(false))));
        let apply = d.start(&apply(&proxy));
        until("it is being recorded", async || proxy.fired()).await;
        for _ in 0..2 {
            signal(apply.id(), Signal::INT);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let second = Instant::now();
        let done = finish(apply);
        assert!(done.exit == 130 && done.stderr.contains("interrupted before the first step"), "{done:?}");
        assert!(second.elapsed() < Duration::from_secs(10), "{:?}", second.elapsed());
        drop(proxy);
        until("its sessions end", async || d.number(OTHERS).await == 0).await;
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}
