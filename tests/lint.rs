//! The rules of `plumb check`: each one's examples on a real server, by way of the real binary; the page that is made of them;
//! and the forms in which findings are told.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::lint::{self, RULES, Rule};
use serde_json::Value;
use support::command::{Done, Place, url};
use support::desk::{Desk, desk};
use support::{lint_page, server, tree};

/// Runs `plumb check` over files in the shadow of the test server.
fn check(place: &Place, more: &str) -> Done {
    let shadow = url("template1");
    let words: Vec<&str> = ["check", "--shadow", &shadow].into_iter().chain(more.split(' ').filter(|w| !w.is_empty())).collect();
    place.plumb(&words)
}

fn findings(done: &Done) -> Vec<Value> {
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
    document["findings"].as_array().unwrap().clone()
}

/// The codes that are found in an example, with their lines.
fn codes(rule: &Rule, which: &str, sql: &str) -> Vec<(String, Option<u64>)> {
    let place = Place::new(&format!("lint-{}-{which}", rule.code));
    place.write("schema/example.sql", &format!("{sql}\n"));
    place.write("plumb.toml", rule.config.unwrap_or_default());
    let done = check(&place, "--format json");
    assert!([0, 1].contains(&done.exit), "{}, {which}: {done:?}", rule.code);
    let open = findings(&done).into_iter().filter(|f| f["ignored"].is_null());
    open.map(|f| (f["code"].as_str().unwrap().to_owned(), f["source"]["line"].as_u64())).collect()
}

