//! What has to be true before a plan and before a step, what is run before and after one, how old one may be, and dry runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};
use support::command::finish;
use support::desk::{Desk, desk, signal, until, waits};

async fn columns(d: &Desk<'_>) -> i64 {
    d.number("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped").await
}

async fn planned(d: &Desk<'_>, schema: &str) {
    d.sql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").await;
    d.place.write("schema/t.sql", schema);
    d.exits(2, "plan --db $DB --out plan.json");
}

#[test]
fn what_the_configuration_asserts_is_asked_before_the_first_step() {
    desk("assertconfig", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        let config = "[[assert]]\nname = \"nobody is at work\"\nquery = \"SELECT count(*) = 0 FROM public.t WHERE a > 1\"\n";
        for (query, words) in [
            (config, "nobody is at work: it is false"),
            (&config.replace("count(*) = 0", "NULL::boolean").replace("WHERE a > 1", "LIMIT 1"), "it is null"),
            (&config.replace("count(*) = 0", "true").replace("a > 1", "a > 0"), "instead of one"),
            (&config.replace("count(*) = 0", "count(*)"), "no boolean"),
            (&config.replace("public.t", "public.nowhere"), "does not exist"),
            (&config.replace("SELECT", "DELETE FROM public.t; SELECT"), "multiple commands"),
            (
                &config.replace("SELECT count(*) = 0 FROM public.t WHERE a > 1", "DELETE FROM public.t RETURNING true"),
                "read-only",
            ),
        ] {
            d.place.write("plumb.toml", query);
            let done = d.exits(3, "apply plan.json --db $DB --yes");
            let said = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("apply::assert") && said.contains(words), "{query}\n{}", done.stderr);
            assert_eq!((columns(d).await, d.number("SELECT count(*) FROM t").await), (1, 2));
        }
        d.place.write("plumb.toml", &config.replace("a > 1", "a > 2"));
        d.exits(0, "apply plan.json --db $DB --yes");
        assert_eq!(columns(d).await, 2);
    });
}

#[test]
fn what_a_directive_asserts_is_asked_before_the_step_and_shown_in_the_plan() {
    desk("assertstep", async |d| {
        let assert = "-- plumb: assert SELECT count(*) < 2 FROM public.t\n";
        let schema = format!("CREATE TABLE aaa (a int);\n{assert}CREATE TABLE t (\n    a int,\n    b int\n);\n");
        planned(d, &schema).await;
        let plan: Value = serde_json::from_str(&d.place.read("plan.json")).unwrap();
        let steps = plan["groups"].as_array().unwrap().iter().flat_map(|g| g["steps"].as_array().unwrap().iter());
        let asserting: Vec<&Value> = steps.filter(|s| s.get("asserts").is_some()).collect();
        assert_eq!(asserting.len(), 1, "the first step on it: {plan}");
        let shown = d.exits(2, "plan --db $DB -v");
        assert!(shown.stdout.contains("asserts") && shown.stdout.contains("count(*) < 2"), "{}", shown.stdout);
        let done = d.exits(3, "apply plan.json --db $DB --yes");
        assert!(done.stderr.contains("apply::assert") && done.stderr.contains("Nothing was applied"), "{}", done.stderr);
        assert_eq!(columns(d).await, 1);
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await, 0, "the transaction is taken back");
        d.sql("DELETE FROM t WHERE a = 2").await;
        d.exits(0, "apply plan.json --db $DB --yes");
        d.exits(0, "plan --db $DB");
        // where nothing changes nothing is asked
        d.sql("INSERT INTO t VALUES (2), (3)").await;
        d.exits(0, "apply --db $DB --yes");
    });
}

