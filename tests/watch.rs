//! The log of DDL: what it notes, what it leaves alone, and what drift tells of it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::{Desk, desk};

async fn begun(d: &Desk<'_>) {
    d.place.write("schema/t.sql", "CREATE TABLE t (id bigint PRIMARY KEY, a int);\nCREATE VIEW v AS SELECT id FROM t;\n");
    d.exits(0, "apply --db $DB --yes");
    d.exits(0, "watch install --db $DB");
}

fn log(d: &Desk<'_>) -> Vec<(String, String)> {
    let done = d.exits(0, "watch log --db $DB --format json --last 100");
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    document["commands"].as_array().unwrap().iter().rev().map(|c| (text(&c["tag"]), text(&c["object"]))).collect()
}

#[test]
fn every_command_on_an_object_is_noted_and_no_statement() {
    desk("watch", async |d| {
        begun(d).await;
        assert!(log(d).is_empty());
        let secret = "hunter2";
        d.sql(&format!(
            "CREATE TABLE \"Sélect\"\"; --\" (a int DEFAULT 7); COMMENT ON TABLE t IS '{secret}'; ALTER TABLE t ADD COLUMN b text DEFAULT '{secret}'; \
             GRANT SELECT ON t TO pg_monitor; DROP VIEW v; CREATE TEMP TABLE x (a int); DROP TABLE x; DROP TABLE \"Sélect\"\"; --\"; \
             CREATE FUNCTION f(a int, b text[]) RETURNS int LANGUAGE sql AS 'SELECT 1'"
        ))
        .await;
        let noted = log(d);
        let has = |tag: &str, object: &str| noted.contains(&(tag.to_owned(), object.to_owned()));
        for (tag, object) in [
            ("CREATE TABLE", "public.\"Sélect\"\"; --\""),
            ("COMMENT", "public.t"),
            ("ALTER TABLE", "public.t"),
            ("GRANT", ""),
            ("DROP VIEW", "public.v"),
            ("DROP TABLE", "public.\"Sélect\"\"; --\""),
            ("CREATE FUNCTION", "public.f(integer,text[])"),
        ] {
            assert!(has(tag, object), "{tag} {object}: {noted:?}");
        }
        assert!(!noted.iter().any(|(_, o)| o.contains("temp") || o.contains(".x") || o.starts_with("plumb")), "{noted:?}");
        let everything =
            d.session.client.query_one("SELECT coalesce(string_agg(d::text, ' '), '') FROM plumb.ddl d", &[]).await.unwrap();
        assert!(!everything.get::<_, String>(0).contains(secret));
        let told = d.exits(0, "watch log --db $DB");
        assert!(
            told.stdout.lines().count() == noted.len() && told.stdout.contains("ALTER TABLE public.t by postgres"),
            "{}",
            told.stdout
        );
    });
}

#[test]
fn drift_says_who_it_was() {
    desk("watchdrift", async |d| {
        begun(d).await;
        d.exits(0, "drift --db $DB");
        d.sql("CREATE ROLE watch_ann LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO watch_ann; GRANT SELECT ON t TO watch_ann; ALTER TABLE t OWNER TO watch_ann").await;
        d.sql("SET application_name = 'psql'; SET ROLE watch_ann; ALTER TABLE t ADD COLUMN b text; CREATE INDEX i ON t (a); RESET ROLE").await;
        let done = d.exits(2, "drift --db $DB");
        let said = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("ALTER TABLE by watch_ann (logged in as postgres) with psql"), "{}", done.stdout);
        assert!(said.contains("CREATE INDEX by watch_ann"), "{}", done.stdout);
        assert!(said.contains("the last command about rights is GRANT by postgres"), "{}", done.stdout);
        let json: Value = serde_json::from_str(&d.exits(2, "drift --db $DB --format json").stdout).unwrap();
        let of =
            |name: &str| json["differences"].as_array().unwrap().iter().find(|x| x["name"] == name).unwrap()["origin"].clone();
        assert!(of("index public.i").as_str().unwrap().starts_with("CREATE INDEX by watch_ann"));
        let markdown = d.exits(2, "drift --db $DB --format markdown").stdout;
        assert!(markdown.contains("Last changed: CREATE INDEX by `watch_ann`"), "{markdown}");
        d.sql("REASSIGN OWNED BY watch_ann TO postgres; DROP OWNED BY watch_ann; DROP ROLE watch_ann").await;
    });
}

