//! A drift beside a deploy: neither waits for the other, and a schema that is halfway is nobody's drift.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[allow(dead_code)]
#[path = "support/faults/proxy.rs"]
mod proxy;
mod support;

use proxy::{Fault, From, Message, Proxy};
use std::path::Path;
use support::command::{finish, socket};
use support::desk::{Desk, desk, until, waits};
use support::server;

fn open(fault: Option<(usize, Fault)>) -> Proxy {
    Proxy::new(&Path::new(&socket()).join(".s.PGSQL.5432"), fault)
}

/// A command on the database by way of the proxy.
fn by(proxy: &Proxy, d: &Desk<'_>, command: &str) -> String {
    format!("{command} --db postgresql://{}@127.0.0.1:{}/{}?sslmode=disable", server::USER, proxy.port, d.database)
}

const DRIFT: &str = "drift --applied";

const SCHEMAS: [&str; 2] = ["CREATE TABLE t (id int);\n", "CREATE TABLE t (id int, more int);\nCREATE INDEX t_id ON t (id);\n"];

async fn becomes(d: &Desk<'_>, schema: &str, online: &str) {
    d.place.write("schema/all.sql", schema);
    d.exits(2, &format!("plan --db $DB --online {online} --out plan.json"));
}

/// What comes by of a command that nobody disturbs, and the numbers of the messages where it begins to ask something: what it says in one piece is
/// one moment.
fn rehearsed(d: &Desk<'_>, command: &str) -> (Vec<Message>, Vec<usize>) {
    let proxy = open(None);
    d.exits(0, &by(&proxy, d, command));
    let messages = proxy.messages();
    let is_first = |m: &Message| m.from == From::Server || m.kind == 'C';
    let begins = |pair: &[Message]| is_first(&pair[0]) && pair[1].from == From::Plumb && "PQ".contains(pair[1].kind);
    let asked = messages.windows(2).enumerate().filter(|(_, pair)| begins(pair)).map(|(n, _)| n + 2).collect();
    (messages, asked)
}

#[test]
fn a_deploy_goes_through_whatever_a_drift_is_at() {
    desk("beside", async |d| {
        becomes(d, SCHEMAS[0], "never").await;
        d.exits(0, "apply plan.json --db $DB --allow all");
        let (messages, asked) = rehearsed(d, DRIFT);
        let mut meanwhile = 0;
        for (n, at) in asked.into_iter().enumerate() {
            becomes(d, SCHEMAS[(n + 1) % 2], "never").await;
            let proxy = open(Some((at, Fault::Pause(false))));
            let drift = d.start(&by(&proxy, d, DRIFT));
            until("it says nothing", async || proxy.fired()).await;
            d.exits(0, "apply plan.json --db $DB --allow all");
            proxy.release();
            let done = finish(drift);
            let busy = done.exit == 3 && done.stderr.contains("busy, plumb was at work here");
            assert!(done.exit == 0 || busy, "at message {at}, {:?}: {done:?}", messages.get(at - 1));
            meanwhile += usize::from(busy);
        }
        assert!(meanwhile > 0, "at one of them the two sides are of different moments");
    });
}

#[test]
fn what_begins_while_a_drift_asks_is_not_unfinished() {
    desk("begins", async |d| {
        let (holder, mut halfway) = (server::session(&d.database).await, 0);
        becomes(d, SCHEMAS[0], "never").await;
        d.exits(0, "apply plan.json --db $DB --allow all");
        let (messages, asked) = rehearsed(d, DRIFT);
        for at in asked.into_iter().filter(|at| messages[at - 1].line == 1) {
            becomes(d, SCHEMAS[1], "always").await;
            let proxy = open(Some((at, Fault::Pause(false))));
            let drift = d.start(&by(&proxy, d, DRIFT));
            until("it says nothing", async || proxy.fired()).await;
            // The index, which is the second transaction, waits for whoever sees the rows of before.
            holder.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
            let apply = d.start("apply plan.json --db $DB --yes");
            waits(d).await;
            halfway += usize::from(d.number("SELECT count(*) FROM pg_attribute WHERE attname = 'more'").await == 1);
            proxy.release();
            let done = finish(drift);
            holder.client.batch_execute("COMMIT").await.unwrap();
            assert_eq!(finish(apply).exit, 0);
            assert!(done.exit == 3 && done.stderr.contains("plumb: busy"), "at {:?}: {done:?}", messages[at - 1]);
            becomes(d, SCHEMAS[0], "never").await;
            d.exits(0, "apply plan.json --db $DB --allow all");
        }
        assert!(halfway > 4, "{halfway}");
        holder.close().await;
    });
}

#[test]
fn what_is_changed_by_hand_meanwhile_is_never_taken_for_done() {
    desk("byhand", async |d| {
        d.sql("CREATE TABLE t (id int)").await;
        becomes(d, SCHEMAS[1], "always").await;
        let back =
            async || d.sql("DROP SCHEMA IF EXISTS plumb CASCADE; DROP TABLE IF EXISTS t, hotfix; CREATE TABLE t (id int)").await;
        const APPLY: &str = "apply plan.json --yes";
        let (messages, asked) = rehearsed(d, APPLY);
        let reading = |m: &Message| m.from == From::Plumb && m.text.starts_with("BEGIN ISOLATION LEVEL REPEATABLE READ");
        let last = messages.iter().rposition(reading).expect("it looks what has become of it") + 1;
        for at in asked {
            back().await;
            let proxy = open(Some((at, Fault::Pause(false))));
            let apply = d.start(&by(&proxy, d, APPLY));
            until("it says nothing", async || proxy.fired()).await;
            d.sql("CREATE TABLE hotfix (id int)").await;
            proxy.release();
            let done = finish(apply);
            assert!(done.exit != 0 || at > last, "at {:?}: {done:?}", messages[at - 1]);
        }
    });
}