#[test]
fn an_assertion_sees_what_earlier_steps_have_done_and_changes_nothing() {
    desk("assertsees", async |d| {
        let f = "CREATE FUNCTION f() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.t; RETURN true; END $$;\n";
        d.sql(&format!("{f}CREATE TABLE t (a int); INSERT INTO t VALUES (1)")).await;
        // u comes before v, which says so
        let schema = |assert: &str| {
            format!(
                "{f}CREATE TABLE t (a int);\nCREATE TABLE u (a int PRIMARY KEY);\n{assert}CREATE TABLE v (a int REFERENCES u);\n"
            )
        };
        d.place.write("schema/t.sql", &schema("-- plumb: assert SELECT public.f()\n"));
        d.exits(2, "plan --db $DB --out plan.json");
        let done = d.exits(3, "apply plan.json --db $DB --yes");
        assert!(done.stderr.contains("read-only transaction"), "{}", done.stderr);
        assert_eq!(d.number("SELECT count(*) FROM t").await, 1);
        d.place.write("schema/t.sql", &schema("-- plumb: assert SELECT count(*) = 0 FROM public.t WHERE a > 1\n"));
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --yes");
    });
}

#[test]
fn an_assertion_that_the_server_does_not_take_is_an_error_at_its_line() {
    desk("assertwrong", async |d| {
        d.sql("CREATE TABLE t (a int)").await;
        for (assert, code, words) in [
            ("SELECT count(*) = 0 FROM public.nowhere", "directive::expression", "does not exist"),
            ("SELECT 1", "directive::expression", "gives int4"),
            ("SELECT true, true", "directive::expression", "gives 2"),
            ("DELETE FROM public.t", "source::directive", "is no SELECT"),
            ("SELECT true; SELECT true", "source::directive", "is not one query"),
            ("SELECT", "directive::expression", "gives 0"),
            ("", "source::directive", "the query is missing"),
            ("SELECT (", "source::directive", "syntax error"),
        ] {
            d.place.write("schema/t.sql", &format!("\n-- plumb: assert {assert}\nCREATE TABLE t (a int, b int);\n"));
            let done = d.exits(1, "plan --db $DB");
            let said = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(code) && said.contains("schema/t.sql:2:") && said.contains(words), "{assert}\n{}", done.stderr);
        }
    });
}

#[test]
fn hooks_are_run_before_and_after_and_when_a_plan_has_stopped() {
    desk("hooks", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\nCREATE TABLE hooked (word text);\n").await;
        d.exits(0, "apply plan.json --db $DB --yes");
        let script = "#!/bin/sh\necho \"$PLUMB_HOOK $PLUMB_DATABASE $PLUMB_STEPS $PLUMB_APPLIED $1\" >> told.txt\necho noise\n";
        d.place.write("hook.sh", script);
        let hook = |when: &str, what: &str| format!("[[hook]]\nwhen = \"{when}\"\n{what}\n");
        let command = |words: &str| format!("command = [\"sh\", \"hook.sh\", \"{words}\"]");
        let sql = "sql = \"SET search_path = nowhere; INSERT INTO public.hooked VALUES ('after')\"";
        let all = [
            hook("before", &command("a \\\"b; --")),
            hook("after", sql),
            hook("after", &command("")),
            hook("failed", &command("x")),
        ];
        d.place.write("plumb.toml", &all.concat());
        d.place.write("schema/t.sql", "CREATE TABLE t (a int, b int, c int);\nCREATE TABLE hooked (word text);\n");
        let done = d.exits(0, "apply --db $DB --yes");
        assert!(!done.stdout.contains("noise") && done.stderr.contains("noise"), "{}", done.stdout);
        let told = d.place.read("told.txt");
        assert_eq!(told, format!("before {0} 1 0 a \"b; --\nafter {0} 1 1 \n", d.database));
        assert_eq!(d.number("SELECT count(*) FROM hooked").await, 1);
        // nothing to do, nothing is run
        d.exits(0, "apply --db $DB --yes");
        assert_eq!(d.place.read("told.txt"), told);
        // a step that fails
        d.place.write(
            "schema/t.sql",
            "CREATE TABLE t (a int, b int, c int, d int CHECK (d > 0) DEFAULT 0);\nCREATE TABLE hooked (word text);\n",
        );
        let done = d.exits(1, "apply --db $DB --yes --allow rows --online never");
        assert!(d.place.read("told.txt").ends_with(&format!("failed {} 2 0 x\n", d.database)), "{}", done.stderr);
    });
}

