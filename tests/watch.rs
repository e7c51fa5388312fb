//! The log of DDL: what it notes, what it leaves alone, and what drift tells of it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use pg_query::protobuf::Token;
use serde_json::Value;
use support::desk::{Desk, desk};
use support::random::Random;
use support::tree::{files, root};

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
fn every_command_on_an_object_is_noted_and_no_constant() {
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
        let (commands, statements): (Vec<&str>, Vec<&str>) = told.stdout.lines().partition(|line| !line.starts_with("    "));
        assert_eq!((commands.len(), statements.len()), (noted.len(), noted.len()), "{}", told.stdout);
        assert!(commands.iter().any(|line| line.contains("ALTER TABLE public.t by postgres")), "{}", told.stdout);
        let said = "COMMENT ON TABLE t IS '***'; ALTER TABLE t ADD COLUMN b text DEFAULT '***'; GRANT SELECT ON t TO pg_monitor";
        assert!(statements.iter().all(|line| line.contains(said)), "{}", told.stdout);
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
        assert!(said.contains("GRANT by postgres with plumb"), "{}", done.stdout);
        // the one that names it, though others came after it
        d.sql("CREATE TABLE other (a int); GRANT SELECT ON other TO watch_ann").await;
        let json: Value = serde_json::from_str(&d.exits(2, "drift --db $DB --format json").stdout).unwrap();
        let of =
            |name: &str| json["differences"].as_array().unwrap().iter().find(|x| x["name"] == name).unwrap()["origin"].clone();
        assert!(of("index public.i").as_str().unwrap().starts_with("CREATE INDEX by watch_ann"));
        let rights = of("grant of schema public");
        let said =
            "GRANT CREATE, USAGE ON SCHEMA public TO watch_ann; GRANT SELECT ON t TO watch_ann; ALTER TABLE t OWNER TO watch_ann";
        assert!(rights.as_str().unwrap().ends_with(said), "{rights}");
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
        d.sql("ALTER FUNCTION plumb.redacted(text) RENAME TO gone; CREATE TABLE works_then_too (a int)").await;
        d.sql("ALTER FUNCTION plumb.gone(text) RENAME TO redacted").await;
        // a role that is no superuser is told that it takes one
        d.exits(0, "watch remove --db $DB --yes");
        d.sql("GRANT USAGE ON SCHEMA plumb TO watch_ben; GRANT ALL ON ALL TABLES IN SCHEMA plumb TO watch_ben").await;
        let db = d.db.replace("postgres@", "watch_ben@").replace("user=postgres", "user=watch_ben");
        let done = d.exits(1, &format!("watch install --db {db}"));
        assert!(done.stderr.contains("watch::refused") && done.stderr.contains("superuser"), "{}", done.stderr);
        d.sql("REASSIGN OWNED BY watch_ben TO postgres; DROP OWNED BY watch_ben; DROP ROLE watch_ben").await;
    });
}

/// What PostgreSQL's own scanner finds, without comments, with the same in the place of each constant; none where it finds an error. Strings
/// and numbers that follow one another are one.
fn scanned(sql: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for token in pg_query::scan(sql).ok()?.tokens {
        let text = match token.token() {
            Token::SqlComment | Token::CComment => continue,
            Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst => "'***'",
            Token::Iconst | Token::Fconst => "0",
            _ => &sql[usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap()],
        };
        if found.last().is_none_or(|last| last != text || !matches!(text, "'***'" | "0")) {
            found.push(text.to_owned());
        }
    }
    Some(found)
}

/// That nothing is left of constants and comments, and everything else as far as it goes: one of which the end is not known takes all after it along.
fn is_redacted(sql: &str, redacted: &str) {
    let Some(wanted) = scanned(sql) else { return };
    let cut = redacted.ends_with(" ...");
    let found = scanned(redacted.trim_end_matches(" ...")).unwrap_or_else(|| panic!("{sql:?}: {redacted:?} is not whole"));
    let same = found.iter().zip(&wanted).take_while(|(found, wanted)| found == wanted).count();
    let rest_is_taken_for_a_constant = found.len() == same && found.last().is_none_or(|last| last == "'***'" || last == "0");
    // A long one may be cut within a name.
    let whole = if sql.len() > 7_000 { same + 2 >= found.len() } else { same == found.len() };
    assert!(whole && (same == wanted.len() || cut || rest_is_taken_for_a_constant), "{sql:?}: {redacted:?}");
}

