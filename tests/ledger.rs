//! The ledger: what was applied, going on after a kill, and everything that is noticed before it goes on.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use rustix::process::Signal;
use support::command::{finish, url_as};
use support::desk::{Desk, desk, signal, until, waits};

/// Two groups: a label has to be committed before it is used.
const LABELS: &str = "CREATE TYPE s AS ENUM ('a', 'b');\nCREATE TABLE t (id int, s s DEFAULT 'b');\n";

async fn labels(d: &Desk<'_>) {
    d.sql("CREATE TYPE s AS ENUM ('a'); CREATE TABLE t (id int, s s); INSERT INTO t VALUES (1, 'a')").await;
    d.place.write("schema/t.sql", LABELS);
    d.exits(2, "plan --db $DB --out plan.json");
}

async fn free(d: &Desk<'_>) {
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    until("its sessions end", async || d.number(sessions).await == 0).await;
}

/// Kills an apply while its second group waits for a lock.
async fn killed_between_groups(d: &Desk<'_>) {
    labels(d).await;
    d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
    let apply = d.start("apply plan.json --db $DB --lock-timeout 30s");
    waits(d).await;
    signal(apply.id(), Signal::KILL);
    finish(apply);
    d.sql("COMMIT").await;
    free(d).await;
}

fn says(text: &str, all: &[&str]) {
    all.iter().for_each(|said| assert!(text.contains(said), "{said}: {text}"));
}

fn history(d: &Desk) -> Vec<serde_json::Value> {
    let text = d.exits(0, "history --db $DB --format json").stdout;
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["runs"].as_array().unwrap().clone()
}

#[test]
fn a_plan_says_what_another_one_is_at() {
    desk("another", async |d| {
        labels(d).await;
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 30s");
        waits(d).await;
        says(&d.exits(2, "plan --db $DB --out other.json").stdout, &["a plan is being applied to this database"]);
        signal(apply.id(), Signal::KILL);
        finish(apply);
        d.sql("COMMIT").await;
        free(d).await;
        let told = ["was broken off on this database, step 2 of 2 is next", "--resume", "--abandon"];
        says(&d.exits(2, "plan --db $DB --out other.json").stdout, &told);
        says(&d.exits(2, "plan --db $DB --format markdown --out other.json").stdout, &told);
        d.exits(3, "apply other.json --db $DB");
        d.exits(0, "apply --abandon --db $DB --yes");
        assert!(!d.exits(2, "plan --db $DB --out other.json").stdout.contains("broken off"));
        d.exits(0, "apply other.json --db $DB");
    });
}

#[test]
fn what_was_applied_is_told() {
    desk("told", async |d| {
        labels(d).await;
        says(&d.exits(0, "history --db $DB").stdout, &["Nothing was applied"]);
        d.exits(1, "drift --db $DB --applied");
        d.exits(0, "apply plan.json --db $DB");
        let words = d.place.command(&["history", "--db", &d.db]).env("CI_JOB_URL", "https://x:y@ci/1").output().unwrap();
        says(&String::from_utf8(words.stdout).unwrap(), &["done: 2 of 2 steps in", "by postgres", "plumb 0."]);
        let runs = history(d);
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0]["outcome"].as_str(), runs[0]["state"].as_str()), (Some("done"), Some("done")), "{runs:?}");
        assert_eq!(d.number("SELECT count(*) FROM plumb.step WHERE state = 'done' AND ended >= started").await, 2);
        assert_eq!(d.number("SELECT count(*) FROM plumb.lease WHERE run IS NULL").await, 1);
        says(&d.exits(0, "apply plan.json --db $DB").stdout, &["applied already"]);
        assert_eq!(history(d).len(), 1, "nothing was done");
    });
}

#[test]
fn the_ledger_is_in_no_comparison() {
    desk("unseen", async |d| {
        labels(d).await;
        d.exits(0, "snapshot --db $DB --out before.json");
        d.exits(0, "apply plan.json --db $DB");
        d.exits(0, "drift --db $DB");
        d.exits(0, "drift --db $DB --applied");
        for line in ["plan --db $DB --format json", "plan --db $DB --scope * --format json", "dump --db $DB", "snapshot --db $DB"]
        {
            // A plan says who wrote it, and has a seal over that.
            let text = d.run(line).stdout.replace("\"plumb\": \"", "");
            assert!(!text.contains("plumb.") && !text.contains("\"plumb\""), "{line}: {text}");
        }
        d.sql("ALTER TABLE t ADD COLUMN hot int").await;
        says(&d.exits(2, "drift --db $DB --applied").stdout, &["public.t.hot", "not in plan"]);
        // A schema of that name that is none is shown, and no ledger is made in it.
        d.sql("DROP SCHEMA plumb CASCADE; CREATE SCHEMA plumb; CREATE TABLE plumb.pipes (id int); ALTER TABLE t DROP COLUMN hot")
            .await;
        d.sql("ALTER TABLE t ALTER COLUMN s DROP DEFAULT").await;
        let plan = d.exits(2, "plan --db $DB --out again.json --format json").stdout;
        says(&plan, &["table plumb.pipes"]);
        says(&d.exits(1, "apply again.json --db $DB").stderr, &["ledger::taken", "--no-ledger"]);
        d.exits(0, "apply again.json --db $DB --no-ledger");
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'plumb'::regnamespace").await, 1);
    });
}

