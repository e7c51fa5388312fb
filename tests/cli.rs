//! The command line, as it is used: the real binary against a real server, and every exit code.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::pg::lock;
use std::time::Duration;
use support::command::{self, finish, url, url_as};
use support::desk::{TABLE, desk, until, waits};
use support::server;

/// Without the commands of psql it parses.
fn is_sql(text: &str) -> bool {
    let sql: String = text.lines().filter(|l| !l.starts_with('\\')).map(|l| format!("{l}\n")).collect();
    pg_query::parse(&sql, 0).is_ok()
}

#[test]
fn from_files_to_a_database_without_drift() {
    desk("happy", async |d| {
        d.place.write("schema/users.sql", TABLE);
        let check = d.exits(0, "check");
        assert!(check.stdout.contains("no errors") && check.stderr.is_empty(), "{check:?}");
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("public.users") && plan.stdout.contains("plumb apply plan.json"), "{}", plan.stdout);
        assert_eq!(plan.stderr, "");
        d.exits(0, "plan --db $DB --exit-zero --out -");
        let prove = d.exits(0, "prove plan.json --db $DB");
        assert!(prove.stdout.contains("is proven"), "{prove:?}");
        let apply = d.exits(0, "apply plan.json --db $DB");
        assert!(apply.stdout.contains("Done: "), "{apply:?}");
        let again = d.exits(0, "apply plan.json --db $DB");
        assert!(again.stdout.contains("is applied already"), "{again:?}");
        assert!(d.exits(0, "plan --db $DB").stdout.starts_with("No changes"));
        d.exits(0, "drift --db $DB");
        d.sql("ALTER TABLE users ADD COLUMN intruder int; CREATE TABLE stranger (id int)").await;
        let drift = d.exits(2, "drift --db $DB");
        assert!(drift.stdout.contains("intruder") && drift.stdout.contains("stranger"), "{}", drift.stdout);
        d.exits(0, "drift --db $DB --exit-zero");
        let json = d.exits(2, "drift --db $DB --format json").stdout;
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
        let apply = d.exits(3, "apply --db $DB");
        assert!(apply.stderr.contains("--allow loses-"), "{apply:?}");
        d.exits(0, "apply --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn results_on_standard_output_and_nothing_else() {
    desk("stdout", async |d| {
        d.place.write("schema/users.sql", TABLE);
        for flags in ["", " -vv", " -q"] {
            let json = d.exits(2, &format!("plan --db $DB --out - --format json{flags}"));
            serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap();
            assert_eq!(json.stderr.is_empty(), flags != " -vv", "{}", json.stderr);
            let sql = d.exits(2, &format!("plan --db $DB --out - --format sql{flags}"));
            assert!(is_sql(&sql.stdout), "{}", sql.stdout);
            serde_json::from_str::<serde_json::Value>(&d.exits(0, &format!("snapshot --db $DB{flags}")).stdout).unwrap();
            assert!(pg_query::parse(&d.exits(0, &format!("dump --db $DB{flags}")).stdout, 0).is_ok());
            serde_json::from_str::<serde_json::Value>(&d.exits(2, &format!("diff $DB schema --format json{flags}")).stdout)
                .unwrap();
        }
        assert_eq!(d.run("plan --db $DB --schema nowhere").stdout, "");
        assert!(!d.exits(2, "plan --db $DB --color never").stdout.contains('\u{1b}'));
        assert!(d.exits(2, "plan --db $DB --color always").stdout.contains('\u{1b}'));
        // What clap says about a wrong command line must not look like differences.
        let wrong = d.run("plan --no-such-flag");
        assert_eq!((wrong.exit, wrong.stdout.as_str()), (1, ""), "{}", wrong.stderr);
        assert_eq!(d.run("--help").exit, 0);
        assert_eq!(d.run("--version").exit, 0);
    });
}

#[test]
fn a_plan_is_the_same_twice() {
    desk("twice", async |d| {
        d.sql("CREATE TABLE old (id int); CREATE TYPE mood AS ENUM ('a')").await;
        d.place.write("schema/a.sql", TABLE);
        d.place.write(
            "schema/b.sql",
            "CREATE TYPE mood AS ENUM ('a', 'b');\nCREATE VIEW v AS SELECT id FROM users;\nGRANT SELECT ON v TO PUBLIC;\n",
        );
        let run = || {
            let mut plan: serde_json::Value =
                serde_json::from_str(&d.exits(2, "plan --db $DB --out - --format json").stdout).unwrap();
            plan.as_object_mut().unwrap().remove("observed");
            plan.to_string()
        };
        assert_eq!(run(), run());
    });
}

#[test]
fn every_form_of_both_sides() {
    desk("forms", async |d| {
        d.place.write("schema/users.sql", TABLE);
        d.place.write("one.sql", TABLE);
        let other = d.bench.create().await;
        let session = server::session(&other).await;
        session.client.batch_execute(TABLE).await.unwrap();
        session.close().await;
        d.exits(0, &format!("snapshot --db {} --out wanted.json", url(&other)));
        d.exits(0, "snapshot --db $DB --out live.json");
        let keyword = format!("host={} dbname={} user=postgres", command::socket(), d.database);
        for schema in ["schema", "schema/", "one.sql", "wanted.json", &url(&other)] {
            let done = d.exits(2, &format!("plan --db $DB --out - --schema {schema}"));
            assert!(done.stdout.contains("public.users") && done.stdout.contains("Proven"), "{schema}: {}", done.stdout);
            let done = d.exits(2, &format!("plan --db live.json --out - --schema {schema}"));
            assert!(done.stdout.contains("public.users") && done.stdout.contains("Proven"), "{schema}: {}", done.stdout);
            d.exits(2, &format!("diff $DB {schema}"));
            d.exits(2, &format!("diff {schema} live.json"));
            d.exits(0, &format!("diff {} {schema}", url(&other)));
        }
        let done = d.place.plumb(&["plan", "--out", "-", "--db", &keyword]);
        assert_eq!(done.exit, 2, "{}", done.stderr);
        let by_variables = d
            .place
            .command(&["plan", "--out", "-"])
            .env("PGHOST", command::socket())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &d.database)
            .output()
            .unwrap();
        assert_eq!(by_variables.status.code(), Some(2));
        let by_url = d.place.command(&["plan", "--out", "-"]).env("DATABASE_URL", &d.db).output().unwrap();
        assert_eq!(by_url.status.code(), Some(2));
        d.place.write("plumb.toml", &format!("[env.staging]\nurl = \"{}\"\n", d.db));
        let staging = d.exits(2, "plan --env staging --out -").stdout;
        assert!(staging.contains("staging"), "{staging}");
        // What an environment says of the shadow and of the owner counts.
        d.place.write("plumb.toml", &format!("[env.staging]\nurl = \"{}\"\nshadow = \"nowhere\"\n", d.db));
        assert!(d.exits(1, "plan --env staging --out -").stderr.contains("shadow::choice"));
        let owned = format!("[env.staging]\nurl = \"{}\"\nowner = \"staging_owner\"\n", d.db);
        d.sql("DROP ROLE IF EXISTS staging_owner; CREATE ROLE staging_owner").await;
        d.place.write("plumb.toml", &owned);
        assert!(d.exits(2, "plan --env staging --out - --format sql").stdout.contains("OWNER TO staging_owner"));
    });
}

const RICH: &str = r#"CREATE SCHEMA app; CREATE SCHEMA "Odd Schema";
CREATE TYPE app.mood AS ENUM ('ok', 'it''s');
CREATE DOMAIN app.email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE app.users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail app.email UNIQUE, m app.mood DEFAULT 'ok');
CREATE TABLE "Odd Schema"."Sélect""; --" ("a/b" int PRIMARY KEY, user_id bigint REFERENCES app.users, "line
break" text DEFAULT E'x\ny');
CREATE TABLE "Odd Schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 ("MixedCase" int);
CREATE INDEX ON "Odd Schema".abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 ("MixedCase");
CREATE VIEW app.v AS SELECT id, mail FROM app.users; COMMENT ON VIEW app.v IS 'it''s; -- a comment';
CREATE FUNCTION app.f("Arg" int) RETURNS int LANGUAGE plpgsql AS $x$ BEGIN RETURN "Arg"; END $x$;
CREATE TRIGGER "t;" BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY; CREATE POLICY "p q" ON app.users USING (id > 0);
GRANT SELECT (id) ON app.users TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
"#;

#[test]
fn what_is_dumped_loads_again() {
    desk("dump", async |d| {
        d.sql(RICH).await;
        d.exits(0, "dump --db $DB --out folder");
        d.exits(0, "dump --db $DB --out one.sql");
        d.place.write("stdout.sql", &d.exits(0, "dump --db $DB").stdout);
        assert_eq!(d.place.read("stdout.sql"), d.place.read("one.sql"));
        for form in ["folder", "one.sql"] {
            let diff = d.exits(0, &format!("diff $DB {form} --scope *"));
            assert!(diff.stdout.to_lowercase().contains("no difference") || diff.stdout.contains("equal"), "{}", diff.stdout);
            d.exits(0, &format!("drift --db $DB --schema {form}"));
            let empty = d.bench.create().await;
            d.exits(0, &format!("apply --db {} --schema {form} --allow all", url(&empty)));
            d.exits(0, &format!("diff {} $DB --scope *", url(&empty)));
        }
    });
}

#[test]
fn hostile_names_go_all_the_way() {
    desk("hostile", async |d| {
        d.place.write("schema/all.sql", RICH);
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "plan --db $DB");
        let changed = RICH.replace("\"MixedCase\" int", "\"MixedCase\" bigint NOT NULL").replace("E'x\\ny'", "E'\\x1b[31m'");
        d.place.write("schema/all.sql", &changed);
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(!plan.stdout.contains('\u{1b}'), "{}", plan.stdout);
        let sql = d.exits(2, "plan --db $DB --out - --format sql").stdout;
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
        d.sql("DROP SCHEMA app CASCADE; DROP SCHEMA \"Odd Schema\" CASCADE").await;
        assert!(is_sql(&sql), "{sql}");
    });
}

