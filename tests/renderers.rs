//! The forms of a plan in use: the script runs in psql and ends where the plan says, and the commands and files that show a plan.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::process::{Command, Output};
use support::desk::{Desk, TABLE, desk};
use support::server::server;

/// What psql reads differently from a server: colons, backslashes, semicolons inside of statements, comments at their ends.
const BEFORE: &str = r#"CREATE TYPE mood AS ENUM ('ok', 'it''s');
CREATE TABLE notes (id int PRIMARY KEY, m mood, tags text[], old text, amount numeric(8,2));
CREATE VIEW firsts AS SELECT id, tags[1:2] AS t FROM notes;
CREATE TABLE going (id int);
CREATE TABLE log (what text);
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';"#;

const AFTER: &str = r#"CREATE TYPE mood AS ENUM ('ok', 'bad\:name', 'it''s');
CREATE TABLE notes (id int PRIMARY KEY, m mood DEFAULT 'bad\:name', tags text[], amount numeric(12,4),
    path text DEFAULT 'C:\new' CHECK (path <> '\'), "odd ""name"" :USER; --
\! echo" text);
CREATE VIEW firsts AS SELECT id, tags[1:3] AS t, amount::text AS a FROM notes;
CREATE TABLE log (what text);
CREATE TABLE "Sélect""; --" (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
COMMENT ON TABLE notes IS E'a;\n\\q\nb -- '':DBNAME''';
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE plpgsql AS $x$
BEGIN
    RAISE NOTICE ':HOST %; \gexec', a; -- $y$
    RETURN a * 2; END $x$;
CREATE FUNCTION atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
    INSERT INTO log (what) VALUES ('x;y');
    SELECT CASE WHEN a > 0 THEN a ELSE 0 END; END;
CREATE RULE kept AS ON DELETE TO log DO INSTEAD (INSERT INTO log VALUES ('a'); INSERT INTO log VALUES ('b;'));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (old_owner() = CURRENT_USER);
CREATE FUNCTION old_owner() RETURNS name LANGUAGE sql STABLE RETURN CURRENT_USER;"#;

/// psql, beside pg_dump or on the PATH.
fn psql(d: &Desk, script: &str) -> Output {
    let beside = server().pg_dump.with_file_name("psql");
    let program = if beside.exists() { beside } else { "psql".into() };
    let mut command = Command::new(program);
    command.args(server().arguments(&d.database)).args(["-X", "-q", "-f", script]).current_dir(d.place.path());
    command.output().expect("psql is needed to run the tests (`make setup` gets it)")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_script_runs_in_psql_and_ends_where_the_plan_says() {
    desk("psql", async |d| {
        // What a database may be set to, and the script must not mind.
        let odd = format!(
            "ALTER DATABASE {0} SET standard_conforming_strings = off; ALTER DATABASE {0} SET search_path = going, public;
             ALTER DATABASE {0} SET check_function_bodies = on; ALTER DATABASE {0} SET TimeZone = 'Asia/Kathmandu'",
            d.database
        );
        d.sql(BEFORE).await;
        d.sql("INSERT INTO notes (id, amount) VALUES (1, 2.5)").await;
        d.sql(&odd).await;
        d.place.write("schema/all.sql", AFTER);
        let plan = d.exits(2, "plan --db $DB --out plan.json --report plan.sql");
        assert!(plan.stdout.contains("Proven") && plan.stdout.contains("Committed"), "{}", plan.stdout);
        let run = psql(d, "plan.sql");
        assert!(run.status.success(), "{}\n{}", words(&run), d.place.read("plan.sql"));
        d.exits(0, "drift --db $DB");
        assert!(d.exits(0, "apply plan.json --db $DB --allow all").stdout.contains("is applied already"));
        assert_eq!(d.number("SELECT count(*) FROM public.notes WHERE amount = 2.5").await, 1);
        // And back, from the files of the beginning.
        d.place.write("back/all.sql", BEFORE);
        d.exits(2, "plan --db $DB --schema back --out - --report back.sql");
        let run = psql(d, "back.sql");
        assert!(run.status.success(), "{}\n{}", words(&run), d.place.read("back.sql"));
        d.exits(0, "drift --db $DB --schema back");
    });
}

#[test]
fn the_script_gives_way_and_leaves_nothing_behind() {
    desk("gives_way", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY)").await;
        d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
        d.place.write("schema/users.sql", &format!("{TABLE}CREATE TABLE before_it (id int);"));
        d.place.write("plumb.toml", "lock_timeout = \"300ms\"\n");
        d.exits(2, "plan --db $DB --out - --report plan.sql");
        assert!(d.place.read("plan.sql").contains("SET LOCAL lock_timeout = 300;"));
        let run = psql(d, "plan.sql");
        assert_eq!(run.status.code(), Some(3), "{}", words(&run));
        assert!(words(&run).contains("lock timeout"), "{}", words(&run));
        assert_eq!(d.number("SELECT count(*) FROM pg_tables WHERE tablename = 'before_it'").await, 0);
        d.sql("COMMIT").await;
        let run = psql(d, "plan.sql");
        assert!(run.status.success(), "{}\n{}", words(&run), d.place.read("plan.sql"));
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn every_form_and_several_at_once() {
    desk("renderers", async |d| {
        d.place.write("schema/users.sql", TABLE);
        let reports =
            ["r/plan.md", "r/plan.html", "r/plan.sql", "r/plan.json", "r/plan.txt", "r/plan.svg", "r/plan.dot", "r/plan.mmd"];
        let flags: String = reports.iter().map(|r| format!(" --report {r}")).collect();
        let plan = d.exits(2, &format!("plan --db $DB --out plan.json{flags}"));
        assert_eq!((plan.stdout.clone(), plan.stderr.as_str()), (d.place.read("r/plan.txt"), ""));
        assert_eq!(d.place.read("r/plan.json"), d.place.read("plan.json"));
        let id = plumb::plan::read(&d.place.read("plan.json")).unwrap().id;
        for report in ["r/plan.md", "r/plan.html", "r/plan.sql"] {
            assert!(d.place.read(report).contains(&id), "{report}");
        }
        for (format, report) in [("markdown", "r/plan.md"), ("html", "r/plan.html"), ("sql", "r/plan.sql")] {
            assert_eq!(d.exits(2, &format!("plan --db $DB --out plan.json --format {format}")).stdout, d.place.read(report));
        }
        for (format, report) in [("dot", "r/plan.dot"), ("mermaid", "r/plan.mmd"), ("svg", "r/plan.svg")] {
            assert_eq!(d.exits(0, &format!("graph plan.json --format {format}")).stdout, d.place.read(report));
            assert_eq!(d.exits(0, &format!("graph --db $DB --format {format}")).stdout, d.place.read(report));
        }
        assert!(d.place.read("r/plan.dot").starts_with("// Steps") && d.place.read("r/plan.svg").contains("</svg>"));
        let wrong = d.run("plan --db $DB --report plan.pdf");
        assert_eq!((wrong.exit, wrong.stdout.as_str()), (1, ""));
        assert!(wrong.stderr.contains(".md .html .sql"), "{}", wrong.stderr);
        d.exits(0, "apply plan.json --db $DB");
        let none = d.exits(0, "plan --db $DB --report none.md --report none.html --format markdown").stdout;
        assert!(none.starts_with("<!-- plumb:plan ") && none.contains("## plumb: no changes"), "{none}");
        assert_eq!(none, d.place.read("none.md"));
        assert!(d.place.read("none.html").contains("<h1>No changes</h1>"));
    });
}

#[test]
fn a_step_is_explained() {
    desk("explain", async |d| {
        d.sql(BEFORE).await;
        d.place.write("schema/all.sql", AFTER);
        d.exits(2, "plan --db $DB --out plan.json");
        let plan = plumb::plan::read(&d.place.read("plan.json")).unwrap();
        for step in plan.steps() {
            let shown = d.exits(0, &format!("explain plan.json {}", step.id)).stdout;
            assert!(shown.contains(&format!("Step {} of {}", step.id, plan.steps().count())), "{shown}");
            for (earlier, _) in &step.after {
                assert!(shown.contains(&format!("{earlier:>3} ")), "{shown}");
                let other = d.exits(0, &format!("explain plan.json {earlier}")).stdout;
                let (_, behind) = other.split_once("Has to come before").unwrap();
                assert!(behind.contains(&format!("{:>3} ", step.id)), "{other}");
            }
        }
        assert!(plan.steps().any(|s| !s.after.is_empty()));
        assert!(d.exits(0, "explain plan.json public.going").stdout.contains("loses-rows"));
        let missing = d.run("explain plan.json 999");
        assert_eq!((missing.exit, missing.stdout.as_str()), (1, ""));
        assert!(missing.stderr.contains("plan::step") && missing.stderr.contains("no step \"999\""), "{}", missing.stderr);
        assert_eq!(d.run("explain nowhere.json 1").exit, 1);
    });
}
