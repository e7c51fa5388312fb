//! Applying while others are at work: locks that are held, connections that end, servers that only read, and the way back.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::time::{Duration, Instant};
use support::command::finish;
use support::desk::{Desk, desk, signal, until, waits};

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY)";
const WIDER: &str = "CREATE TABLE aaa (id int);\nCREATE TABLE users (id bigint PRIMARY KEY, name text);\n";

async fn nothing_done(d: &Desk<'_>) -> bool {
    d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await == 0
}

#[test]
fn a_lock_that_is_never_let_go() {
    desk("locked", async |d| {
        d.sql(USERS).await;
        d.place.write("schema/users.sql", WIDER);
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("SET application_name = 'nightly'; BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
        let apply = d.exits(3, "apply plan.json --db $DB --lock-timeout 200ms --wait 2s");
        for said in
            ["apply::locked", "nightly", "idle in transaction", "retry 2", "Nothing was applied", "column public.users.name"]
        {
            assert!(apply.stderr.contains(said), "{said}: {}", apply.stderr);
        }
        assert!(nothing_done(d).await);
        d.sql("COMMIT").await;
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn the_lock_timeout_of_the_configuration() {
    desk("timeout", async |d| {
        d.sql(USERS).await;
        d.place.write("schema/users.sql", WIDER);
        d.place.write("plumb.toml", "lock_timeout = \"100ms\"\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
        let waited = |line: &str| {
            let begun = Instant::now();
            let apply = d.exits(3, line);
            assert!(apply.stderr.contains("apply::locked"), "{}", apply.stderr);
            begun.elapsed()
        };
        let stated = waited("apply plan.json --db $DB --wait 0s");
        let flag = waited("apply plan.json --db $DB --wait 0s --lock-timeout 3s");
        assert!(flag > Duration::from_secs(3) && stated + Duration::from_secs(2) < flag, "{stated:?} {flag:?}");
        d.sql("COMMIT").await;
    });
}

#[test]
fn two_at_the_same_moment() {
    desk("both", async |d| {
        for round in 0..4 {
            d.sql("DROP TABLE IF EXISTS aaa, users; CREATE TABLE users (id bigint PRIMARY KEY)").await;
            d.place.write("schema/users.sql", WIDER);
            d.exits(2, "plan --db $DB --out plan.json");
            let both = [d.start("apply plan.json --db $DB"), d.start("apply plan.json --db $DB")].map(finish);
            let mut exits = both.each_ref().map(|done| done.exit);
            exits.sort_unstable();
            let told = both.iter().any(|b| b.stderr.contains("apply::busy") || b.stdout.contains("applied already"));
            assert!(exits[0] == 0 && [0, 3].contains(&exits[1]) && told, "{round}: {both:?}");
            d.exits(0, "drift --db $DB");
        }
    });
}

#[test]
fn a_server_that_only_reads() {
    desk("reads", async |d| {
        d.place.write("schema/users.sql", WIDER);
        d.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", d.database)).await;
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(2, "drift --db $DB");
        d.exits(0, "snapshot --db $DB --out live.json");
        let apply = d.exits(1, "apply plan.json --db $DB");
        assert!(apply.stderr.contains("apply::read_only"), "{}", apply.stderr);
        d.sql("SET default_transaction_read_only = off").await;
        d.sql(&format!("ALTER DATABASE {} RESET default_transaction_read_only", d.database)).await;
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn a_connection_lost_between_two_transactions() {
    desk("halfway", async |d| {
        d.sql("CREATE TYPE s AS ENUM ('a'); CREATE TABLE t (id int, s s)").await;
        d.place.write("schema/t.sql", "CREATE TYPE s AS ENUM ('a', 'b');\nCREATE TABLE t (id int, s s DEFAULT 'b');\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 30s");
        waits(d).await;
        d.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass; COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 4, "{apply:?}");
        for said in ["Step 1 of 2 is applied and stays", "terminating connection", "it goes on after step 1"] {
            assert!(apply.stderr.contains(said), "{said}: {}", apply.stderr);
        }
        assert_eq!(d.number("SELECT count(*) FROM pg_enum WHERE enumlabel = 'b'").await, 1);
        let left = d.exits(2, "plan --db $DB --out rest.json");
        assert!(left.stdout.contains("default") && !left.stdout.contains("enum"), "{}", left.stdout);
        d.exits(3, "apply rest.json --db $DB");
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn an_interrupted_apply_says_what_stays() {
    desk("says", async |d| {
        d.sql("CREATE TYPE s AS ENUM ('a'); CREATE TABLE t (id int, s s)").await;
        d.place.write("schema/t.sql", "CREATE TYPE s AS ENUM ('a', 'b');\nCREATE TABLE t (id int, s s DEFAULT 'b');\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 1s");
        waits(d).await;
        signal(apply.id(), rustix::process::Signal::INT);
        let apply = finish(apply);
        assert!(apply.exit == 4 && apply.stderr.contains("Step 1 of 2 is applied and stays"), "{apply:?}");
        d.sql("COMMIT").await;
        let free = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        until("its session ends", async || d.number(free).await == 0).await;
        d.exits(0, "apply --resume --db $DB");
    });
}

#[test]
fn a_stale_plan_says_what_changed() {
    desk("stale", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY); CREATE TABLE old (id int)").await;
        d.place.write("schema/users.sql", &format!("{WIDER}CREATE TABLE old (id int);\n"));
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("CREATE TABLE hotfix (id int); DROP TABLE old; COMMENT ON COLUMN users.id IS 'x'").await;
        for line in ["apply plan.json --db $DB", "prove plan.json --db $DB"] {
            let stale = d.exits(3, line).stderr;
            for said in ["plan::stale", "new: table public.hotfix", "gone: table public.old", "changed: table public.users"] {
                assert!(stale.contains(said), "{said}: {stale}");
            }
        }
    });
}

const TAKEN_ALONG: &str = "CREATE TABLE kept (id int PRIMARY KEY);
CREATE TABLE gone (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kept_id int REFERENCES kept, s text DEFAULT 'x' NOT NULL, CHECK (id > 0));
CREATE INDEX gone_s_idx ON gone (s);
ALTER TABLE gone ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON gone TO way_back_reader USING (id > 1);
CREATE TRIGGER t BEFORE UPDATE ON gone FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
COMMENT ON COLUMN gone.s IS 'a comment'; COMMENT ON TABLE gone IS 'it''s'; COMMENT ON INDEX gone_s_idx IS 'i';
GRANT SELECT ON gone TO way_back_reader; GRANT UPDATE (s) ON gone TO way_back_reader; ALTER TABLE gone OWNER TO way_back_owner;
CREATE VIEW seen AS SELECT id FROM kept;
COMMENT ON VIEW seen IS 'seen'; GRANT SELECT ON seen TO way_back_reader; ALTER VIEW seen OWNER TO way_back_owner;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f() FROM PUBLIC; COMMENT ON FUNCTION f() IS 'f';
";

#[test]
fn the_way_back_brings_everything_back() {
    desk("back", async |d| {
        d.sql("DO $$ BEGIN CREATE ROLE way_back_reader; CREATE ROLE way_back_owner; EXCEPTION WHEN duplicate_object THEN END $$")
            .await;
        d.sql(TAKEN_ALONG).await;
        d.exits(0, "snapshot --db $DB --out before.json");
        d.place.write("schema/kept.sql", "CREATE TABLE kept (id int PRIMARY KEY);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --allow all");
        let plan: serde_json::Value = serde_json::from_str(&d.place.read("plan.json")).unwrap();
        let groups = plan["groups"].as_array().unwrap().iter();
        let steps: Vec<_> = groups.flat_map(|g| g["steps"].as_array().unwrap()).collect();
        for step in steps.into_iter().rev() {
            for sql in step["reverse"]["sql"].as_array().unwrap_or_else(|| panic!("{step}")) {
                d.sql(sql.as_str().unwrap()).await;
            }
        }
        let diff = d.run("diff before.json $DB");
        assert_eq!(diff.exit, 0, "{}{}", diff.stdout, diff.stderr);
    });
}
