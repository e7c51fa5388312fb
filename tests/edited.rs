//! Plans whose SQL is edited by hand: proven again they are what they say, and nothing else of them can be edited.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::{Desk, desk};

const LIVE: &str = r#"CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, total int, legacy text, note text);
INSERT INTO "Sélect""; --" SELECT n, n, 'l', 'n' FROM generate_series(1, 20000) n; ANALYZE;"#;
const WANTED: &str = r#"CREATE TABLE "Sélect""; --" (id bigint PRIMARY KEY, total numeric, note text);
CREATE INDEX by_note ON "Sélect""; --" (note);"#;

async fn planned(d: &Desk<'_>) -> Value {
    d.sql(LIVE).await;
    d.place.write("schema/all.sql", WANTED);
    d.exits(2, "plan --db $DB --out plan.json");
    read(d, "plan.json")
}

fn read(d: &Desk<'_>, file: &str) -> Value {
    serde_json::from_str(&d.place.read(file)).unwrap()
}

/// Writes the plan with another text in place of one of its texts.
fn edit(d: &Desk<'_>, file: &str, from: &str, to: &str) {
    let text = d.place.read("plan.json");
    let quoted = |sql: &str| serde_json::to_string(sql).unwrap().trim_matches('"').to_owned();
    assert!(text.contains(&quoted(from)), "{from}\n{text}");
    d.place.write(file, &text.replacen(&quoted(from), &quoted(to), 1));
}

fn step(plan: &Value, sql: &str) -> Value {
    let mut steps = plan["groups"].as_array().unwrap().iter().flat_map(|g| g["steps"].as_array().unwrap());
    steps.find(|s| s["sql"].to_string().contains(sql)).unwrap_or_else(|| panic!("{sql}: {plan}")).clone()
}

