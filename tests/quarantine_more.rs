//! What is put aside: names, partitions, types, phases, a run that was broken off, and what stands in the way.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::aside::{becomes, dumped, locks};
use support::desk::desk;

#[test]
fn a_name_may_be_put_aside_more_than_once() {
    desk("names", async |d| {
        let long = "ö".repeat(31);
        d.sql(&format!(
            "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1);
            CREATE TABLE t (id int PRIMARY KEY, \"{long}\" int); INSERT INTO t VALUES (2, 3);
            CREATE TABLE \"{long}\" (id serial)"
        ))
        .await;
        let rest = format!("CREATE SCHEMA s; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE \"{long}\" (id serial);");
        becomes(d, &rest, "").await;
        becomes(d, "CREATE SCHEMA s; CREATE TABLE x (id int);", "").await;
        assert_eq!(
            d.number("SELECT (SELECT id FROM plumb_quarantine.t) + 10 * (SELECT id FROM plumb_quarantine_2.t)::int8").await,
            21
        );
        // Once more, with the keys and sequences that were there before.
        d.sql(&format!("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE \"{long}\" (id serial); ALTER TABLE x ADD a int"))
            .await;
        becomes(d, "CREATE SCHEMA s; CREATE TABLE x (id int);", "").await;
        d.sql("ALTER TABLE x ADD a int").await;
        becomes(d, "CREATE SCHEMA s; CREATE TABLE x (id int);", "").await;
        assert_eq!(d.number("SELECT count(*) FROM pg_attribute WHERE attname ~ '^plumb_quarantine_a(_2)?$'").await, 2);
        assert_eq!(
            d.number("SELECT count(*) FROM pg_class WHERE relname = 't' AND relnamespace::regnamespace::text ~ '^plumb_q'").await,
            3
        );
    });
}

#[test]
fn a_whole_schema_goes_and_comes_back() {
    desk("schema", async |d| {
        d.sql("CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('sad', 'glad'); CREATE FUNCTION s.f(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
            CREATE DOMAIN s.word AS text CHECK (value <> ''); CREATE TABLE s.t (id int CHECK (s.f(id)), m s.mood DEFAULT 'sad', w s.word[]);
            CREATE TABLE stays (id int, m s.mood); INSERT INTO s.t VALUES (1, 'glad', '{a}'); INSERT INTO stays VALUES (1, 'glad')").await;
        let before = dumped(d);
        becomes(d, "CREATE TABLE stays (id int);", " --scope public,s").await;
        assert_eq!(d.number("SELECT count(*) FROM plumb_quarantine.t WHERE m = 'glad'").await, 1);
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT count(*) FROM s.t JOIN stays USING (m)").await, 1);
    });
}

#[test]
fn a_type_goes_after_the_table_that_has_it() {
    desk("type", async |d| {
        d.sql("CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (m mood); CREATE TABLE u (id int); INSERT INTO t VALUES ('sad')").await;
        becomes(d, "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE u (id int);", "").await;
        d.place.write("schema/all.sql", "CREATE TABLE u (id int);");
        let blocked = d.exits(1, "plan --db $DB --protect none").stderr;
        assert!(blocked.contains("change::blocked") && blocked.contains("plumb_quarantine.t.m (put aside"), "{blocked}");
        assert!(blocked.contains("purge"), "{blocked}");
        becomes(d, "CREATE TABLE u (id int);", "").await;
        d.exits(0, "purge --db $DB --older-than 0s --yes");
        assert_eq!(d.number("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'quarantine'").await, 0);
        assert_eq!(d.number("SELECT count(*) FROM pg_type WHERE typname = 'mood'").await, 0);
    });
}

#[test]
fn partitions_are_detached_and_partitioned_tables_go_whole() {
    desk("parts", async |d| {
        let keys = "CREATE TABLE users (id int PRIMARY KEY);
            CREATE TABLE m (id int, u int REFERENCES users, PRIMARY KEY (id)) PARTITION BY RANGE (id);
            CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10);
            CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
            CREATE TRIGGER tr AFTER INSERT ON m FOR EACH ROW EXECUTE FUNCTION f();";
        let more = "CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20);
            CREATE TABLE p (id int, x text NOT NULL) PARTITION BY LIST (id); CREATE INDEX ON p (x);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p DEFAULT;";
        d.sql(&format!("{keys}{more}")).await;
        d.sql("INSERT INTO users VALUES (1); INSERT INTO m VALUES (1, 1), (11, 1); INSERT INTO p VALUES (1, 'a'), (2, 'b')")
            .await;
        let before = dumped(d);
        becomes(d, keys, "").await;
        assert_eq!(locks(d, "proven.json"), locks(d, "unproven.json"));
        assert_eq!(d.number("SELECT count(*) FROM plumb_quarantine.p").await, 2);
        assert_eq!(d.number("SELECT count(*) FROM plumb_quarantine.m2").await, 1);
        let keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'plumb_quarantine.m2'::regclass AND contype = 'f'";
        assert_eq!(d.number(keys).await, 0);
        d.sql("DELETE FROM m; DELETE FROM users; INSERT INTO users VALUES (1); INSERT INTO m VALUES (1, 1)").await;
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
        assert_eq!(d.number("SELECT (SELECT count(*) FROM m) * 10 + (SELECT count(*) FROM p)").await, 22);
    });
}

#[test]
fn a_column_of_a_tree_goes_in_all_of_it() {
    desk("tree", async |d| {
        let whole = "CREATE TABLE p (id int, x text NOT NULL) PARTITION BY LIST (id); CREATE INDEX px ON p (x);
            CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
            CREATE TABLE base (id int, y int NOT NULL, z int); CREATE TABLE heir (z int) INHERITS (base);";
        d.sql(whole).await;
        d.sql("INSERT INTO p VALUES (1, 'a'); INSERT INTO heir VALUES (1, 2, 3)").await;
        let before = dumped(d);
        let after = "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
            CREATE TABLE base (id int); CREATE TABLE heir (z int) INHERITS (base);";
        d.place.write("schema/all.sql", after);
        let plan = d.exits(2, "plan --db $DB --protect quarantine --out plan.json").stdout;
        // The heir keeps its own z, which a rename would take along.
        assert!(plan.contains("column public.base.z is dropped and not put aside: a table that inherits"), "{plan}");
        assert!(plan.contains("loses-values") && plan.contains("2 to put aside"), "{plan}");
        d.exits(3, "apply plan.json --db $DB");
        d.exits(0, "apply plan.json --db $DB --allow loses-values");
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
        d.sql("INSERT INTO p VALUES (1); INSERT INTO heir VALUES (1, NULL, 3)").await;
        assert_eq!(d.number("SELECT count(*) FROM p1 WHERE plumb_quarantine_x = 'a'").await, 1);
        assert_eq!(d.number("SELECT count(*) FROM heir WHERE plumb_quarantine_y = 2").await, 1);
        d.sql("DELETE FROM p WHERE plumb_quarantine_x IS NULL; DELETE FROM heir WHERE plumb_quarantine_y IS NULL").await;
        d.exits(2, "rollback --db $DB --out back.json");
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
    });
}

#[test]
fn it_waits_for_its_phase() {
    desk("phase", async |d| {
        d.sql("CREATE TABLE t (id int, old text NOT NULL); CREATE TABLE gone (id int); INSERT INTO t VALUES (1, 'o')").await;
        d.place.write("schema/all.sql", "CREATE TABLE t (id int, new text);");
        let plan = d.exits(2, "plan --db $DB --protect quarantine --phase expand --out expand.json").stdout;
        assert!(plan.contains("Left for contract: 2 changes"), "{plan}");
        assert!(d.place.read("expand.json").contains("\"change\": \"quarantine\""));
        d.exits(0, "apply expand.json --db $DB");
        assert_eq!(d.number("SELECT count(old) FROM t").await, 1);
        d.exits(0, "plan --db $DB --protect quarantine --phase migrate");
        d.exits(2, "plan --db $DB --protect quarantine --phase contract --out contract.json");
        d.exits(0, "apply contract.json --db $DB");
        assert!(d.exits(0, "plan --db $DB --protect quarantine").stdout.contains("No changes"));
        assert_eq!(d.number("SELECT count(plumb_quarantine_old) FROM t").await, 1);
    });
}

#[test]
fn a_run_that_was_broken_off_goes_on() {
    desk("resume", async |d| {
        d.sql("CREATE TABLE t (id int, old text NOT NULL, x int); CREATE TABLE gone (id int); INSERT INTO t VALUES (1, 'o', 1); INSERT INTO gone VALUES (1)").await;
        let before = dumped(d);
        d.place.write("schema/all.sql", "CREATE TABLE t (id int, x int); CREATE INDEX tx ON t (x);");
        d.exits(2, "plan --db $DB --protect quarantine --online always --out plan.json");
        d.sql("BEGIN; LOCK TABLE gone").await;
        let done = d.exits(4, "apply plan.json --db $DB --wait 1s");
        assert!(done.stderr.contains("waiting for"), "{}", done.stderr);
        d.sql("COMMIT").await;
        let plan = d.exits(3, "apply --db $DB --protect quarantine");
        assert!(plan.stderr.contains("apply::unfinished"), "{}", plan.stderr);
        assert!(d.exits(3, "purge --db $DB --older-than 0d --yes").stderr.contains("apply::unfinished"));
        let resumed = d.exits(0, "apply --db $DB --resume").stdout;
        println!("{resumed}");
        assert!(d.exits(0, "plan --db $DB --protect quarantine").stdout.contains("No changes"));
        assert_eq!(d.number("SELECT count(*) FROM plumb_quarantine.gone").await, 1);
        d.exits(2, "rollback --db $DB --out back.json");
        d.sql("BEGIN; LOCK TABLE t").await;
        let refused = d.run("apply back.json --db $DB --wait 1s --yes --allow all");
        assert!(refused.exit != 0 && refused.stderr.contains("waiting for"), "{refused:?}");
        d.sql("COMMIT").await;
        d.exits(0, "apply back.json --db $DB --allow all");
        assert_eq!(dumped(d), before);
    });
}

#[test]
fn what_stays_stands_in_the_way() {
    desk("blocked", async |d| {
        d.sql("CREATE SCHEMA theirs; CREATE TABLE t (id int, x int); CREATE VIEW theirs.v AS SELECT x FROM t").await;
        d.place.write("schema/all.sql", "CREATE TABLE t (id int);");
        let refused = d.exits(1, "plan --db $DB --protect quarantine").stderr;
        assert!(refused.contains("change::blocked") && refused.contains("view theirs.v"), "{refused}");
        d.place.write("schema/all.sql", "CREATE TABLE u (id int);");
        let refused = d.exits(1, "plan --db $DB --protect quarantine").stderr;
        assert!(refused.contains("change::blocked") && refused.contains("view theirs.v"), "{refused}");
        // A table that is made anew leaves nothing behind that was put aside of it.
        d.sql("DROP VIEW theirs.v; INSERT INTO t VALUES (1, 2)").await;
        becomes(d, "CREATE TABLE t (id int);", "").await;
        d.place.write("schema/all.sql", "CREATE TABLE t (id int) PARTITION BY RANGE (id);");
        let refused = d.exits(1, "plan --db $DB").stderr;
        assert!(refused.contains("plumb_quarantine_x (put aside") && refused.contains("purge"), "{refused}");
    });
}

#[test]
fn no_publication_sends_it() {
    desk("sent", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY); CREATE PUBLICATION \"P %s ü\" FOR TABLE t, u; CREATE PUBLICATION q FOR TABLE t").await;
        d.place.write("schema/all.sql", "CREATE TABLE u (id int PRIMARY KEY);");
        d.exits(2, "plan --db $DB --protect quarantine --out plan.json");
        assert!(d.place.read("plan.json").contains("does not put it back into the publications"));
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM pg_publication_rel").await, 1);
        assert!(d.exits(0, "plan --db $DB").stdout.contains("No changes"));
    });
}