#[test]
fn a_hook_that_fails_before_stops_the_plan_and_after_it_is_an_error() {
    desk("hookfails", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        for (what, words) in [
            ("command = [\"false\"]", "ends with exit code 1"),
            ("command = [\"no such program\"]", "cannot be started"),
            ("command = [\"sleep\", \"60\"]\ntimeout = \"300ms\"", "does not come to an end within 0.3 s"),
            ("sql = \"SELECT 1 / 0\"", "division by zero"),
            ("sql = \"SELECT pg_sleep(60)\"\ntimeout = \"300ms\"", "statement timeout"),
        ] {
            d.place.write("plumb.toml", &format!("[[hook]]\nwhen = \"before\"\n{what}\n"));
            let done = d.exits(3, "apply plan.json --db $DB --yes");
            let said = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("apply::hook") && said.contains(words), "{what}\n{}", done.stderr);
            assert_eq!(columns(d).await, 1);
        }
        d.place.write("plumb.toml", "[[hook]]\nwhen = \"after\"\ncommand = [\"false\"]\n");
        let done = d.exits(1, "apply plan.json --db $DB --yes");
        assert!(done.stderr.contains("is applied to its end") && done.stdout.contains("Done:"), "{}{}", done.stdout, done.stderr);
        assert_eq!(columns(d).await, 2);
        for (wrong, words) in [
            ("when = \"before\"", "either command"),
            ("when = \"sometimes\"\nsql = \"x\"", "no such value"),
            ("when = \"after\"\nsql = \" \"", "either command"),
        ] {
            d.place.write("plumb.toml", &format!("[[hook]]\n{wrong}\n"));
            let done = d.exits(1, "plan --db $DB");
            assert!(done.stderr.contains("config::value") && done.stderr.contains(words), "{wrong}\n{}", done.stderr);
        }
    });
}

/// Hooks that write their word into a file, but for what `before` does besides.
fn telling(d: &Desk<'_>, before: &[&str]) {
    let hook = |when: &str, script: &str| format!("[[hook]]\nwhen = \"{when}\"\ncommand = [\"sh\", \"-c\", '{script}']\n");
    let all = before.iter().map(|script| ("before", *script)).chain([("after", ""), ("failed", "")]);
    let hooks: Vec<String> = all.map(|(when, script)| hook(when, &format!("echo $PLUMB_HOOK >> told.txt; {script}"))).collect();
    d.place.write("plumb.toml", &hooks.concat());
    d.place.write("told.txt", "");
}

#[test]
fn what_hooks_have_begun_they_end_however_it_ends() {
    desk("hooksend", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        let told = |words: &str| assert_eq!(d.place.read("told.txt").split_whitespace().collect::<Vec<_>>().join(" "), words);
        telling(d, &["true", "false", "true"]);
        d.exits(3, "apply plan.json --db $DB --yes");
        told("before before failed");
        // Who changes the schema before the first step is found out before it.
        telling(d, &["sleep 0.3"]);
        let changing = format!(
            "\n[[hook]]\nwhen = \"before\"\nsql = \"CREATE TABLE public.hotfix (x int)\"\n{}",
            d.place.read("plumb.toml")
        );
        d.place.write("plumb.toml", &changing);
        let done = d.exits(3, "apply plan.json --db $DB --yes");
        assert!(done.stderr.contains("plan::stale") && done.stderr.contains("new: table public.hotfix"), "{}", done.stderr);
        told("before failed");
        assert_eq!(columns(d).await, 1);
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'plumb'").await, 0, "nothing is recorded");
        d.sql("DROP TABLE hotfix").await;
        // Who does it meanwhile is found out after the last one.
        telling(d, &["true"]);
        d.sql("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await;
        let apply = d.start("apply plan.json --db $DB --yes");
        waits(d).await;
        d.sql("CREATE TABLE hotfix (x int); COMMIT").await;
        let done = finish(apply);
        let named = done.stderr.contains("there and not planned: table public.hotfix");
        assert!(done.exit == 4 && done.stderr.contains("apply::differs") && named, "{done:?}");
        told("before failed");
    });
}