#[test]
fn an_empty_folder_wants_nothing() {
    desk("empty", async |d| {
        std::fs::create_dir(d.place.path().join("schema")).unwrap();
        let plan = d.exits(0, "plan --db $DB");
        assert!(plan.stdout.contains("No changes"), "{plan:?}");
        d.exits(0, "check");
        d.sql("CREATE TABLE precious (id int)").await;
        let plan = d.exits(0, "plan --db $DB");
        assert!(!plan.stdout.contains("DROP"), "{}", plan.stdout);
    });
}

#[test]
fn passwords_are_never_shown() {
    desk("secret", async |d| {
        const SECRET: &str = "hunter2-xyzzy";
        command::scram(&d.session, "secret_role", SECRET).await;
        d.place.write("schema/users.sql", TABLE);
        d.sql(&format!("GRANT ALL ON SCHEMA public TO secret_role; ALTER DATABASE {} OWNER TO secret_role", d.database)).await;
        let with = |user: &str| format!("postgresql://{user}@/{}?host={}", d.database, command::socket());
        let good = with(&format!("secret_role:{SECRET}"));
        let keyword = format!("host={} dbname={} user=secret_role password={SECRET}", command::socket(), d.database);
        d.place.write("plumb.toml", &format!("[env.p]\nurl = \"{good}\"\n"));
        let mut seen = String::new();
        let mut run = |words: &[&str]| {
            let done = d.place.plumb(words);
            seen += &format!("{words:?} {}\n", done.exit).replace(SECRET, "");
            seen += &done.stdout;
            seen += &done.stderr;
            done.exit
        };
        assert_eq!(run(&["plan", "--db", &good, "-vv", "--out", "plan.json"]), 2);
        assert_eq!(run(&["plan", "--db", &good, "--format", "json", "--out", "-"]), 2);
        assert_eq!(run(&["plan", "--db", &good, "--format", "sql", "--out", "-"]), 2);
        assert_eq!(run(&["plan", "--db", &keyword, "-vv", "--out", "-"]), 2);
        assert_eq!(run(&["plan", "--env", "p", "-vv", "--out", "-"]), 2);
        assert_eq!(run(&["apply", "plan.json", "--db", &good, "-vv", "--allow", "all"]), 0);
        assert_eq!(run(&["drift", "--db", &good, "-vv"]), 0);
        assert_eq!(run(&["snapshot", "--db", &good]), 0);
        assert_eq!(run(&["dump", "--db", &good]), 0);
        assert_eq!(run(&["diff", &good, &keyword, "-vv"]), 0);
        let wrong = good.replace(SECRET, "hunter2-xyzzy-wrong");
        assert_eq!(run(&["plan", "--db", &wrong, "-vv"]), 1);
        assert_eq!(run(&["plan", "--db", &good.replace("?host", "?hst")]), 1);
        assert_eq!(run(&["plan", "--db", &good.replace("postgresql:", "postgesql:")]), 1);
        assert_eq!(run(&["plan", "--db", &good.replace("@/", ":/")]), 1);
        assert_eq!(run(&["plan", "--db", &keyword.replace("dbname=", "dbnam=")]), 1);
        assert_eq!(run(&["plan", "--db", &good, "--schema", &good.replace("?host", "?hst")]), 1);
        assert_eq!(run(&["plan", "--db", &good, "--shadow", &good.replace("?host", "?hst")]), 1);
        assert_eq!(run(&["check", "--shadow", &format!("nonsense:{SECRET}@x")]), 1);
        d.place.write("plumb.toml", &format!("[env.p]\nurl = \"{good}\"\nulr = \"{keyword}\"\n"));
        assert_eq!(run(&["plan", "--env", "p"]), 1);
        seen += &d.place.read("plan.json");
        let lines: Vec<&str> = seen.lines().filter(|l| l.contains("xyzzy")).collect();
        assert!(lines.is_empty(), "{lines:#?}");
        d.sql(&format!("ALTER DATABASE {} OWNER TO postgres", d.database)).await;
    });
}

