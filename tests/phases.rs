//! Plans of some phases only, by the binary: what old code survives first, the rest named and left, and all of it in turn.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::{Desk, desk};

const BEFORE: &str = r#"CREATE TABLE people (id bigint PRIMARY KEY, name text, "old; --" text);
CREATE TABLE orders (id bigint PRIMARY KEY, person bigint, state text);
CREATE VIEW people_names AS SELECT id, name FROM people;
INSERT INTO people SELECT n, 'p' || n, 'o' FROM generate_series(1, 20) n;
INSERT INTO orders SELECT n, n, 'open' FROM generate_series(1, 20) n; ANALYZE;"#;

const AFTER: &str = r#"CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE orders (id bigint PRIMARY KEY, person bigint REFERENCES people, state text CHECK (state <> ''));
CREATE INDEX orders_person_idx ON orders (person);
CREATE TABLE lines (id bigint PRIMARY KEY, of bigint REFERENCES orders);
"#;

async fn start(d: &Desk<'_>) {
    d.sql(BEFORE).await;
    d.place.write("schema/all.sql", AFTER);
}

fn plan(d: &Desk<'_>, file: &str) -> Value {
    serde_json::from_str(&d.place.read(file)).unwrap()
}

fn steps(plan: &Value) -> Vec<&Value> {
    plan["groups"].as_array().unwrap().iter().flat_map(|g| g["steps"].as_array().unwrap()).collect()
}

fn names(list: &[&Value]) -> Vec<String> {
    list.iter().map(|s| format!("{} {}", s["phase"].as_str().unwrap(), s["object"])).collect()
}

fn in_turn(name: &str, online: &'static str) {
    desk(name, async |d| {
        start(d).await;
        d.exits(2, &format!("plan --db $DB --online {online} --out whole.json"));
        let mut found: Vec<String> = Vec::new();
        for (phase, file) in [("expand", "1.json"), ("migrate", "2.json"), ("contract", "3.json")] {
            let shown = d.exits(2, &format!("plan --db $DB --online {online} --phase {phase} --out {file}"));
            let part = plan(d, file);
            assert_eq!(part["proof"]["result"], "equal", "{phase}: {}", part["proof"]);
            let last = phase == "contract";
            assert_eq!(part["up_to"].as_str(), Some(phase).filter(|_| !last));
            assert_eq!(part["pending"].as_array().unwrap().is_empty(), last);
            assert_eq!(shown.stdout.contains("left for later"), !last, "{}", shown.stdout);
            assert!(last || shown.stdout.contains("Left for contract: 2 changes"), "{}", shown.stdout);
            let steps = steps(&part);
            assert!(steps.iter().all(|s| s["phase"] == phase), "{phase}: {:?}", names(&steps));
            found.extend(names(&steps));
            // What runs now goes on running until contract.
            if !last {
                d.sql("BEGIN; SELECT id, name, \"old; --\" FROM people; SELECT * FROM people_names; ROLLBACK").await;
            }
            if phase == "expand" {
                d.sql("BEGIN; INSERT INTO people (id) VALUES (99); INSERT INTO orders VALUES (99, 12345, ''); ROLLBACK").await;
            }
            d.exits(0, &format!("apply {file} --db $DB --allow all"));
            let again = d.exits(0, &format!("plan --db $DB --online {online} --phase {phase}")).stdout;
            assert!(again.starts_with(if last { "No changes" } else { "Nothing to do up to phase" }), "{again}");
        }
        let mut whole = names(&steps(&plan(d, "whole.json")));
        whole.sort();
        found.sort();
        assert_eq!(whole, found);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn the_three_in_turn() {
    in_turn("turn-direct", "never");
}

#[test]
fn the_three_in_turn_in_online_forms() {
    in_turn("turn-online", "always");
}

#[test]
fn what_needs_a_later_phase_waits_for_it_and_is_named() {
    desk("turn-waits", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a text); CREATE VIEW taken AS SELECT id FROM t").await;
        d.place.write("schema/t.sql", "CREATE TABLE t (id int PRIMARY KEY, b text);\nCREATE TABLE taken (id int);\n");
        let shown = d.exits(2, "plan --db $DB --phase expand --out 1.json").stdout;
        let one_line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [
            "1 to create; no hazards",
            "Left for contract: 3 changes",
            "Warning: table public.taken, of expand, waits for contract: ",
        ] {
            assert!(one_line.contains(said), "{said}: {shown}");
        }
        d.exits(0, "apply 1.json --db $DB");
        let nothing = d.exits(0, "plan --db $DB --phase migrate").stdout;
        assert!(nothing.starts_with("Nothing to do up to phase migrate; 3 changes left for later."), "{nothing}");
        d.exits(2, "plan --db $DB --phase contract --out 3.json");
        d.exits(0, "apply 3.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn every_form_says_what_is_left() {
    desk("turn-forms", async |d| {
        start(d).await;
        for format in ["text", "sql", "markdown", "html"] {
            let shown = d.exits(2, &format!("plan --db $DB --phase expand --out - --format {format}")).stdout;
            assert!(shown.contains("left for later") && shown.contains("Only what belongs to phase expand"), "{format}: {shown}");
            assert!(format == "sql" || shown.contains("Left for migrate"), "{format}: {shown}");
        }
        let refused = d.exits(1, "plan --db $DB --phase later");
        assert!(refused.stderr.contains("expand, migrate or contract"), "{}", refused.stderr);
    });
}

#[test]
fn a_phase_is_taken_back_alone() {
    desk("turn-back", async |d| {
        start(d).await;
        d.exits(0, "snapshot --db $DB --out before.json");
        d.exits(2, "plan --db $DB --phase expand --out 1.json");
        d.exits(2, "plan --db $DB --phase expand --reverse --out back.json");
        assert_eq!(plan(d, "back.json")["from"]["scope"], plan(d, "1.json")["to"]);
        d.exits(0, "apply 1.json --db $DB --allow all");
        d.exits(0, "apply back.json --db $DB --allow all");
        d.exits(0, "diff before.json $DB");
    });
}
