//! The way back from what was applied last, as the ledger has it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::desk::{Desk, desk};
use support::dump;

const BEFORE: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text, age int);
CREATE INDEX users_name ON users (name);
CREATE VIEW names AS SELECT name FROM users;
";
const AFTER: &str = "CREATE TABLE users (
    id bigint PRIMARY KEY,
    -- plumb: renamed from name
    full_name text NOT NULL
);
CREATE VIEW names AS SELECT full_name FROM users WHERE id > 0;
CREATE TABLE orders (id bigint REFERENCES users);
";

/// Everything but the ledger.
fn dump(d: &Desk<'_>) -> Vec<String> {
    let all = dump::normalised(&dump::raw(&d.database).unwrap());
    all.into_iter().filter(|s| !s.contains("plumb.") && !s.contains("SCHEMA plumb")).collect()
}

async fn applied(d: &Desk<'_>) -> Vec<String> {
    d.sql(BEFORE).await;
    d.sql("INSERT INTO users VALUES (1, 'one', 11), (2, 'two', 22)").await;
    let before = dump(d);
    d.place.write("schema/all.sql", AFTER);
    d.exits(2, "plan --db $DB --out plan.json");
    d.exits(0, "apply plan.json --db $DB --allow all");
    d.exits(0, "drift --db $DB");
    before
}

#[test]
fn a_plan_is_taken_back() {
    desk("back", async |d| {
        let before = applied(d).await;
        let back = d.exits(2, "rollback --db $DB --out back.json");
        assert!(back.stdout.contains("the schema before plan") && !back.stdout.contains("has changed since"), "{}", back.stdout);
        assert!(d.place.read("back.json").contains("\"takes_back\""));
        d.exits(3, "apply back.json --db $DB");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dump(d), before);
        assert_eq!(
            d.number("SELECT count(*) FROM users WHERE name IN ('one', 'two') AND age IS NULL").await,
            2,
            "what is dropped is gone"
        );
        let history = d.exits(0, "history --db $DB").stdout;
        assert_eq!(history.matches("done:").count(), 2, "{history}");
        // Once more, and the plan is there again.
        d.exits(2, "rollback --db $DB --out again.json");
        d.exits(0, "apply again.json --db $DB --allow all");
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn what_changed_since_is_told() {
    desk("since", async |d| {
        let before = applied(d).await;
        d.sql("CREATE TABLE of_somebody_else (id int)").await;
        let back = d.exits(2, "rollback --db $DB --out back.json");
        assert!(back.stdout.contains("has changed since") && back.stdout.contains("of_somebody_else"), "{}", back.stdout);
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dump(d), before);
    });
}

#[test]
fn without_a_ledger_there_is_nothing_to_go_by() {
    desk("noled", async |d| {
        d.sql(BEFORE).await;
        let refused = d.exits(1, "rollback --db $DB");
        assert!(refused.stderr.contains("rollback::nothing_applied"), "{}", refused.stderr);
        d.place.write("schema/all.sql", AFTER);
        d.exits(0, "apply --db $DB --yes --allow all --no-ledger");
        d.exits(1, "rollback --db $DB");
        d.exits(1, "rollback --db nowhere.json");
    });
}
