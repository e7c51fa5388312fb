//! The command line, as it is used: the real binary against a real server, every exit code, and nothing left behind.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::pg::{Session, lock};
use std::path::Path;
use std::time::{Duration, Instant};
use support::command::{self, Done, Place, finish, url, url_as};
use support::{Bench, server};

const TABLE: &str = "CREATE TABLE users (\n    id bigint PRIMARY KEY,\n    name text NOT NULL\n);\n";

/// A folder, a database with the same name's purpose, and somebody else's session in it.
struct Desk<'a> {
    bench: &'a Bench,
    place: Place,
    database: String,
    session: Session,
    db: String,
}

fn desk(name: &str, work: impl AsyncFnOnce(&Desk)) {
    Bench::work(async |bench| {
        let database = bench.create().await;
        let session = server::session(&database).await;
        let db = url(&database);
        let desk = Desk { bench, place: Place::new(name), database, session, db };
        work(&desk).await;
        desk.session.close().await;
    });
}

impl Desk<'_> {
    fn run(&self, line: &str) -> Done {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &self.db)).collect();
        self.place.plumb(&words)
    }

    fn start(&self, line: &str) -> std::process::Child {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &self.db)).collect();
        self.place.spawn(&words)
    }

    /// Runs it and insists on its exit code.
    fn exits(&self, exit: i32, line: &str) -> Done {
        let done = self.run(line);
        assert_eq!(done.exit, exit, "plumb {line}\n{}{}", done.stdout, done.stderr);
        done
    }

    async fn sql(&self, sql: &str) {
        self.session.client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {}", server::message(&e)));
    }

    async fn number(&self, sql: &str) -> i64 {
        self.session.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

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
            serde_json::from_str::<serde_json::Value>(&d.exits(2, &format!("diff $DB schema --format json{flags}")).stdout).unwrap();
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
        d.place.write("schema/b.sql", "CREATE TYPE mood AS ENUM ('a', 'b');\nCREATE VIEW v AS SELECT id FROM users;\nGRANT SELECT ON v TO PUBLIC;\n");
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
        let by_variables = d.place.command(&["plan", "--out", "-"]).env("PGHOST", command::socket()).env("PGUSER", "postgres").env("PGDATABASE", &d.database).output().unwrap();
        assert_eq!(by_variables.status.code(), Some(2));
        let by_url = d.place.command(&["plan", "--out", "-"]).env("DATABASE_URL", &d.db).output().unwrap();
        assert_eq!(by_url.status.code(), Some(2));
        d.place.write("plumb.toml", &format!("[env.staging]\nurl = \"{}\"\n", d.db));
        let staging = d.exits(2, "plan --env staging --out -").stdout;
        assert!(staging.contains("staging"), "{staging}");
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
            d.exits(0, &format!("apply --db {} --schema {form}", url(&empty)));
            d.exits(0, &format!("diff {} $DB --scope *", url(&empty)));
        }
    });
}

#[test]
fn hostile_names_go_all_the_way() {
    desk("hostile", async |d| {
        d.place.write("schema/all.sql", RICH);
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB");
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
        assert_eq!(run(&["apply", "plan.json", "--db", &good, "-vv"]), 0);
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
        let apply = d.exits(1, &format!("apply plan.json --db {guest}"));
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
        d.exits(3, "apply plan.json --db $DB --allow all");
        d.exits(0, "apply --db $DB --allow all");
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
        assert!(first.stderr.contains("waits for a lock"), "{}", first.stderr);
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
        assert!(apply.stderr.contains("Nothing was applied") && apply.stderr.contains("terminating connection"), "{}", apply.stderr);
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await, 0);
        d.exits(0, "apply plan.json --db $DB");
    });
}

