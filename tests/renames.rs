//! Other names, with the real binary: planned, proven, applied, taken back, and seen by `drift` and `diff`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::{Desk, desk};

const BEFORE: &str = "CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'well');
CREATE TABLE app.users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number serial, email varchar(40) NOT NULL UNIQUE,
    state varchar(10) DEFAULT 'new' CHECK (state IN ('new', 'old')), feels app.mood DEFAULT 'sad');
CREATE INDEX ON app.users (lower(email)) WHERE state IN ('new', 'x');
CREATE TABLE app.posts (id int PRIMARY KEY, author bigint REFERENCES app.users);
CREATE VIEW app.mails AS SELECT id, email AS mail FROM app.users WHERE state IN ('new', 'old');
COMMENT ON COLUMN app.users.email IS 'where to write to'; GRANT SELECT (email) ON app.users TO PUBLIC;
";

const AFTER: &str = "-- plumb: renamed from app
CREATE SCHEMA shop;
-- plumb: renamed from mood
CREATE TYPE shop.feeling AS ENUM (
    -- plumb: renamed from sad
    'un''happy',
    'well'
);
-- plumb: renamed from users
CREATE TABLE shop.\"Pe\"\"ople; --\" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number serial,
    -- plumb: renamed from email
    \"Mail\" varchar(40) NOT NULL UNIQUE,
    -- plumb: renamed from state
    stage varchar(10) DEFAULT 'new' CHECK (stage IN ('new', 'old')),
    feels shop.feeling DEFAULT 'un''happy',
    added int NOT NULL DEFAULT 7
);
CREATE INDEX ON shop.\"Pe\"\"ople; --\" (lower(\"Mail\")) WHERE stage IN ('new', 'x');
CREATE TABLE shop.posts (id int PRIMARY KEY, author bigint REFERENCES shop.\"Pe\"\"ople; --\");
CREATE VIEW shop.mails AS SELECT id, \"Mail\" AS mail FROM shop.\"Pe\"\"ople; --\" WHERE stage IN ('new', 'old');
COMMENT ON COLUMN shop.\"Pe\"\"ople; --\".\"Mail\" IS 'where to write to'; GRANT SELECT (\"Mail\") ON shop.\"Pe\"\"ople; --\" TO PUBLIC;
";

const ROWS: &str = "INSERT INTO app.users (email) SELECT 'u' || n FROM generate_series(1, 50) n;
INSERT INTO app.posts SELECT n, n FROM generate_series(1, 50) n; ANALYZE;";

fn plan(d: &Desk<'_>, file: &str) -> Value {
    serde_json::from_str(&d.place.read(file)).unwrap()
}

fn statements(plan: &Value) -> Vec<String> {
    let steps = plan["groups"].as_array().unwrap().iter().flat_map(|g| g["steps"].as_array().unwrap());
    steps.flat_map(|s| s["sql"].as_array().unwrap()).map(|s| s.as_str().unwrap().to_owned()).collect()
}

async fn start(d: &Desk<'_>) {
    d.sql(BEFORE).await;
    d.sql(ROWS).await;
    d.place.write("schema/all.sql", AFTER);
}

#[test]
fn everything_is_called_otherwise_and_back() {
    desk("renames", async |d| {
        start(d).await;
        d.exits(0, "snapshot --db $DB --out before.json");
        let shown = d.exits(2, "plan --db $DB --out there.json").stdout;
        let there = plan(d, "there.json");
        assert_eq!(there["proof"]["result"], "equal", "{shown}");
        assert!(
            shown.contains("to rename") && shown.contains("breaks-code: code that names schema app fails: it is shop"),
            "{shown}"
        );
        assert!(!statements(&there).iter().any(|s| s.contains("DROP ") && !s.contains("DROP VIEW")), "{shown}");
        assert_eq!(statements(&there)[0], "ALTER SCHEMA app RENAME TO shop");
        let back = d.exits(2, "plan --db $DB --reverse --out back.json").stdout;
        assert_eq!(plan(d, "back.json")["proof"]["result"], "equal", "{back}");
        d.exits(0, "apply there.json --db $DB --allow all");
        let people = "shop.\"Pe\"\"ople; --\"";
        let kept =
            format!("SELECT count(*) FROM {people} p JOIN shop.posts ON author = p.id WHERE \"Mail\" LIKE 'u%' AND added = 7");
        assert_eq!(d.number(&kept).await, 50);
        assert_eq!(d.number(&format!("SELECT count(*) FROM {people} WHERE feels = 'un''happy'")).await, 50);
        // Done, with the same words in the files.
        d.exits(0, "plan --db $DB");
        d.exits(0, "drift --db $DB");
        d.exits(0, "apply back.json --db $DB --allow all");
        let diff = d.run("diff before.json $DB");
        assert_eq!(diff.exit, 0, "{}{}", diff.stdout, diff.stderr);
        assert_eq!(d.number("SELECT count(*) FROM app.users WHERE email LIKE 'u%' AND feels = 'sad'").await, 50);
    });
}

#[test]
fn the_old_schema_is_watched_too() {
    desk("renames-stale", async |d| {
        start(d).await;
        d.exits(2, "plan --db $DB --out there.json");
        d.sql("ALTER TABLE app.posts ADD COLUMN late int").await;
        let refused = d.exits(3, "apply there.json --db $DB --allow all").stderr;
        assert!(refused.contains("plan::stale") && refused.contains("table app.posts"), "{refused}");
    });
}

#[test]
fn drift_shows_what_is_still_called_so() {
    desk("renames-drift", async |d| {
        d.sql("CREATE TABLE users (id int PRIMARY KEY, email text)").await;
        d.place.write("schema/a.sql", "-- plumb: renamed from users\nCREATE TABLE people (id int PRIMARY KEY, email text);");
        let shown = d.exits(2, "drift --db $DB").stdout;
        assert!(shown.contains("ALTER TABLE public.users RENAME TO people"), "{shown}");
        assert!(!shown.contains("DROP TABLE"), "{shown}");
        let json: Value = serde_json::from_str(&d.exits(2, "drift --db $DB --format json").stdout).unwrap();
        let first = &json["differences"][0];
        assert_eq!(
            (first["state"].as_str(), first["renamed_from"]["name"][1].as_str()),
            (Some("renamed"), Some("users")),
            "{first}"
        );
    });
}

#[test]
fn the_command_line_says_it_once() {
    desk("renames-flag", async |d| {
        d.sql("CREATE TABLE users (id int PRIMARY KEY, email text); CREATE TABLE a (x int); CREATE TABLE b (x int);").await;
        d.sql("INSERT INTO users VALUES (1, 'e'); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)").await;
        d.place.write(
            "schema/a.sql",
            "CREATE TABLE people (id int PRIMARY KEY, mail text); CREATE TABLE a (x int); CREATE TABLE b (x int);",
        );
        let flags = "--rename users=people --rename public.users.email=mail --rename a=b --rename b=a";
        let shown = d.exits(2, &format!("drift --db $DB {flags}")).stdout;
        assert!(shown.contains("RENAME COLUMN email TO mail"), "{shown}");
        d.exits(0, &format!("apply --db $DB --yes {flags}"));
        assert_eq!(d.number("SELECT count(*) FROM people, a, b WHERE mail = 'e' AND a.x = 2 AND b.x = 1").await, 1);
        d.exits(0, "plan --db $DB");
        d.place.write(
            "other.sql",
            "CREATE TABLE folk (id int PRIMARY KEY, mail text); CREATE TABLE a (x int); CREATE TABLE b (x int);",
        );
        let sql = d.exits(2, "diff schema/a.sql other.sql --rename people=folk --format sql").stdout;
        assert!(sql.contains("ALTER TABLE public.folk RENAME CONSTRAINT people_pkey TO folk_pkey"), "{sql}");
    });
}

#[test]
fn what_is_new_has_no_old_name() {
    desk("renames-new", async |d| {
        d.place.write(
            "schema/a.sql",
            "-- plumb: renamed from users\nCREATE TABLE people (\n    -- plumb: renamed from email\n    mail text\n);",
        );
        let fresh = d.exits(2, "plan --db $DB");
        assert!(fresh.stderr.contains("schema/a.sql:1: neither table public.users nor table public.people"), "{}", fresh.stderr);
        assert!(fresh.stderr.contains("schema/a.sql:3: table public.people is new"), "{}", fresh.stderr);
        d.sql("CREATE TABLE other (a int)").await;
        d.place.write(
            "schema/a.sql",
            "CREATE TABLE other (a int);\nCREATE TABLE people (\n    -- plumb: renamed from email\n    mail text\n);",
        );
        let fresh = d.exits(2, "plan --db $DB");
        assert!(fresh.stderr.contains("schema/a.sql:3: table public.people is new"), "{}", fresh.stderr);
    });
}

#[test]
fn what_nobody_names_is_not_built_again() {
    desk("renames-follow", async |d| {
        d.sql("CREATE TABLE t (a int, b text, CONSTRAINT by_hand UNIQUE (a)); CREATE INDEX mine ON t (b)").await;
        d.place.write("schema/a.sql", "CREATE TABLE t (a int UNIQUE, b text); CREATE INDEX ON t (b);");
        d.exits(2, "plan --db $DB --out p.json");
        assert_eq!(
            statements(&plan(d, "p.json")),
            ["ALTER INDEX public.mine RENAME TO t_b_idx", "ALTER TABLE public.t RENAME CONSTRAINT by_hand TO t_a_key"]
        );
        d.exits(0, "apply p.json --db $DB");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn what_was_not_said_is_proposed() {
    desk("renames-proposed", async |d| {
        d.sql("CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, a int); CREATE TYPE mood AS ENUM ('sad', 'ok')")
            .await;
        d.sql("CREATE TABLE one (a int); CREATE TABLE two (a int)").await;
        d.place.write(
            "schema/a.sql",
            "CREATE TABLE users (\n    id int PRIMARY KEY,\n    mail text NOT NULL,\n    a int\n);\nCREATE TYPE mood AS ENUM ('unhappy', 'ok');\n\
             CREATE TABLE three (a int);",
        );
        let shown = d.exits(2, "plan --db $DB --out p.json").stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "Perhaps a rename: column public.users.mail comes, and column public.users.email is the same but for its name and goes.",
            "write above it at schema/a.sql:3: -- plumb: renamed from email",
            "values of public.users.email can be lost, unless it is column public.users.mail by its old name",
            "-- plumb: renamed from 'sad'",
            "table public.three may be any of these: table public.one, table public.two.",
        ] {
            assert!(shown.contains(words), "{words}\n{shown}");
        }
        let proposals = plan(d, "p.json")["proposals"].clone();
        assert_eq!(proposals.as_array().map(Vec::len), Some(3), "{proposals}");
        for format in ["markdown", "html"] {
            let shown = d.exits(2, &format!("plan --db $DB --format {format}")).stdout;
            assert!(shown.contains("renamed from email"), "{shown}");
        }
    });
}