#[test]
fn every_rule_finds_its_bad_example_and_only_that() {
    let mut wrong = Vec::new();
    for rule in RULES {
        assert!(!rule.meaning.is_empty() && !rule.why.is_empty() && rule.bad != rule.good, "{} has no examples", rule.code);
        let bad = codes(rule, "bad", rule.bad);
        let known = server::server().version >= rule.since;
        let expected = if known { vec![rule.code.to_owned()] } else { Vec::new() };
        if bad.iter().map(|(code, _)| code.clone()).collect::<Vec<_>>() != expected {
            wrong.push(format!("{}, bad: {bad:?}", rule.code));
        }
        if let Some((code, None)) = bad.first() {
            wrong.push(format!("{code} has no line"));
        }
        let good = codes(rule, "good", rule.good);
        if !good.is_empty() {
            wrong.push(format!("{}, good: {good:?}", rule.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_of_the_rules_is_up_to_date() {
    let (path, page) = (tree::root("docs/lint.md"), lint_page::page());
    if std::env::var_os("PLUMB_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "docs/lint.md is not what src/lint says: PLUMB_BLESS=1 cargo test --test lint page");
}

#[test]
fn codes_of_rules_and_hazards_differ() {
    let mut codes: Vec<&str> = RULES.iter().map(|r| r.code).chain(plumb::hazard::RULES.iter().map(|r| r.code)).collect();
    let all = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all, "a directive could mean two things");
    assert!(RULES.iter().all(|r| lint::find(r.code).is_some_and(|f| std::ptr::eq(f, *r))));
}

/// A schema with findings of both levels, one ignored, one directive too many, and names that nobody likes.
const HOSTILE: &str = "CREATE TABLE \"Sélect\"\"; <b>\n--\" (\n    id serial,\n    \
                       -- plumb: ignore timestamp-without-zone: opening hours <of> \"shops\" & such\n    opens timestamp,\n    \
                       closes timestamp,\n    -- plumb: ignore json-type: there was one\n    note text,\n    \
                       -- plumb: ignore json_type: misspelt\n    other text,\n    \
                       -- plumb: ignore loses-values: a hazard, which no check judges\n    last text\n);\n\
                       CREATE POLICY \"p<\" ON \"Sélect\"\"; <b>\n--\" USING (true);\n";

fn hostile(name: &str) -> Place {
    let place = Place::new(name);
    place.write("schema/a b&.sql", HOSTILE);
    place
}

#[test]
fn findings_stand_at_their_lines_and_directives_hold() {
    let place = hostile("lint-lines");
    let done = check(&place, "--format json");
    assert_eq!(done.exit, 1, "{done:?}");
    let shown: Vec<(String, u64, bool)> = findings(&done)
        .iter()
        .map(|f| (f["code"].as_str().unwrap().to_owned(), f["source"]["line"].as_u64().unwrap(), f["ignored"].is_string()))
        .collect();
    let of = |code: &str, line, ignored| (code.to_owned(), line, ignored);
    assert_eq!(
        shown,
        [
            of("missing-primary-key", 1, false),
            of("serial", 3, false),
            of("timestamp-without-zone", 5, true),
            of("timestamp-without-zone", 6, false),
            of("unused-ignore", 7, false),
            of("unused-ignore", 9, false),
            of("policy-without-row-security", 14, false),
        ]
    );
    let text = check(&place, "").stdout;
    assert!(text.contains("     6  warning  column public.\"Sélect"), "{text}");
    assert!(text.contains("did you mean json-type?") && text.contains("1 error, 5 warnings, 1 ignored by directives"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 100) && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn every_form_holds_hostile_names() {
    let place = hostile("lint-forms");
    let sarif: Value = serde_json::from_str(&check(&place, "--format sarif").stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 7);
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "schema/a%20b%26.sql");
    let reason = results.iter().find_map(|r| r["suppressions"][0]["justification"].as_str());
    assert_eq!(reason, Some("opening hours <of> \"shops\" & such"));
    let junit = check(&place, "--format junit").stdout;
    assert!(junit.contains("failures=\"1\"") && junit.contains("skipped=\"1\"") && !junit.contains("<b>"), "{junit}");
    let github = check(&place, "--format github").stdout;
    assert_eq!(github.lines().count(), 6, "{github}");
    assert!(github.lines().all(|l| l.starts_with("::warning file=schema/a b&.sql,line=") || l.starts_with("::error file=")));
}

#[test]
fn levels_decide_what_is_asked_and_how_it_ends() {
    let place = Place::new("lint-levels");
    place.write("schema/t.sql", "-- plumb: ignore json-type: of the old days\nCREATE TABLE t (id serial PRIMARY KEY, j json);\n");
    let done = check(&place, "");
    assert!(done.exit == 0 && done.stdout.contains("no errors, 1 warning, 1 ignored"), "{done:?}");
    place.write("plumb.toml", "[lint]\nserial = \"error\"\njson-type = \"off\"\n");
    let done = check(&place, "");
    assert!(done.exit == 1 && done.stdout.contains("1 error.") && done.stdout.contains("  error  "), "{done:?}");
    place.write("plumb.toml", "[lint]\nserial = \"off\"\njson-type = \"off\"\n");
    let done = check(&place, "");
    assert!(done.exit == 0 && done.stdout.contains("1 object in 1 file, no errors, no warnings."), "{done:?}");
    place.write("plumb.toml", "[lint]\nserail = \"off\"\n");
    let done = check(&place, "");
    assert!(done.exit == 1 && done.stderr.contains("did you mean `serial`?"), "{done:?}");
}

#[test]
fn databases_and_snapshots_are_looked_at_too() {
    desk("lint-live", async |d: &Desk| {
        d.sql("CREATE SCHEMA other; CREATE TABLE t (a int); CREATE TABLE other.t (a char(2) PRIMARY KEY)").await;
        let live = d.exits(0, "check --db $DB --format json");
        assert_eq!(findings(&live).len(), 2, "{live:?}");
        let text = d.exits(0, "check --db $DB").stdout;
        assert!(text.contains("3 objects, no errors, 2 warnings") && text.contains("other.t.a"), "{text}");
        d.exits(0, "snapshot --db $DB --out now.json");
        let snapshot = d.exits(0, "check --db now.json --format json");
        assert_eq!(findings(&snapshot), findings(&live));
        let scoped = d.exits(0, "check --db $DB --scope other --format json");
        assert_eq!(findings(&scoped).len(), 1, "{scoped:?}");
    });
}

#[test]
fn an_empty_folder_has_nothing() {
    let place = Place::new("lint-empty");
    std::fs::create_dir(place.path().join("schema")).unwrap();
    let done = check(&place, "");
    assert!(done.exit == 0 && done.stdout.contains("0 objects in 0 files, no errors, no warnings."), "{done:?}");
}

#[test]
fn many_findings_are_folded() {
    let place = Place::new("lint-many");
    let columns: String = (0..30).map(|n| format!(",\n    at_{n} timestamp")).collect();
    place.write("schema/t.sql", &format!("CREATE TABLE t (\n    id int PRIMARY KEY{columns}\n);\n"));
    let short = check(&place, "").stdout;
    assert!(short.lines().count() < 12 && short.contains("… 26 more of timestamp-without-zone"), "{short}");
    assert!(short.contains("no errors, 30 warnings.\n  30  timestamp-without-zone\n"), "{short}");
    assert!(check(&place, "-v").stdout.contains("public.t.at_29 is"));
}

#[test]
fn the_example_has_no_findings() {
    let place = Place::new("lint-example");
    let done = check(&place, &format!("--schema {}", tree::root("schema").display()));
    assert!(done.exit == 0 && done.stdout.contains("no errors, no warnings, 9 ignored by directives."), "{done:?}");
}

#[test]
fn routines_of_one_name_have_their_own_lines() {
    let place = Place::new("lint-overloads");
    let function = |line: &str, arguments: &str| {
        format!("{line}CREATE FUNCTION f({arguments}) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';\n")
    };
    let ignore = "-- plumb: ignore security-definer-without-search-path: names are qualified\n";
    let text = function("", "a integer")
        + &function(ignore, "a varchar(3)[], b public.kind")
        + &function("", "a bigint, VARIADIC b text[]");
    place.write("schema/f.sql", &format!("CREATE TYPE kind AS ENUM ('a');\n{text}"));
    let found = findings(&check(&place, "--format json"));
    let lines: Vec<_> = found.iter().map(|f| (f["source"]["line"].as_u64(), f["ignored"].is_string())).collect();
    assert_eq!(lines, [(Some(2), false), (Some(4), true), (Some(5), false)], "{found:?}");
}

#[test]
fn what_has_no_name_is_told_at_its_table() {
    let place = Place::new("lint-unnamed");
    let table = "CREATE TABLE t (id int PRIMARY KEY, a int, b int,\n  FOREIGN KEY (a) REFERENCES t);\n";
    place.write("schema/t.sql", &format!("\n{table}CREATE INDEX ON t (b);\nCREATE INDEX ON t (b);\n"));
    let found = findings(&check(&place, "--format json"));
    let lines: Vec<_> = found.iter().map(|f| (f["code"].as_str().unwrap(), f["source"]["line"].as_u64())).collect();
    assert_eq!(lines, [("duplicate-index", Some(2)), ("foreign-key-without-index", Some(2))], "{found:?}");
}

#[test]
fn hazards_and_drift_have_the_same_forms() {
    desk("lint-plan", async |d: &Desk| {
        d.place.write("schema/t.sql", "CREATE TABLE t (id int PRIMARY KEY);\n");
        d.sql("CREATE TABLE t (id int PRIMARY KEY, gone text); CREATE TABLE lost (id int)").await;
        let sarif: Value = serde_json::from_str(&d.exits(2, "plan --db $DB --out - --format sarif").stdout).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        let mut codes: Vec<&str> = results.iter().map(|r| r["ruleId"].as_str().unwrap()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes, ["loses-rows", "loses-values"], "{sarif}");
        assert!(results.iter().all(|r| r["level"] == "error"), "{sarif}");
        let junit = d.exits(2, "plan --db $DB --out - --format junit").stdout;
        assert!(junit.contains("<failure type=\"loses-rows\"") && junit.contains("failures=\"2\""), "{junit}");
        let drift: Value = serde_json::from_str(&d.exits(2, "drift --db $DB --format sarif").stdout).unwrap();
        assert_eq!(drift["runs"][0]["results"].as_array().unwrap().len(), 2, "{drift}");
        let junit = d.exits(2, "drift --db $DB --format junit").stdout;
        assert!(junit.contains("<failure type=\"drift-structure\""), "{junit}");
        d.exits(0, "apply --db $DB --yes --allow all");
        let clean = d.exits(0, "drift --db $DB --format junit").stdout;
        assert!(clean.contains("failures=\"0\"") && clean.matches("<testcase ").count() == 3, "{clean}");
    });
}
