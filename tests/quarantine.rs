//! `protect = "quarantine"`: tables and columns that the files no longer have are put aside with their rows.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::aside::{becomes, dumped, fails_as, locks};
use support::desk::{Desk, desk};

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text);\n";
/// A table with all that acts, and what refers to it.
const ORDERS: &str = "CREATE SEQUENCE numbers;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code serial UNIQUE,
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    total numeric DEFAULT 0 CHECK (total >= 0),
    number bigint DEFAULT nextval('numbers')
);
CREATE INDEX orders_user ON orders (user_id);
CREATE STATISTICS orders_both ON user_id, total FROM orders;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END';
CREATE TRIGGER never BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE RULE quiet AS ON UPDATE TO orders WHERE new.total < 0 DO INSTEAD NOTHING;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (user_id > 0);
COMMENT ON TABLE orders IS 'what was bought';
COMMENT ON COLUMN orders.total IS 'in euros';
CREATE TABLE lines (order_id bigint REFERENCES orders, what text);
CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
";

#[test]
fn a_table_is_put_aside_and_comes_back_with_its_rows() {
    desk("table", async |d| {
        d.sql(&format!("{USERS}{ORDERS}")).await;
        d.sql("INSERT INTO users VALUES (1, 'one'); INSERT INTO orders (user_id, total) VALUES (1, 5), (1, 7)").await;
        d.sql("INSERT INTO lines VALUES (1, 'a'), (2, 'b')").await;
        let before = dumped(d);
        let kept = "CREATE TABLE lines (order_id bigint, what text);\n";
        let plan = becomes(d, &format!("{USERS}{kept}"), "").await;
        assert!(!plan.contains("loses-rows") && plan.contains("breaks-code") && plan.contains("2 to put aside"), "{plan}");
        assert_eq!(locks(d, "proven.json"), locks(d, "unproven.json"));
        assert_eq!(d.number("SELECT sum(total)::int8 FROM plumb_quarantine.orders").await, 12);
        // Nothing of it acts any more.
        d.sql("DELETE FROM users").await;
        d.sql("DELETE FROM plumb_quarantine.orders WHERE id = 1").await;
        let left = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'plumb_quarantine.orders'::regclass";
        assert_eq!(d.number(left).await, 0);
        d.sql("INSERT INTO users VALUES (1, 'one')").await;
        d.sql("DELETE FROM lines WHERE order_id = 1").await;
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB --allow widens-rights");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT sum(total)::int8 FROM orders").await, 7);
        d.sql("INSERT INTO orders (user_id) VALUES (1)").await;
        assert_eq!(d.number("SELECT max(id) + max(code) FROM orders").await, 6, "sequences go on where they were");
        assert!(d.exits(0, "purge --db $DB").stdout.contains("Nothing was put aside"));
    });
}

#[test]
fn the_way_back_is_planned_with_the_plan() {
    desk("planned", async |d| {
        d.sql(&format!("{USERS}CREATE TABLE old (id int PRIMARY KEY, u bigint REFERENCES users); INSERT INTO old VALUES (7)"))
            .await;
        let before = dumped(d);
        d.place.write("schema/all.sql", "CREATE TABLE users (id bigint PRIMARY KEY);\n");
        d.exits(2, "plan --db $DB --protect quarantine --out plan.json");
        let reverse = d.exits(2, "plan --db $DB --protect quarantine --reverse --out back.json").stdout;
        assert!(reverse.contains("Proven") && !reverse.contains("loses-"), "{reverse}");
        // The same input gives the same bytes, whenever it is.
        let first = d.place.read("back.json");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        d.exits(2, "plan --db $DB --protect quarantine --reverse --out again.json");
        let id = |text: &str| text.lines().find(|l| l.starts_with("  \"id\"")).map(str::to_owned).unwrap();
        assert_eq!(id(&first), id(&d.place.read("again.json")));
        d.sql("INSERT INTO users VALUES (1, 'one')").await;
        d.exits(0, "apply plan.json --db $DB");
        d.exits(0, "apply back.json --db $DB");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT count(*) FROM old WHERE id = 7").await, 1);
        assert_eq!(d.number("SELECT count(*) FROM users WHERE name = 'one'").await, 1);
        // And there again, by taking back what was taken back.
        println!("{}", d.exits(2, "rollback --db $DB --protect quarantine --out there.json -v").stdout);
        d.exits(0, "apply there.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM plumb_quarantine.old").await, 1);
        d.exits(0, "drift --db $DB");
    });
}