#[test]
fn a_killed_apply_goes_on() {
    desk("resumed", async |d| {
        killed_between_groups(d).await;
        let drift = d.exits(3, "drift --db $DB");
        says(&drift.stderr, &["unfinished", "step 2 of 2", "--resume"]);
        assert_eq!(drift.stdout, "");
        says(&d.exits(3, "apply --db $DB").stderr, &["apply::unfinished", "1 of 2 steps are applied", "--abandon"]);
        d.exits(2, "plan --db $DB --out other.json");
        says(&d.exits(3, "apply other.json --db $DB").stderr, &["apply::unfinished"]);
        let apply = d.exits(0, "apply plan.json --db $DB");
        says(
            &apply.stdout,
            &["Going on with", "1 of 2 steps are done", "Done: 1 step applied", "the live schema equals what was planned"],
        );
        assert!(!apply.stderr.contains("enum") && apply.stderr.contains("default"), "{}", apply.stderr);
        d.exits(0, "drift --db $DB");
        d.exits(0, "drift --db $DB --applied");
        let outcomes: Vec<_> = history(d).iter().map(|r| r["outcome"].as_str().unwrap().to_owned()).collect();
        assert_eq!(outcomes, ["done", "lost"]);
        assert_eq!(d.number("SELECT count(*) FROM t").await, 1);
    });
}