#[test]
fn a_signal_ends_a_hook_or_what_would_come_after_it() {
    desk("hooksignal", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        for (signals, said) in [
            (vec![Signal::INT], "interrupted after hook"),
            (vec![Signal::INT; 2], "interrupted during hook"),
            (vec![Signal::TERM], "terminated during hook"),
        ] {
            let script =
                if signals.len() == 1 && signals[0] == Signal::INT { "touch runs; sleep 2" } else { "touch runs; sleep 60" };
            telling(d, &[script, "touch never"]);
            let begun = Instant::now();
            let apply = d.start("apply plan.json --db $DB --yes");
            for name in &signals {
                until("the hook runs", async || d.place.path().join("runs").exists()).await;
                signal(apply.id(), *name);
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let done = finish(apply);
            let text = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(done.exit == 130 && text.contains(said) && text.contains("No step was run"), "{signals:?}: {done:?}");
            assert!(begun.elapsed() < Duration::from_secs(40) && !d.place.path().join("never").exists());
            assert_eq!(d.place.read("told.txt"), "before\nfailed\n");
            assert_eq!(columns(d).await, 1);
            std::fs::remove_file(d.place.path().join("runs")).unwrap();
        }
        d.place.write("plumb.toml", "");
        d.exits(0, "apply plan.json --db $DB --yes");
    });
}

#[test]
fn an_old_plan_and_one_of_another_version_are_refused() {
    desk("oldplan", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        d.place.write("plumb.toml", "max_age = \"2h\"\n");
        let text = d.place.read("plan.json");
        let plan: Value = serde_json::from_str(&text).unwrap();
        let made = plan["observed"]["made"].as_str().expect("it says when it was made").to_owned();
        for (when, words) in [
            ("2020-01-31T00:00:00.000Z", "days old, and may be 2 hours old"),
            ("2999-01-31T00:00:00.000Z", "in the future"),
            ("soon", "does not say when"),
        ] {
            d.place.write("plan.json", &text.replace(&made, when));
            let done = d.exits(3, "apply plan.json --db $DB --yes");
            let said = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("apply::old") && said.contains(words), "{when}\n{}", done.stderr);
        }
        // of another plumb: its id is right, as that one has made it
        let mut other = plumb::plan::read(&text).unwrap();
        other.plumb = "0.0.9".to_owned();
        d.place.write("plan.json", &plumb::plan::write(&other.seal()));
        let done = d.exits(3, "apply plan.json --db $DB --yes");
        assert!(done.stderr.contains("apply::version") && done.stderr.contains("0.0.9"), "{}", done.stderr);
        d.place.write("plan.json", &text);
        d.exits(0, "apply plan.json --db $DB --yes");
    });
}

#[test]
fn a_dry_run_looks_at_everything_and_applies_nothing() {
    desk("dryrun", async |d| {
        planned(d, "CREATE TABLE t (a int, b int);\n").await;
        let done = d.exits(0, "apply plan.json --db $DB --dry-run");
        assert!(done.stdout.contains("Nothing was applied") && done.stdout.contains("1 step ran on a copy"), "{}", done.stdout);
        let nothing = async || {
            assert_eq!(columns(d).await, 1);
            assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'plumb'").await, 0, "no ledger");
        };
        nothing().await;
        // what would stop it stops the dry run: rows, and a schema that has changed
        d.place.write("schema/t.sql", "CREATE TABLE t (a int, CONSTRAINT c CHECK (a < 2));\n");
        d.exits(2, "plan --db $DB --out rows.json");
        let done = d.exits(3, "apply rows.json --db $DB --dry-run");
        assert!(done.stderr.contains("apply::rows"), "{}", done.stderr);
        d.sql("ALTER TABLE t ALTER COLUMN a SET NOT NULL").await;
        let done = d.exits(3, "apply plan.json --db $DB --dry-run");
        assert!(done.stderr.contains("apply::stale") || done.stderr.contains("plan::stale"), "{}", done.stderr);
        nothing().await;
    });
}