#[test]
fn a_column_is_put_aside_where_it_stands() {
    desk("column", async |d| {
        let whole = "CREATE TABLE kinds (id int PRIMARY KEY, word text UNIQUE);
            CREATE TABLE items (id bigint PRIMARY KEY, kind int NOT NULL REFERENCES kinds, code text NOT NULL DEFAULT 'x',
                n bigint GENERATED BY DEFAULT AS IDENTITY, counted serial, twice int GENERATED ALWAYS AS (kind * 2) STORED,
                UNIQUE (code, id), CHECK (length(code) > 0));
            CREATE INDEX items_code ON items (lower(code));
            CREATE TABLE others (code text, id bigint, FOREIGN KEY (code, id) REFERENCES items (code, id));
            CREATE VIEW codes AS SELECT id, code FROM items;
            COMMENT ON COLUMN items.code IS 'as printed';";
        d.sql(whole).await;
        d.sql("INSERT INTO kinds VALUES (1, 'one'); INSERT INTO items (id, kind, code) VALUES (1, 1, 'a'), (2, 1, 'b')").await;
        let before = dumped(d);
        let after = "CREATE TABLE kinds (id int PRIMARY KEY, word text UNIQUE);
            CREATE TABLE items (id bigint PRIMARY KEY);
            CREATE TABLE others (code text, id bigint);
            CREATE VIEW codes AS SELECT id FROM items;";
        let plan = becomes(d, after, "").await;
        assert!(!plan.contains("loses-values") && plan.contains("5 to put aside"), "{plan}");
        assert_eq!(locks(d, "proven.json"), locks(d, "unproven.json"));
        assert_eq!(d.number("SELECT count(*) FROM items WHERE plumb_quarantine_code IN ('a', 'b')").await, 2);
        // Whoever knows nothing of it goes on.
        d.sql("INSERT INTO items VALUES (3); DELETE FROM kinds").await;
        d.sql("INSERT INTO kinds VALUES (1, 'one')").await;
        d.sql("DELETE FROM items WHERE id = 3").await;
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT count(*) FROM items WHERE code IN ('a', 'b') AND kind = 1 AND twice = 2 AND n > 0").await, 2);
        d.sql("INSERT INTO items (id, kind, code) VALUES (4, 1, 'd')").await;
        assert_eq!(d.number("SELECT max(counted)::int8 FROM items").await, 3);
    });
}

#[test]
fn nobody_else_may_read_it() {
    desk("rights", async |d| {
        d.sql("CREATE ROLE \"Réad\"\"; --\"; CREATE ROLE passer; CREATE ROLE passed").await;
        let grants = "GRANT SELECT ON secrets TO \"Réad\"\"; --\", PUBLIC;
            GRANT SELECT ON secrets TO passer WITH GRANT OPTION;
            GRANT UPDATE (word) ON secrets TO passed;
            GRANT SELECT (mail) ON people TO passed;
            GRANT SELECT ON seen TO passed;";
        let whole = "CREATE TABLE secrets (id serial, word text); CREATE TABLE people (id int, mail text);
            CREATE TABLE seen (id int, what text); GRANT USAGE ON SEQUENCE secrets_id_seq TO passed;";
        d.sql(&format!("{whole}{grants}")).await;
        d.sql("SET ROLE passer; GRANT SELECT ON secrets TO passed; RESET ROLE").await;
        d.sql("INSERT INTO secrets (word) VALUES ('w'); INSERT INTO people VALUES (1, 'm'); INSERT INTO seen VALUES (1, 's')")
            .await;
        let before = dumped(d);
        let after = "CREATE TABLE people (id int); CREATE TABLE seen (id int); GRANT SELECT ON seen TO passed;";
        let plan = becomes(d, after, "").await;
        assert!(plan.contains("may do on all of public.seen goes for plumb_quarantine_what too"), "{plan}");
        d.sql("GRANT USAGE ON SCHEMA plumb_quarantine TO PUBLIC").await;
        for role in ["\"Réad\"\"; --\"", "passer", "passed"] {
            fails_as(d, role, "SELECT * FROM plumb_quarantine.secrets").await;
            fails_as(d, role, "SELECT word FROM plumb_quarantine.secrets").await;
            fails_as(d, role, "UPDATE plumb_quarantine.secrets SET word = ''").await;
            fails_as(d, role, "SELECT nextval('plumb_quarantine.secrets_id_seq')").await;
            fails_as(d, role, "SELECT plumb_quarantine_mail FROM people").await;
        }
        let back = d.exits(2, "rollback --db $DB --out back.json").stdout;
        assert!(back.contains("widens-rights"), "{back}");
        d.exits(0, "apply back.json --db $DB --allow all");
        // What passer has given on is passed's own as far as anybody can tell from what the owner has given.
        let by_owner =
            |lines: Vec<String>| -> Vec<String> { lines.into_iter().filter(|l| !l.contains("SESSION AUTHORIZATION")).collect() };
        let (now, before) = (by_owner(dumped(d)), by_owner(before));
        assert!(before.iter().filter(|l| !l.contains("passed")).all(|l| now.contains(l)), "{before:#?}\n{now:#?}");
    });
}