#[test]
fn the_plan_is_in_the_ledger() {
    desk("theplan", async |d| {
        killed_between_groups(d).await;
        std::fs::remove_file(d.place.path().join("plan.json")).unwrap();
        says(&d.exits(0, "apply --resume --db $DB").stdout, &["1 of 2 steps are done"]);
        says(&d.exits(0, "apply --resume --db $DB").stdout, &["Nothing is unfinished"]);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn what_others_changed_meanwhile_is_noticed() {
    desk("meanwhile", async |d| {
        killed_between_groups(d).await;
        d.sql("CREATE TABLE hotfix (id int); COMMENT ON COLUMN t.id IS 'x'").await;
        let refused = d.exits(3, "apply plan.json --db $DB").stderr;
        says(&refused, &["apply::changed", "step 1 of plan", "new: table public.hotfix", "changed: table public.t"]);
        d.sql("DROP TABLE hotfix; COMMENT ON COLUMN t.id IS NULL; ALTER TYPE s RENAME VALUE 'b' TO 'c'").await;
        says(&d.exits(3, "apply plan.json --db $DB").stderr, &["changed: enum public.s"]);
        d.sql("ALTER TYPE s RENAME VALUE 'c' TO 'b'").await;
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn a_plan_is_abandoned() {
    desk("abandoned", async |d| {
        killed_between_groups(d).await;
        let abandoned = d.exits(0, "apply --abandon --db $DB").stdout;
        says(&abandoned, &["1 of 2 steps are applied", "default public.t.s: not applied", "Abandoned"]);
        d.exits(0, "drift --db $DB --applied");
        says(&d.exits(2, "drift --db $DB").stdout, &["default"]);
        says(&d.exits(0, "apply --abandon --db $DB").stdout, &["Nothing is unfinished"]);
        says(&d.exits(3, "apply plan.json --db $DB").stderr, &["plan::stale"]);
        d.exits(0, "apply --db $DB");
        let states: Vec<_> = history(d).iter().map(|r| r["state"].as_str().unwrap().to_owned()).collect();
        assert_eq!(states, ["done", "abandoned", "abandoned"]);
    });
}

/// A table with rows whose index is built concurrently, while an older transaction keeps that from coming to its end.
async fn building(d: &Desk<'_>) -> std::process::Child {
    d.sql("CREATE TABLE o (id int, n int); INSERT INTO o SELECT i, i FROM generate_series(1, 100) i").await;
    d.place.write(
        "schema/o.sql",
        "CREATE TABLE o (id int, n int);\nCREATE INDEX \"o\"\"n.x ON\" ON o (n);\nCREATE TABLE later (id int);\n",
    );
    d.exits(2, "plan --db $DB --out plan.json --online always");
    d.sql("BEGIN; SELECT count(*) FROM o").await;
    d.sql("LOCK TABLE o IN ROW EXCLUSIVE MODE").await;
    let apply = d.start("apply plan.json --db $DB");
    let begun = "SELECT count(*) FROM pg_index WHERE indrelid = 'o'::regclass AND NOT indisvalid";
    until("the index is being built", async || d.number(begun).await > 0).await;
    apply
}

#[test]
fn an_index_that_was_not_built_to_its_end_is_built_anew() {
    desk("index", async |d| {
        let apply = building(d).await;
        signal(apply.id(), Signal::KILL);
        finish(apply);
        // The server notices by itself that nobody waits for the index any more. A transaction sees the same sessions all along.
        let other = support::server::session(&d.database).await;
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("its session ends", async || other.client.query_one(held, &[]).await.unwrap().get::<_, i64>(0) == 0).await;
        other.close().await;
        d.sql("COMMIT").await;
        assert_eq!(d.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 1);
        says(&d.exits(3, "drift --db $DB").stderr, &["unfinished"]);
        let apply = d.exits(0, "apply plan.json --db $DB");
        says(&apply.stderr, &["was dropped: it is built anew"]);
        assert_eq!(d.number("SELECT count(*) FROM pg_index WHERE indrelid = 'o'::regclass AND indisvalid").await, 1);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn a_step_that_nobody_saw_the_end_of_is_found_done() {
    desk("doubt", async |d| {
        let apply = building(d).await;
        d.sql("COMMIT").await;
        assert_eq!(finish(apply).exit, 0);
        // As it stands when the client dies between the end of the statement and its entry in the ledger.
        d.sql("UPDATE plumb.deployment SET state = 'open', ended = NULL; UPDATE plumb.step SET state = 'started' WHERE object LIKE 'index%'")
            .await;
        let apply = d.exits(0, "apply plan.json --db $DB");
        says(&apply.stderr, &["was done already"]);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn whoever_is_overtaken_stops() {
    desk("overtaken", async |d| {
        let apply = building(d).await;
        let other = support::server::session(&d.database).await;
        other.client.batch_execute("UPDATE plumb.lease SET token = token + 1").await.unwrap();
        other.close().await;
        d.sql("COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 4, "{apply:?}");
        says(&apply.stderr, &["apply::busy", "another plumb has taken over"]);
        d.exits(0, "apply plan.json --db $DB");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn a_failed_step_is_told_and_leaves_nothing_open() {
    desk("failed", async |d| {
        d.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (id int PRIMARY KEY);\nCREATE TABLE other (id int);\n");
        d.exits(2, "plan --db $DB --out plan.json --online never");
        d.exits(1, "apply plan.json --db $DB --allow all");
        let runs = history(d);
        assert_eq!((runs[0]["outcome"].as_str(), runs[0]["state"].as_str()), (Some("failed"), Some("void")), "{runs:?}");
        assert!(!runs[0]["message"].as_str().unwrap().contains("(id)"), "values of rows are no business of the ledger: {runs:?}");
        d.sql("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)").await;
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn roles_that_may_not() {
    desk("rights", async |d| {
        let (role, other) = (format!("ledger_{}", d.database), format!("ledger_{}_b", d.database));
        d.sql(&format!("CREATE ROLE {role} LOGIN; CREATE ROLE {other} LOGIN; CREATE SCHEMA a AUTHORIZATION {role}")).await;
        d.sql(&format!("CREATE SCHEMA b AUTHORIZATION {other}")).await;
        d.place.write("schema/t.sql", "CREATE SCHEMA a;\nCREATE TABLE a.t (id int);\n");
        d.place.write("plumb.toml", &format!("owner = \"{role}\"\n"));
        let db = url_as(&d.database, &role);
        d.exits(2, &format!("plan --db {db} --out plan.json"));
        let refused = d.exits(1, &format!("apply plan.json --db {db}")).stderr;
        says(&refused, &["ledger::right", "GRANT CREATE ON", "--no-ledger"]);
        d.exits(0, &format!("apply plan.json --db {db} --no-ledger"));
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'plumb'").await, 0);
        d.sql(&format!("GRANT CREATE ON DATABASE {} TO {role}", d.database)).await;
        d.place.write("schema/t.sql", "CREATE SCHEMA a;\nCREATE TABLE a.t (id int);\nCREATE TABLE a.u (id int);\n");
        d.exits(0, &format!("apply --db {db}"));
        // The ledger of somebody else.
        d.place.write("schema/t.sql", "CREATE SCHEMA b;\nCREATE TABLE b.v (id int);\n");
        d.place.write("plumb.toml", &format!("owner = \"{other}\"\n"));
        let db = url_as(&d.database, &other);
        says(&d.exits(1, &format!("history --db {db}")).stderr, &["ledger::closed"]);
        says(&d.exits(2, &format!("drift --db {db}")).stderr, &["may not use the ledger"]);
        d.exits(2, &format!("plan --db {db} --out plan.json"));
        says(&d.exits(1, &format!("apply plan.json --db {db}")).stderr, &["ledger::closed", "GRANT USAGE ON SCHEMA plumb"]);
        says(&d.exits(3, &format!("apply plan.json --db {db} --no-ledger")).stderr, &["ledger::there"]);
        d.sql(&format!("GRANT USAGE ON SCHEMA plumb TO {other}")).await;
        d.sql(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plumb TO {other}")).await;
        d.exits(0, &format!("apply plan.json --db {db}"));
        assert_eq!(history(d).len(), 2);
    });
}