#[test]
fn whoever_may_not_put_it_aside_is_told_before() {
    desk("may", async |d| {
        d.sql("CREATE ROLE mover LOGIN; GRANT CREATE ON SCHEMA public TO mover; SET ROLE mover; CREATE TABLE t (id int); RESET ROLE").await;
        d.sql("DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC; GRANT CONNECT ON DATABASE %I TO mover', current_database(), current_database()); END $$").await;
        d.place.write("schema/all.sql", "GRANT CREATE ON SCHEMA public TO mover;");
        let db = support::command::url_as(&d.database, "mover");
        let plan = d.place.plumb(&["plan", "--db", &db, "--protect", "quarantine", "--scope", "public", "--out", "plan.json"]);
        assert_eq!(plan.exit, 2, "{}{}", plan.stdout, plan.stderr);
        let refused = d.place.plumb(&["apply", "plan.json", "--db", &db, "--no-ledger"]);
        assert_eq!(refused.exit, 3, "{}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains("apply::rights") && refused.stderr.contains("plumb_quarantine"), "{}", refused.stderr);
        d.sql("CREATE SCHEMA plumb_quarantine").await;
        let plan = d.place.plumb(&["plan", "--db", &db, "--protect", "quarantine", "--scope", "public", "--out", "plan.json"]);
        assert_eq!(plan.exit, 2, "{}{}", plan.stdout, plan.stderr);
        let refused = d.place.plumb(&["apply", "plan.json", "--db", &db, "--no-ledger", "--allow", "unproven"]);
        assert!(refused.stderr.contains("CREATE on schema plumb_quarantine"), "{}", refused.stderr);
        d.sql("ALTER SCHEMA plumb_quarantine OWNER TO mover").await;
        let plan = d.place.plumb(&["plan", "--db", &db, "--protect", "quarantine", "--scope", "public", "--out", "plan.json"]);
        assert_eq!(plan.exit, 2, "{}{}", plan.stdout, plan.stderr);
        let done = d.place.plumb(&["apply", "plan.json", "--db", &db, "--no-ledger"]);
        assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    });
}