#[test]
fn a_role_that_owns_nothing() {
    desk("guest", async |d| {
        d.sql("DROP ROLE IF EXISTS guest_role; CREATE ROLE guest_role LOGIN").await;
        d.sql(RICH).await;
        let guest = url_as(&d.database, "guest_role");
        d.exits(0, "dump --db $DB --out schema");
        for line in ["plan --out - --db ", "drift --db ", "snapshot --out s.json --db ", "dump --out d --db "] {
            d.exits(0, &format!("{line}{guest}"));
        }
        d.place.write("schema/new.sql", "CREATE TABLE app.fresh (id int);\n");
        d.exits(2, &format!("plan --out plan.json --db {guest}"));
        let ledger = d.exits(1, &format!("apply plan.json --allow rights --db {guest}"));
        assert!(ledger.stderr.contains("ledger::right") && ledger.stderr.contains("--no-ledger"), "{}", ledger.stderr);
        let rights = d.exits(3, &format!("apply plan.json --no-ledger --db {guest}"));
        assert!(rights.stderr.contains("apply::rights") && rights.stderr.contains("CREATE on schema app"), "{}", rights.stderr);
        let apply = d.exits(1, &format!("apply plan.json --no-ledger --allow rights --db {guest}"));
        assert!(apply.stderr.contains("permission denied") && apply.stderr.contains("Nothing was applied"), "{}", apply.stderr);
        let target = d.exits(1, &format!("plan --shadow target --db {guest}"));
        assert!(target.stderr.contains("CREATEDB"), "{}", target.stderr);
    });
}

