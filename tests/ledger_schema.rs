//! The ledger is a schema like any other: what makes it is the plan that plumb itself makes from the declaration beside it, and a database
//! that has one differs in nothing from that.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use plumb::plan::read;
use support::desk::{Desk, desk};
use support::tree::{root, text};

/// The name under which it is compared: plumb leaves its own out of everything.
const OTHER: &str = "the_ledger";

fn declared(d: &Desk) {
    let schema = text(&root("src/apply/ledger/schema.sql"));
    d.place.write(
        "schema/ledger.sql",
        &schema.replace("SCHEMA plumb", &format!("SCHEMA {OTHER}")).replace("plumb.", &format!("{OTHER}.")),
    );
}

#[test]
fn what_makes_it_is_a_plan() {
    desk("ledgerplan", async |d| {
        declared(d);
        d.exits(2, "plan --db $DB --out plan.json");
        let plan = read(&text(&d.place.path().join("plan.json"))).unwrap();
        assert!(plan.groups.len() == 1 && plan.groups[0].transactional, "it is made in one transaction");
        let all: String = plan.steps().flat_map(|step| &step.sql).map(|sql| format!("{sql};\n")).collect();
        let made = all.replace(&format!("SCHEMA {OTHER}"), "SCHEMA plumb").replace(&format!("{OTHER}."), "plumb.");
        assert!(!made.contains(OTHER), "{made}");
        let path = root("src/apply/ledger/1.sql");
        let made = format!(
            "-- What plumb plans from nothing to schema.sql. It is run in one transaction, by the role that applies the first plan.\n{made}"
        );
        if std::env::var("PLUMB_BLESS").is_ok() {
            std::fs::write(&path, &made).unwrap();
        }
        assert_eq!(text(&path), made, "PLUMB_BLESS=1 cargo test --test ledger_schema writes it");
    });
}

#[test]
fn what_was_made_is_what_is_declared() {
    desk("ledgermade", async |d| {
        d.place.write("schema/t.sql", "CREATE TABLE t (id int);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --yes");
        d.sql(&format!("DROP TABLE t; ALTER SCHEMA plumb RENAME TO {OTHER}")).await;
        std::fs::remove_file(d.place.path().join("schema/t.sql")).unwrap();
        declared(d);
        d.exits(0, "plan --db $DB");
        // and a ledger that somebody has changed is seen to differ
        d.sql(&format!("ALTER TABLE {OTHER}.run DROP COLUMN host")).await;
        d.exits(2, "plan --db $DB");
    });
}