fn codes(step: &Value) -> Vec<String> {
    step["hazards"].as_array().into_iter().flatten().map(|h| h["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_edited_statement_is_seen_anew_and_sealed() {
    desk("edited_sealed", async |d| {
        let plan = planned(d).await;
        edit(d, "plan.json", "CREATE INDEX CONCURRENTLY by_note", "create index by_note");
        let refused = d.exits(1, "apply plan.json --db $DB --allow all");
        assert!(refused.stderr.contains("plan::tampered") && refused.stderr.contains("plumb prove"), "{}", refused.stderr);
        let done = d.exits(0, "prove plan.json --db $DB");
        assert!(done.stdout.contains("Hazards that it did not have") && done.stdout.contains("long-scan"), "{}", done.stdout);
        let proven = read(d, "plan.json");
        assert_ne!(proven["id"], plan["id"]);
        assert_eq!(proven["to"], plan["to"]);
        let index = step(&proven, "create index by_note");
        assert_eq!(index["locks"][0]["mode"], "SHARE", "{index}");
        assert_eq!((&index["edited"], &index["observed"]), (&true.into(), &true.into()));
        assert!(codes(&index).contains(&"long-scan".to_owned()), "{index}");
        for command in ["explain plan.json by_note", "graph plan.json"] {
            d.exits(0, command);
        }
        let explained = d.exits(0, "explain plan.json by_note");
        assert!(explained.stdout.contains("its SQL by hand"), "{}", explained.stdout);
        d.exits(0, "prove plan.json --db $DB");
        assert_eq!(read(d, "plan.json"), proven, "what is proven is not written again");
        d.exits(0, "apply plan.json --db $DB --allow loses-values");
        assert_eq!(d.number(r#"SELECT count(*) FROM "Sélect""; --" WHERE total = id"#).await, 20000);
        assert!(d.exits(0, "plan --db $DB").stdout.starts_with("No changes"));
    });
}

#[test]
fn code_in_an_edited_step_does_not_say_what_is_lost() {
    desk("edited_hiding", async |d| {
        let evil =
            "CREATE SCHEMA evil; CREATE TABLE evil.pg_attribute (attrelid oid, attnum int2, attname name, attisdropped bool);
            CREATE FUNCTION evil.hide() RETURNS text STABLE LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog', false); RETURN 'x'; END $$;";
        d.sql(&format!("{evil}{LIVE}")).await;
        d.place.write("schema/all.sql", &format!("{evil}{WANTED}"));
        d.exits(2, "plan --db $DB --out plan.json");
        let hidden =
            "DROP COLUMN legacy, DROP COLUMN note, ADD COLUMN note text DEFAULT evil.hide(), ALTER COLUMN note SET DEFAULT NULL";
        edit(d, "plan.json", "DROP COLUMN legacy", hidden);
        d.exits(0, "prove plan.json --db $DB --out proven.json");
        let messages = step(&read(d, "proven.json"), "evil.hide")["hazards"].to_string();
        assert!(messages.contains(".note can be lost") && !messages.contains(".id can be lost"), "{messages}");
    });
}

#[test]
fn whoever_makes_up_a_plan_gets_no_superuser_by_it() {
    desk("edited_forged", async |d| {
        planned(d).await;
        const FORGED: &[&str] = &[
            "CREATE OR REPLACE FUNCTION public.run(text) RETURNS integer LANGUAGE c AS 'libc.so.6', 'system'",
            "CREATE EXTENSION dblink",
        ];
        for sql in FORGED {
            let mut plan = plumb::plan::read(&d.place.read("plan.json")).unwrap();
            plan.groups[0].steps[0].sql.insert(0, (*sql).to_owned());
            d.place.write("forged.json", &plumb::plan::write(&plan.seal()));
            let refused = d.exits(1, "prove forged.json --db $DB");
            assert!(refused.stderr.contains("plan::refused"), "{}", refused.stderr);
        }
    });
}

#[test]
fn what_an_edit_loses_is_a_hazard_to_be_allowed() {
    desk("edited_loses", async |d| {
        planned(d).await;
        let drop = "DROP COLUMN legacy";
        edit(d, "again.json", drop, "DROP COLUMN legacy, DROP COLUMN note, ADD COLUMN note text");
        let done = d.exits(0, "prove again.json --db $DB --out proven.json");
        assert!(done.stdout.contains("loses-values") && done.stdout.contains(".note can be lost"), "{}", done.stdout);
        let messages = step(&read(d, "proven.json"), "ADD COLUMN note")["hazards"].to_string();
        assert!(messages.contains(".note can be lost") && messages.contains(".legacy can be lost"), "{messages}");
        edit(d, "using.json", "USING total::numeric", "USING 0");
        let done = d.exits(0, "prove using.json --db $DB");
        assert!(done.stdout.contains("an edited expression makes of them"), "{}", done.stdout);
        d.exits(3, "apply using.json --db $DB");
    });
}

#[test]
fn another_end_is_refused_by_name() {
    desk("edited_end", async |d| {
        planned(d).await;
        edit(d, "other.json", "(note)", "(note, id)");
        let before = d.place.read("other.json");
        let done = d.exits(1, "prove other.json --db $DB");
        assert!(done.stdout.contains(r#"not as planned: table public."Sélect""; --""#), "{}", done.stdout);
        assert_eq!(d.place.read("other.json"), before);
        let drop = r#"ALTER TABLE public."Sélect""; --" DROP COLUMN legacy"#;
        edit(d, "more.json", drop, "CREATE VIEW public.more AS SELECT 1 AS one");
        let done = d.exits(1, "prove more.json --db $DB");
        assert!(done.stdout.contains("there and not planned: view public.more"), "{}", done.stdout);
        edit(d, "broken.json", drop, "ALTER TABLE public.missing DROP COLUMN legacy");
        let done = d.exits(1, "prove broken.json --db $DB");
        assert!(done.stdout.contains("on the copy, step") && done.stdout.contains("missing"), "{}", done.stdout);
    });
}

#[test]
fn facts_cannot_be_edited_away() {
    desk("edited_facts", async |d| {
        planned(d).await;
        for (from, to, name) in [
            ("\"code\": \"loses-values\"", "\"code\": \"note\"", "(column public."),
            ("\"transactional\": false", "\"transactional\": true", "groups: which steps"),
            ("\"result\": \"equal\"", "\"result\": \"equal \"", ""),
            ("\"outside_scope\": []", "\"outside_scope\": [\"x\"]", "outside_scope"),
        ] {
            let text = d.place.read("plan.json");
            assert!(text.contains(from), "{from}");
            d.place.write("facts.json", &text.replacen(from, to, 1));
            let refused = d.exits(1, "prove facts.json --db $DB");
            let shown: String = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            let code = if name.is_empty() { "plan::form" } else { "plan::edited" };
            assert!(shown.contains(code) && shown.contains(name), "{shown}");
        }
        for sql in ["COMMIT", "SELECT 1; SELECT 2", "COPY public.t TO PROGRAM 'id'", "SET ROLE postgres", "DROP TABLE x CASCADE"]
        {
            edit(d, "refused.json", r#"ALTER TABLE public."Sélect""; --" DROP COLUMN legacy"#, sql);
            let refused = d.exits(1, "prove refused.json --db $DB");
            assert!(refused.stderr.contains("plan::refused"), "{sql}: {}", refused.stderr);
        }
    });
}

#[test]
fn edited_sql_never_runs_as_an_administrator() {
    desk("edited_power", async |d| {
        // Where the servers' user may write, too.
        let trace = std::env::temp_dir().join(format!("plumb-edited-{}", std::process::id()));
        let body = format!("EXECUTE 'RESET ROLE'; EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {}'''", trace.display());
        d.sql(&format!("CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {body}; RETURN 1; END $f$")).await;
        d.place.write(
            "schema/evil.sql",
            &format!("CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {body}; RETURN 1; END $f$;"),
        );
        d.sql("SELECT evil()").await;
        assert!(trace.exists(), "a superuser can do it");
        std::fs::remove_file(&trace).unwrap();
        planned(d).await;
        for (from, to) in [
            (r#"ALTER TABLE public."Sélect""; --" DROP COLUMN legacy"#, "SELECT public.evil()"),
            (
                r#"CREATE INDEX CONCURRENTLY by_note ON public."Sélect""; --" USING btree (note)"#,
                "SELECT public.evil() /* CONCURRENTLY */",
            ),
            (
                r#"ALTER TABLE public."Sélect""; --" DROP COLUMN legacy"#,
                "INSERT INTO public.\"Sélect\"\"; --\" SELECT public.evil() -- OWNER TO x",
            ),
        ] {
            edit(d, "evil.json", from, to);
            let done = d.exits(1, "prove evil.json --db $DB");
            assert!(done.stdout.contains("is not proven"), "{}{}", done.stdout, done.stderr);
            assert!(!trace.exists(), "{to} ran as a superuser of the shadow");
        }
    });
}

#[test]
fn a_plan_that_was_not_proven_can_be_proven_later() {
    desk("edited_unproven", async |d| {
        d.sql(LIVE).await;
        d.place.write("schema/all.sql", WANTED);
        d.exits(2, "plan --db $DB --no-prove --out plan.json");
        let before = read(d, "plan.json");
        assert_eq!(before["proof"]["result"], "unproven");
        d.exits(3, "apply plan.json --db $DB --allow loses-values");
        d.exits(0, "prove plan.json --db $DB");
        let after = read(d, "plan.json");
        assert_eq!(after["proof"]["result"], "equal");
        assert!(after["groups"].as_array().unwrap().iter().all(|g| g["steps"][0]["observed"] == true), "{after}");
        d.exits(0, "apply plan.json --db $DB --allow loses-values");
    });
}