#[test]
fn without_it_tables_are_dropped_and_what_is_aside_stays() {
    desk("without", async |d| {
        d.sql("CREATE TABLE a (id int, x int); CREATE TABLE b (id int); INSERT INTO b VALUES (1); INSERT INTO a VALUES (1, 2)")
            .await;
        becomes(d, "CREATE TABLE a (id int);", "").await;
        // Whatever is said from now on, nobody takes it for something to drop.
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
        assert!(d.exits(0, "plan --db $DB --scope *").stdout.contains("No changes"));
        let drift = d.exits(0, "drift --db $DB").stdout;
        assert!(drift.contains("No drift") && drift.contains("Put aside before: 2 objects"), "{drift}");
        let json: serde_json::Value = serde_json::from_str(&d.exits(0, "drift --db $DB --format json").stdout).unwrap();
        assert_eq!((json["count"].as_u64(), json["quarantined"].as_u64()), (Some(0), Some(2)));
        assert!(d.exits(0, "drift --db $DB --applied").stdout.contains("2 objects"));
        let dump = d.exits(0, "dump --db $DB").stdout;
        assert!(dump.contains("-- Put aside, and not in this dump: table plumb_quarantine.b\n"), "{dump}");
        assert!(!dump.lines().any(|l| l.contains("plumb_quarantine") && !l.starts_with("--")), "{dump}");
        // A table that goes without it takes what is aside in it along, and says so.
        d.place.write("schema/all.sql", "CREATE TABLE c (id int);");
        let plan = d.exits(2, "plan --db $DB --protect none --out plan.json").stdout;
        assert!(plan.contains("loses-rows"), "{plan}");
        d.exits(3, "apply plan.json --db $DB");
        // What files make there would never be touched.
        d.place.write("schema/all.sql", "CREATE TABLE a (id int, plumb_quarantine_y int);");
        let refused = d.exits(1, "plan --db $DB").stderr;
        assert!(refused.contains("source::quarantine") && refused.contains("all.sql:1"), "{refused}");
        d.place.write("schema/all.sql", "CREATE SCHEMA plumb_quarantine_2;");
        assert!(d.exits(1, "plan --db $DB").stderr.contains("source::quarantine"));
    });
}

#[test]
fn the_configuration_says_so_once() {
    desk("config", async |d: &Desk| {
        d.place.write("plumb.toml", "protect = \"quarantine\"\nquarantine_schema = \"Away\\\"; -- Ü\"\n");
        d.sql(
            "CREATE TABLE \"Sélect\"\"; --\" (\"a b\" int, \"DROP\" int NOT NULL); INSERT INTO \"Sélect\"\"; --\" VALUES (1, 2)",
        )
        .await;
        d.sql("CREATE TABLE \"$plumb$'\" (\"%I\" int)").await;
        d.place.write("schema/all.sql", "CREATE TABLE \"Sélect\"\"; --\" (\"a b\" int);");
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB");
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
        let list = d.exits(0, "purge --db $DB").stdout;
        assert!(list.contains("\"Away\"\"; -- Ü\".\"$plumb$'\"") && list.contains("was table public.\"$plumb$'\""), "{list}");
        assert!(list.contains("\"plumb_quarantine_DROP\""), "{list}");
        d.place.write("schema/all.sql", "CREATE TABLE x (id int);");
        d.exits(0, "apply --db $DB --yes");
        assert_eq!(d.number("SELECT \"plumb_quarantine_DROP\"::int8 FROM \"Away\"\"; -- Ü\".\"Sélect\"\"; --\"").await, 2);
        d.exits(0, "purge --db $DB --older-than 0d --yes");
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'Away%'").await, 0);
        for wrong in ["plumb", "pg_x", "public", "", &"x".repeat(60)] {
            d.place.write("plumb.toml", &format!("quarantine_schema = \"{wrong}\"\n"));
            assert!(d.exits(1, "plan --db $DB").stderr.contains("config::value"), "{wrong}");
        }
    });
}