#[test]
fn it_is_in_no_plan_and_no_dump_and_goes_without_a_trace() {
    desk("watchplan", async |d| {
        d.place.write("schema/t.sql", "CREATE TABLE t (a int);\n");
        let early = d.exits(3, "watch install --db $DB");
        assert!(early.stderr.contains("watch::no_ledger"), "{}", early.stderr);
        begun(d).await;
        let again = d.exits(0, "watch install --db $DB");
        assert!(again.stdout.contains("already"), "{}", again.stdout);
        for line in ["plan --db $DB --scope *", "drift --db $DB", "dump --db $DB", "snapshot --db $DB"] {
            let done = d.run(line);
            assert!(!done.stdout.contains("plumb_watch") && !done.stdout.contains("note_ddl"), "{line}: {}", done.stdout);
            assert!(done.exit == 0, "{line}: {}{}", done.stdout, done.stderr);
        }
        // a plan goes through it
        d.place.write("schema/t.sql", "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int);\nCREATE VIEW v AS SELECT id FROM t;\nCREATE INDEX i ON t (b);\n");
        d.exits(0, "apply --db $DB --yes");
        assert!(log(d).iter().any(|(tag, object)| tag == "CREATE INDEX" && object == "public.i"));
        d.exits(0, "plan --db $DB");
        d.exits(0, "watch remove --db $DB --yes");
        assert_eq!(d.number("SELECT count(*) FROM pg_event_trigger").await, 0);
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'ddl'").await, 0);
        assert!(d.exits(0, "watch log --db $DB").stdout.contains("watch install"));
        d.exits(0, "watch remove --db $DB --yes");
    });
}

#[test]
fn nobody_s_command_fails_for_it_and_others_may_not_write_it() {
    desk("watchrights", async |d| {
        begun(d).await;
        d.sql("CREATE ROLE watch_ben LOGIN; GRANT CREATE ON SCHEMA public TO watch_ben").await;
        d.sql("SET ROLE watch_ben; CREATE TABLE of_ben (a int); RESET ROLE").await;
        assert!(log(d).iter().any(|(_, object)| object == "public.of_ben"), "who may not write the log is noted too");
        let written = d
            .session
            .client
            .batch_execute("SET ROLE watch_ben; INSERT INTO plumb.ddl (tag, class, role, login) VALUES ('x', 'x', 'x', 'x')")
            .await;
        assert!(written.is_err());
        d.sql("RESET ROLE; SET ROLE watch_ben").await;
        let refused = d.session.client.batch_execute("SELECT plumb.note_ddl()").await;
        assert!(refused.is_err());
        d.sql("RESET ROLE; ALTER TABLE plumb.ddl RENAME TO gone; CREATE TABLE works_all_the_same (a int); ALTER TABLE plumb.gone RENAME TO ddl").await;
        // a role that is no superuser is told that it takes one
        d.exits(0, "watch remove --db $DB --yes");
        d.sql("GRANT USAGE ON SCHEMA plumb TO watch_ben; GRANT ALL ON ALL TABLES IN SCHEMA plumb TO watch_ben").await;
        let db = d.db.replace("postgres@", "watch_ben@").replace("user=postgres", "user=watch_ben");
        let done = d.exits(1, &format!("watch install --db {db}"));
        assert!(done.stderr.contains("watch::refused") && done.stderr.contains("superuser"), "{}", done.stderr);
        d.sql("REASSIGN OWNED BY watch_ben TO postgres; DROP OWNED BY watch_ben; DROP ROLE watch_ben").await;
    });
}