/// Waits until plumb waits for a lock of a table.
async fn waits(d: &Desk<'_>) {
    let query = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()";
    until("it waits for a lock", async || d.number(query).await > 0).await;
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(Instant::now() < limit, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn interrupted_applies() {
    desk("ctrlc", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY)").await;
        d.place.write("schema/users.sql", "CREATE TABLE aaa (id int);\nCREATE TABLE users (id bigint PRIMARY KEY, name text);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        for name in ["INT", "TERM", "KILL"] {
            d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
            let apply = d.start("apply plan.json --db $DB --lock-timeout 3s");
            waits(d).await;
            signal(apply.id(), name);
            let apply = finish(apply);
            assert_eq!(apply.exit, if name == "KILL" { -1 } else { 130 }, "{name}: {apply:?}");
            d.sql("COMMIT").await;
            until("its session ends", async || lock::holder(&d.session.client).await.unwrap().is_none()).await;
            assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await, 0, "{name}");
        }
        d.exits(0, "apply plan.json --db $DB");
    });
}

fn signal(pid: u32, name: &str) {
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Directories of a shadow that process `pid` made, and processes that mention `place`.
fn left_behind(place: &Path, pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for folder in [place, Path::new("/dev/shm"), Path::new("/tmp")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = folder == place && name != "schema" || name.starts_with(&format!("plumb-shadow-{pid}-"));
            found.extend(own.then(|| entry.path().display().to_string()));
        }
    }
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(&*place.to_string_lossy()) || words.contains(&format!("plumb-shadow-{pid}-")) {
            found.push(words);
        }
    }
    found
}

fn assert_nothing_left(place: &Path, pid: u32, what: &str) {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let found = left_behind(place, pid);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < limit, "{what}: {found:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Moments in the life of a plan, in milliseconds.
const MOMENTS: &[u64] = &[5, 25, 60, 100, 160, 250, 350, 500, 700];

#[test]
fn no_shadow_is_left_behind() {
    desk("left", async |d| {
        d.place.write("schema/users.sql", TABLE);
        for line in ["plan --db $DB --out -", "plan --db $DB --out - --schema nowhere", "check"] {
            let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &d.db)).collect();
            let child = d.place.command(&words).env("TMPDIR", d.place.path()).spawn().unwrap();
            let pid = child.id();
            finish(child);
            assert_nothing_left(d.place.path(), pid, line);
        }
        for name in ["INT", "TERM", "KILL"] {
            for moment in MOMENTS {
                let child = d.place.command(&["plan", "--out", "-", "--db", &d.db]).env("TMPDIR", d.place.path()).spawn().unwrap();
                let pid = child.id();
                std::thread::sleep(Duration::from_millis(*moment));
                signal(pid, name);
                let done = finish(child);
                assert!(*moment < 30 || [130, 2, -1].contains(&done.exit), "{name} at {moment} ms: {done:?}");
                assert!(name == "KILL" || *moment < 30 || done.exit != -1, "{name} at {moment} ms is not handled");
                assert_nothing_left(d.place.path(), pid, &format!("{name} at {moment} ms"));
            }
        }
    });
}

#[test]
fn nothing_is_left_on_the_target() {
    desk("target", async |d| {
        let files = format!("{TABLE}GRANT SELECT ON users TO left_over_reader;\n");
        d.place.write("schema/users.sql", &files);
        d.place.write("broken/users.sql", "CREATE TABLE t (x no_such_type);\n");
        let query = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'plumb%') + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'left_over%')";
        for shadow in ["target", &url("template1")] {
            d.exits(2, &format!("plan --db $DB --out - --shadow {shadow}"));
            assert_eq!(d.number(query).await, 0, "{shadow}: after its end");
            d.exits(1, &format!("plan --db $DB --schema broken --shadow {shadow}"));
            assert_eq!(d.number(query).await, 0, "{shadow}: after an error");
            for name in ["INT", "TERM"] {
                for moment in MOMENTS {
                    let child = d.start(&format!("plan --db $DB --out - --shadow {shadow}"));
                    std::thread::sleep(Duration::from_millis(*moment));
                    signal(child.id(), name);
                    let done = finish(child);
                    let what = format!("{shadow}: {name} at {moment} ms: {done:?}");
                    until(&what, async || d.number(query).await == 0).await;
                }
            }
        }
    });
}
