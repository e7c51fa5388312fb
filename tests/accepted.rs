//! Drift that somebody accepts for a time, and drift in the forms for jobs that run at night.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::desk::desk;

const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, \"a|b\" text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;";
const DRIFT: &str = "ALTER TABLE t DISABLE ROW LEVEL SECURITY; CREATE INDEX \"Sé\"\"lect\"\"; --\" ON t (\"a|b\")";

/// The entries that plumb proposes, with what a person adds to them.
fn accepted(entries: &str, until: &str) -> String {
    let said = entries.replace("reason = \"\"", "reason = \"an experiment\"").replace("author = \"\"", "author = \"ops\"");
    said.replace("until = \n", &format!("until = {until}\n"))
}

#[test]
fn accepted_drift_is_told_and_is_no_reason_to_wake_anybody() {
    desk("accepted", async |d| {
        d.sql(SCHEMA).await;
        d.sql(DRIFT).await;
        d.place.write("schema/all.sql", SCHEMA);
        d.place.write("plumb.toml", "accepted = \"drift.toml\"\n");
        let missing = d.exits(1, "drift --db $DB");
        assert!(missing.stderr.contains("config::unreadable"), "{}", missing.stderr);
        d.place.write("drift.toml", "");
        let entries = d.exits(2, "drift --db $DB --format accept").stdout;
        assert_eq!(entries.matches("[[accepted]]").count(), 2, "{entries}");
        d.place.write("drift.toml", &entries);
        let unfinished = d.exits(1, "drift --db $DB");
        assert!(unfinished.stderr.contains("drift.toml:6"), "{}", unfinished.stderr);

        d.place.write("drift.toml", &accepted(&entries, "2999-01-31"));
        let told = d.exits(0, "drift --db $DB").stdout;
        assert!(told.contains("2 differences") && told.contains("accepted until 2999-01-31 by ops: an experiment"), "{told}");
        assert!(!told.contains("repair"), "{told}");
        let json: Value = serde_json::from_str(&d.exits(0, "drift --db $DB --format json").stdout).unwrap();
        assert_eq!((&json["count"], &json["accepted"]), (&2.into(), &2.into()), "{json}");
        assert_eq!(json["differences"][0]["accepted"]["author"], "ops", "{json}");
        assert!(d.exits(0, "drift --db $DB --format junit").stdout.contains("<skipped message=\"accepted until"));
        let markdown = d.exits(0, "drift --db $DB --format markdown").stdout;
        assert!(markdown.contains("## plumb: no drift") && markdown.contains("is accepted until"), "{markdown}");

        // What becomes another is no longer what was accepted.
        d.sql("DROP INDEX \"Sé\"\"lect\"\"; --\"; CREATE INDEX \"Sé\"\"lect\"\"; --\" ON t (\"a|b\" DESC)").await;
        let other = d.exits(2, "drift --db $DB").stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(other.contains("1 of them accepted") && other.contains("repair DROP INDEX"), "{other}");
        assert!(other.contains("Note: drift.toml:") && other.contains("nothing differs as"), "{other}");

        d.place.write("drift.toml", &accepted(&entries, "2020-01-31"));
        let over = d.exits(2, "drift --db $DB").stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(over.contains("was accepted until 2020-01-31 by ops, and that is over"), "{over}");
    });
}

#[test]
fn a_job_has_markdown_and_metrics() {
    desk("night", async |d| {
        d.sql(SCHEMA).await;
        d.place.write("schema/all.sql", SCHEMA);
        let clean = d.exits(0, "drift --db $DB --format prometheus").stdout;
        assert!(clean.contains("topic=\"security\"} 0"), "{clean}");
        d.sql(DRIFT).await;
        let metrics = d.exits(2, "drift --db $DB --format prometheus").stdout;
        for line in metrics.lines().filter(|l| !l.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.ends_with("\"}") && name.contains("{database=\""), "{line}");
            value.parse::<u64>().unwrap();
        }
        assert!(metrics.contains("topic=\"security\"} 1\n") && metrics.contains("topic=\"structure\"} 1\n"), "{metrics}");
        assert!(!metrics.contains("lect"), "names of objects are nobody's who reads metrics: {metrics}");
        let markdown = d.exits(2, "drift --db $DB --format markdown").stdout;
        assert!(markdown.starts_with("## plumb: drift, 2 differences\n"), "{markdown}");
        assert!(
            markdown.contains("| **security** | `table public.t` | differs row security | `schema/all.sql:1` |"),
            "{markdown}"
        );
        assert!(markdown.contains("-- repair\nALTER TABLE public.t ENABLE ROW LEVEL SECURITY;\n"), "{markdown}");
        let events = pulldown_cmark::Parser::new_ext(&markdown, pulldown_cmark::Options::ENABLE_TABLES);
        let row = |e: &pulldown_cmark::Event| matches!(e, pulldown_cmark::Event::Start(pulldown_cmark::Tag::TableRow));
        assert_eq!(events.filter(row).count(), 2, "a row for each difference: {markdown}");
    });
}