async fn redacted(d: &Desk<'_>, all: &[String]) {
    for some in all.chunks(500) {
        let rows = d.session.client.query("SELECT plumb.redacted(s) FROM unnest($1::text[]) s", &[&some]).await.unwrap();
        some.iter().zip(rows).for_each(|(sql, row)| is_redacted(sql, row.get(0)));
    }
}

#[test]
fn constants_and_comments_are_taken_out_of_every_statement() {
    desk("redacted", async |d| {
        begun(d).await;
        // of each pair: what is sent, and what is left
        for (sql, left) in [
            ("ALTER TABLE t ADD b varchar(255) DEFAULT 'hunter2'", "ALTER TABLE t ADD b varchar(0) DEFAULT '***'"),
            (
                "SELECT E'a\\'b', 'it''s', U&'d\\0061t', B'101', x'1F', N'n', $$x'y$$, $a$b $$ c$a$",
                "SELECT '***', '***', '***', '***', '***', '***', '***', '***'",
            ),
            ("SELECT 1, 2.5, .5, 1e10, 1.5E-3, 0x1F, 1_000, $1, a1", "SELECT 0, 0, 0, 0, 0, 0, 0, $1, a1"),
            ("SELECT /* a /* b */ 'x y\" */ \"q\"\"'--\" -- 'secret'\n, z", "SELECT \"q\"\"'--\" , z"),
            ("SELECT E'a'\n'b\\'secret' , z", "SELECT '***' '***' , z"),
            ("SELECT E'a' -- c\n'b\\'secret' , z", "SELECT '***' '***' , z"),
            // how this ends depends on standard_conforming_strings
            ("SELECT 'a\\' , secret , '", "SELECT '***'"),
            ("SELECT 'never ends", "SELECT '***'"),
            ("SELECT $x$ never ends", "SELECT '***'"),
            ("SELECT /* never ends", "SELECT"),
            ("SELECT \"never ends", "SELECT '***'"),
            ("SELECT a$b$, c$d$, é$$", "SELECT a$b$, c$d$, é$$"),
            ("SELECT 1x$$a'secret$$", "SELECT 0"),
            ("SELECT\u{a0}E'x' , z", "SELECT\u{a0}E '***' , z"),
            ("", ""),
        ] {
            let row = d.session.client.query_one("SELECT plumb.redacted($1)", &[&sql]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), left, "{sql}");
        }
        let folders = [root("fixtures"), root("../shared/corpora"), root("../shared/cases")];
        let scripts = folders.iter().flat_map(|folder| files(folder)).filter(|path| path.extension().is_some_and(|e| e == "sql"));
        let mut all: Vec<String> = Vec::new();
        for script in scripts.filter_map(|path| std::fs::read_to_string(path).ok()).filter(|script| script.len() < 2_000_000) {
            all.extend(pg_query::split_with_scanner(&script).unwrap_or_default().into_iter().map(str::to_owned));
        }
        assert!(all.len() > 1_000, "{}", all.len());
        let (mut random, seed) = Random::seeded();
        println!("PLUMB_SEED={seed}");
        redacted(d, &random.sample(all, 3_000)).await;
        let pieces = [
            "'", "''", "\\", "\\'", "E'", "e'", "$$", "$a$", "$a", "--", "\n", "/*", "*/", "\"", "U&'", "u&\"", "b'", "1e",
            "1.5", ".5", "x", "é", " ", "\t", ";", "$1", "secret", "-", "*", "/",
        ];
        let hostile = (0..4_000).map(|_| (0..1 + random.below(14)).map(|_| pieces[random.below(pieces.len())]).collect());
        redacted(d, &hostile.collect::<Vec<String>>()).await;
    });
}