#[test]
fn part_of_a_plan_is_exit_code_4() {
    desk("part", async |d| {
        d.sql("CREATE TYPE s AS ENUM ('a'); CREATE TABLE t (id int, s s); INSERT INTO t VALUES (1, NULL)").await;
        let files = "CREATE TYPE s AS ENUM ('a', 'b');\nCREATE TABLE t (id int, s s DEFAULT 'b', CONSTRAINT c CHECK (s IS NOT NULL AND s <> 'b'));\n";
        d.place.write("schema/t.sql", files);
        d.exits(2, "plan --db $DB --out plan.json");
        let apply = d.exits(4, "apply plan.json --db $DB --allow all");
        assert!(apply.stderr.contains("are applied and stay"), "{}", apply.stderr);
        assert_eq!(d.number("SELECT count(*) FROM pg_enum WHERE enumlabel = 'b'").await, 1);
        d.sql("UPDATE t SET s = 'a'").await;
        d.exits(3, "apply --db $DB --allow all");
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn one_apply_at_a_time() {
    desk("busy", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY)").await;
        d.place.write("schema/users.sql", "CREATE TABLE users (id bigint PRIMARY KEY, name text);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        // Somebody reads the table, so the first apply has to wait with plumb's lock in its hand.
        d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
        let first = d.start("apply plan.json --db $DB --lock-timeout 300ms");
        until("the first has the lock", async || lock::holder(&d.session.client).await.unwrap().is_some()).await;
        let second = d.exits(3, "apply plan.json --db $DB");
        assert!(second.stderr.contains("apply::busy") && second.stderr.contains("pid"), "{}", second.stderr);
        d.exits(3, "drift --db $DB");
        tokio::time::sleep(Duration::from_millis(900)).await;
        d.sql("COMMIT").await;
        let first = finish(first);
        assert_eq!(first.exit, 0, "{first:?}");
        assert!(first.stderr.contains("waiting for") && first.stderr.contains("retry 2"), "{}", first.stderr);
        let third = d.exits(0, "apply plan.json --db $DB");
        assert!(third.stdout.contains("applied already"));
    });
}

#[test]
fn a_lost_connection_leaves_nothing_half_done() {
    desk("lost", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY)").await;
        d.place.write("schema/users.sql", "CREATE TABLE aaa (id int);\nCREATE TABLE users (id bigint PRIMARY KEY, name text);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 30s");
        waits(d).await;
        d.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass; COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 1, "{apply:?}");
        assert!(
            apply.stderr.contains("Nothing was applied") && apply.stderr.contains("terminating connection"),
            "{}",
            apply.stderr
        );
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await, 0);
        d.exits(0, "apply plan.json --db $DB");
    });
}

