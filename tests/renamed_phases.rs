//! Other names together with phases, going on, estimates and the way back.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use serde_json::Value;
use support::aside::{dumped, dumped_of};
use support::command::url;
use support::desk::{Desk, desk};
use support::server;

const BEFORE: &str = r#"CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text, old text, m mood DEFAULT 'sad', CHECK (email <> ''));
CREATE INDEX users_email_idx ON users (lower(email));
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);
CREATE VIEW mails AS SELECT id, email FROM users WHERE email <> 'x';
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON users USING (email <> 'hidden');
INSERT INTO users SELECT n, 'm' || n, 'n' || n, 'o' || n FROM generate_series(1, 30) n;
INSERT INTO orders SELECT n, n FROM generate_series(1, 30) n; ANALYZE;"#;

const AFTER: &str = r#"CREATE TYPE mood AS ENUM (
    -- plumb: renamed from sad
    'unhappy',
    'glad'
);
-- plumb: renamed from users
CREATE TABLE people (
    id bigint PRIMARY KEY,
    -- plumb: renamed from email
    mail text CHECK (mail <> ''),
    name text NOT NULL,
    m mood DEFAULT 'unhappy',
    born date
);
CREATE INDEX people_mail_idx ON people (lower(mail));
CREATE INDEX people_born_idx ON people (born, mail);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES people);
CREATE TABLE notes (id bigint PRIMARY KEY, person bigint REFERENCES people, m mood);
CREATE VIEW mails AS SELECT id, mail AS email FROM people WHERE mail <> 'x';
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON people USING (mail <> 'hidden');
"#;

/// What runs now, and goes on running until contract.
const OLD_CODE: &str = "BEGIN; INSERT INTO users (id, email, name, m) VALUES (99, 'a', 'b', 'sad'); SELECT old FROM users; SELECT email FROM mails; ROLLBACK";

fn plan(d: &Desk<'_>, file: &str) -> Value {
    serde_json::from_str(&d.place.read(file)).unwrap()
}

/// Where all of it at once ends, in another database.
async fn whole(d: &Desk<'_>) -> Vec<String> {
    let database = d.bench.create().await;
    let session = server::session(&database).await;
    session.client.batch_execute(BEFORE).await.unwrap();
    session.close().await;
    d.place.write("schema/all.sql", AFTER);
    let done = d.place.plumb(&["apply", "--db", &url(&database), "--yes", "--allow", "all"]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    dumped_of(&database)
}

fn in_turn(name: &str, online: &'static str) {
    desk(name, async |d| {
        let end = whole(d).await;
        d.sql(BEFORE).await;
        for phase in ["expand", "migrate"] {
            let shown = d.exits(2, &format!("plan --db $DB --online {online} --phase {phase} --out part.json")).stdout;
            let part = plan(d, "part.json");
            assert_eq!(part["proof"]["result"], "equal", "{phase}: {}\n{shown}", part["proof"]);
            let renames = part["pending"].as_array().unwrap().iter().filter(|p| p["change"] == "rename").count();
            assert!(renames >= 3, "{phase}: {}", part["pending"]);
            assert!(!d.place.read("part.json").contains("RENAME "), "{shown}");
            d.exits(0, "apply part.json --db $DB");
            d.sql(OLD_CODE).await;
            assert!(d.exits(0, &format!("plan --db $DB --phase {phase}")).stdout.contains("left for later"));
        }
        assert_eq!(
            d.number("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'born'").await,
            1
        );
        assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'notes'").await, 1);
        d.exits(2, &format!("plan --db $DB --online {online} --phase contract --out part.json"));
        d.exits(0, "apply part.json --db $DB --allow loses-values");
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
        assert_eq!(dumped(d), end);
        assert_eq!(d.number("SELECT count(*) FROM people WHERE mail LIKE 'm%' AND m = 'unhappy'").await, 30);
    });
}

#[test]
fn names_change_in_the_last_phase() {
    in_turn("direct", "never");
}

#[test]
fn names_change_in_the_last_phase_online() {
    in_turn("online", "always");
}

#[test]
fn the_way_back_from_a_phase_is_one() {
    desk("back", async |d| {
        d.sql(BEFORE).await;
        let before = dumped(d);
        d.place.write("schema/all.sql", AFTER);
        d.exits(2, "plan --db $DB --phase expand --out part.json");
        d.exits(2, "plan --db $DB --phase expand --reverse --out back.json");
        assert_eq!(plan(d, "back.json")["proof"]["result"], "equal");
        d.exits(0, "apply part.json --db $DB");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
    });
}

#[test]
fn what_was_broken_off_after_its_renames_goes_on_and_back() {
    desk("resume", async |d| {
        d.place.write("schema/all.sql", AFTER);
        d.sql(BEFORE).await;
        let before = dumped(d);
        let shown = d.exits(2, "plan --db $DB --online always --protect quarantine --out plan.json").stdout;
        // What was counted under the old name is told of the new one.
        assert!(shown.contains("30 rows of public.people"), "{shown}");
        // An index that is built beside the business waits for whoever still sees the rows of before; the renames do not.
        d.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM orders").await;
        let done = d.exits(4, "apply plan.json --db $DB --wait 1s");
        assert!(done.stderr.contains("waiting for") && done.stderr.contains("people_born_idx"), "{}", done.stderr);
        d.sql("COMMIT").await;
        d.exits(0, "apply --db $DB --resume");
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
        assert_eq!(d.number("SELECT count(*) FROM people WHERE plumb_quarantine_old LIKE 'o%'").await, 30);
        d.exits(2, "rollback --db $DB --out back.json");
        assert_eq!(plan(d, "back.json")["proof"]["result"], "equal");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT count(*) FROM users WHERE old LIKE 'o%' AND email LIKE 'm%'").await, 30);
    });
}
