//! Online forms as people meet them: when they are taken, that others can work meanwhile, and what is left when one fails.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::time::{Duration, Instant};
use support::command::finish;
use support::desk::{Desk, desk, until};

const BEFORE: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text); CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total int)";
const AFTER: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users, total int CHECK (total >= 0));
CREATE INDEX orders_user ON orders (user_id);
";

/// What is not valid, and checks that only a plan makes.
const LEFT: &str =
    "SELECT (SELECT count(*) FROM pg_index WHERE NOT indisvalid) + (SELECT count(*) FROM pg_constraint WHERE NOT convalidated)";

async fn rows(d: &Desk<'_>) {
    d.sql("INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 1000) n").await;
    d.sql("INSERT INTO orders SELECT n, n, n FROM generate_series(1, 1000) n").await;
}

fn is_online(plan: &str) -> bool {
    let forms = ["CONCURRENTLY", "NOT VALID", "VALIDATE CONSTRAINT", "USING INDEX"];
    let found = forms.iter().filter(|form| plan.contains(**form)).count();
    assert!(found == 0 || found == forms.len(), "some forms and not others: {plan}");
    found > 0
}

#[test]
fn tables_with_rows_and_without() {
    desk("rows", async |d| {
        d.sql(BEFORE).await;
        d.place.write("schema/all.sql", AFTER);
        assert!(!is_online(&d.exits(2, "plan --db $DB --out - --format sql").stdout), "empty tables");
        assert!(is_online(&d.exits(2, "plan --db $DB --out - --format sql --online always").stdout));
        rows(d).await;
        assert!(is_online(&d.exits(2, "plan --db $DB --out - --format sql").stdout), "rows that nobody has counted");
        d.sql("ANALYZE").await;
        assert!(is_online(&d.exits(2, "plan --db $DB --out - --format sql").stdout), "counted rows");
        assert!(!is_online(&d.exits(2, "plan --db $DB --out - --format sql --online never").stdout));
        d.place.write("plumb.toml", "online = \"never\"\n");
        assert!(!is_online(&d.exits(2, "plan --db $DB --out - --format sql").stdout), "the configuration");
        assert!(is_online(&d.exits(2, "plan --db $DB --out - --format sql --online auto").stdout), "the option goes before");
        d.place.write("plumb.toml", "online = \"sometimes\"\n");
        assert!(d.exits(1, "plan --db $DB").stderr.contains("sometimes"));
    });
}

#[test]
fn others_write_while_an_index_is_built() {
    desk("writes", async |d| {
        d.sql(BEFORE).await;
        rows(d).await;
        d.place.write("schema/all.sql", AFTER);
        d.exits(2, "plan --db $DB --out plan.json");
        // Somebody's long transaction, older than the index: its build waits for that, and nobody waits for the build.
        d.sql("BEGIN; UPDATE orders SET total = total WHERE id = 1").await;
        let apply = d.start("apply plan.json --db $DB --lock-timeout 10s");
        let building =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'";
        // What comes before it needs a brief lock, which the transaction does not let it have: it is let in by a commit.
        let brief = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        until("it waits", async || d.number(building).await + d.number(brief).await > 0).await;
        d.sql("COMMIT; BEGIN; UPDATE orders SET total = total WHERE id = 2").await;
        until("an index is built", async || d.number(building).await > 0 || d.number(brief).await == 0).await;
        let begun = Instant::now();
        d.sql("INSERT INTO orders VALUES (5000, 1, 1)").await;
        assert!(begun.elapsed() < Duration::from_secs(5), "a write waited {:?}", begun.elapsed());
        d.sql("COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 0, "{apply:?}");
        d.exits(0, "plan --db $DB");
        assert_eq!(d.number(LEFT).await, 0);
    });
}

#[test]
fn what_fails_is_taken_away_and_the_rest_goes_on() {
    desk("fails", async |d| {
        d.sql(BEFORE).await;
        rows(d).await;
        d.place.write("schema/all.sql", AFTER);
        d.sql("INSERT INTO users VALUES (2001, 'user 1')").await;
        let plan = d.exits(2, "plan --db $DB --out plan.json");
        assert!(plan.stdout.contains("1 row is not so") || plan.stdout.contains("fails"), "{}", plan.stdout);
        assert!(d.exits(3, "apply plan.json --db $DB").stderr.contains("apply::rows"));
        let apply = d.exits(4, "apply plan.json --db $DB --allow rows");
        assert!(apply.stderr.contains("The unfinished index public.users_name_key was dropped"), "{}", apply.stderr);
        assert_eq!(d.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
        d.sql("DELETE FROM users WHERE id = 2001").await;
        let other = d.exits(3, "apply --db $DB --yes");
        assert!(other.stderr.contains("apply::unfinished"), "{}", other.stderr);
        d.exits(0, "apply --resume --db $DB --yes");
        d.exits(0, "plan --db $DB");
        assert_eq!(d.number(LEFT).await, 0);
    });
}