#[test]
fn what_needs_a_superuser_belongs_to_the_owner() {
    desk("superuser", async |d| {
        let trigger = "CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;\n\
                       CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION seen();\n\
                       COMMENT ON EVENT TRIGGER watch IS 'watches';\n\
                       CREATE FUNCTION same(int) RETURNS int LANGUAGE sql LEAKPROOF IMMUTABLE AS 'SELECT $1';\n\
                       CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';\n";
        d.place.write("schema/a.sql", &format!("{trigger}COMMENT ON FUNCTION same(int) IS 'not a word';\n"));
        let refused = d.exits(1, "plan --db $DB --out -");
        assert!(refused.stderr.contains("allow_superuser"), "{}", refused.stderr);
        d.place.write("plumb.toml", "[screen]\nallow_superuser = true\n");
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("Proven") && !plan.stdout.contains("bootstrap"), "{}", plan.stdout);
        d.exits(0, "apply plan.json --db $DB");
        d.exits(0, "plan --db $DB --out -");
        d.place.write("schema/a.sql", &format!("{trigger}ALTER EVENT TRIGGER watch OWNER TO {};\n", server::USER));
        let plan = d.exits(2, "plan --db $DB --out -");
        assert!(!plan.stdout.contains("owner of"), "{}", plan.stdout);
    });
}

#[test]
fn tablespaces_are_named_and_not_needed() {
    desk("space", async |d| {
        let table = "CREATE TABLE t (a int PRIMARY KEY USING INDEX TABLESPACE fast) TABLESPACE fast;\n";
        d.place.write("schema/a.sql", &format!("{table}ALTER TABLE t SET TABLESPACE fast;\n"));
        let plan = d.exits(2, "plan --db $DB --out -");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        assert!(plan.stderr.contains("not compared: TABLESPACE (1)"), "{}", plan.stderr);
        assert!(plan.stderr.contains("not run: SET TABLESPACE (1)"), "{}", plan.stderr);
    });
}
