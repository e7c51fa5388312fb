//! Rows that get their values from a directive or a volatile default, as people meet them: batches, breaking off and going on,
//! expressions that do not work, and what is said of directives that do nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use rustix::process::Signal;
use support::command::{finish, url_as};
use support::desk::{Desk, desk, killed, signal, until};

const BEFORE: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text)";
const AFTER: &str = "CREATE TABLE users (
    id bigint PRIMARY KEY,
    -- plumb: backfill 'user ' || id
    name text NOT NULL,
    token uuid DEFAULT gen_random_uuid(),
    -- plumb: backfill upper(name)
    code text NOT NULL
);
";

async fn rows(d: &Desk<'_>, count: u32) {
    d.sql(&format!("INSERT INTO users SELECT n, CASE WHEN n % 3 > 0 THEN 'Ada ' || n END FROM generate_series(1, {count}) n"))
        .await;
}

/// Rows that are not as the directives want them.
const WRONG: &str = "SELECT count(*) FROM users WHERE name IS DISTINCT FROM CASE WHEN id % 3 > 0 THEN 'Ada ' || id ELSE 'user ' || id END \
     OR token IS NULL OR code IS DISTINCT FROM upper(name)";

/// Constraints that a plan only makes for a while.
const LEFT: &str = "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace";

/// Rows of each transaction that updates users.
const LOG: &str = "CREATE TABLE log (x xid8, n integer);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.log SELECT pg_current_xact_id(), count(*) FROM new; RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON users REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION note();
";

#[test]
fn rows_get_their_values_in_batches() {
    desk("batches", async |d| {
        d.sql(BEFORE).await;
        rows(d, 2500).await;
        d.sql(LOG).await;
        d.place.write("schema/all.sql", AFTER);
        d.place.write("schema/log.sql", LOG);
        d.place.write("plumb.toml", "backfill_batch = 400\nbackfill_pause = \"1ms\"\n");
        let plan = d.exits(2, "plan --db $DB --out plan.json --verbose").stdout;
        assert!(plan.contains("400 rows at a time in the order of id"), "{plan}");
        assert!(plan.contains("trigger note fires"), "{plan}");
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number(WRONG).await, 0);
        assert_eq!(d.number(LEFT).await, 0);
        assert_eq!(d.number("SELECT count(*) FROM (SELECT x FROM log GROUP BY x HAVING sum(n) > 400) AS big").await, 0);
        assert_eq!(d.number("SELECT sum(n) FROM log").await, 2500 / 3 + 2500 + 2500);
        d.exits(0, "plan --db $DB");
    });
}

/// Values of new columns, be they there or not.
const FILLED: &str = "SELECT count(to_jsonb(u) ->> 'token') + count(to_jsonb(u) ->> 'code') FROM users u";

#[test]
fn after_a_kill_what_is_filled_stays_and_the_rest_is_filled() {
    desk("killed", async |d| {
        d.sql("CREATE SCHEMA aside; CREATE TABLE aside.kept (id bigint, token text)").await;
        d.place.write("plumb.toml", "backfill_batch = 100\nbackfill_pause = \"20ms\"\n");
        for key in [" PRIMARY KEY", ""] {
            d.sql("DROP TABLE IF EXISTS users; TRUNCATE aside.kept").await;
            d.sql(&BEFORE.replace(" PRIMARY KEY", key)).await;
            rows(d, 3000).await;
            d.sql("ANALYZE users").await;
            d.place.write("schema/all.sql", &AFTER.replace(" PRIMARY KEY", key));
            // With the same plan, or with a new one of what is left.
            let resumes = !key.is_empty();
            let mut line = "apply --db $DB --yes";
            for some in [500, 4000] {
                let apply = d.start(line);
                until("some rows are filled", async || d.number(FILLED).await >= some).await;
                killed(d, apply).await;
                assert!(d.number(FILLED).await < 6000, "all was done too soon");
                let kept = "INSERT INTO aside.kept SELECT id, to_jsonb(u) ->> 'token' FROM users u WHERE to_jsonb(u) ->> 'token' IS NOT NULL";
                d.sql(kept).await;
                d.exits(2, "plan --db $DB --out -");
                if resumes {
                    line = "apply --resume --db $DB --yes";
                } else {
                    d.exits(0, "apply --abandon --db $DB --yes");
                }
            }
            let last = d.exits(0, line);
            assert!(last.stdout.contains("equals what was planned"), "{}", last.stdout);
            assert_eq!(d.number(WRONG).await, 0, "{key}");
            assert_eq!(d.number(LEFT).await, 0, "{key}");
            assert!(d.number("SELECT count(*) FROM aside.kept").await > 0);
            assert_eq!(
                d.number("SELECT count(*) FROM aside.kept k JOIN users u USING (id) WHERE u.token::text <> k.token").await,
                0
            );
            d.exits(0, "plan --db $DB");
        }
    });
}

/// The first step of a deployment is one in batches, and fails in one of them: what is filled counts as something that was applied.
#[test]
fn a_plan_whose_first_batches_are_done_is_gone_on_with() {
    desk("first", async |d| {
        d.sql(BEFORE).await;
        d.sql("INSERT INTO users (id) SELECT generate_series(1, 1000)").await;
        d.place.write("plumb.toml", "backfill_batch = 100\nbackfill_pause = \"0s\"\n");
        let after = "CREATE TABLE users (\n    id bigint PRIMARY KEY,\n    -- plumb: backfill (id / (id - 1))::text\n    name text NOT NULL\n);\n";
        d.place.write("schema/all.sql", after);
        d.exits(2, "plan --db $DB --out plan.json");
        // In its first batch nothing is done, and the plan stands in nobody's way.
        let none = d.exits(1, "apply plan.json --db $DB --allow rows");
        assert!(none.stderr.contains("division by zero") && none.stderr.contains("Nothing was applied"), "{}", none.stderr);
        assert_eq!(d.number("SELECT count(*) FROM plumb.deployment WHERE state = 'void'").await, 1);
        d.sql("UPDATE users SET name = 'x' WHERE id = 1").await;
        // In its fourth one something is.
        d.place.write("schema/all.sql", &after.replace("(id - 1)", "(id - 350)"));
        d.exits(2, "plan --db $DB --out plan.json");
        let some = d.exits(4, "apply plan.json --db $DB --allow rows");
        assert!(some.stderr.contains("300 rows have their values and keep them"), "{}", some.stderr);
        assert!(!some.stderr.contains("Nothing was applied"), "{}", some.stderr);
        assert_eq!(d.number("SELECT count(*) FROM users WHERE name IS NOT NULL").await, 301);
        assert!(d.exits(3, "drift --db $DB").stderr.contains("unfinished"));
        assert!(d.exits(0, "history --db $DB").stdout.contains("300 rows"));
        d.place.write("schema/all.sql", &after.replace("(id / (id - 1))::text", "'other'"));
        d.exits(2, "plan --db $DB --out other.json");
        assert!(d.exits(3, "apply other.json --db $DB").stderr.contains("unfinished"));
        // A failure in the first batch of those that are left changes nothing of that.
        let again = d.exits(4, "apply --resume --db $DB --allow rows");
        assert!(again.stdout.contains("0 of 5 steps are done, 300 rows of step 1 have their values"), "{}", again.stdout);
        assert!(d.exits(3, "drift --db $DB").stderr.contains("unfinished"));
        d.sql("UPDATE users SET name = 'by hand' WHERE id = 350").await;
        d.exits(0, "apply plan.json --db $DB");
        assert_eq!(d.number("SELECT count(*) FROM users WHERE name = (id / (id - nullif(350, id)))::text").await, 998);
        assert_eq!(d.number("SELECT sum(rows)::bigint FROM plumb.step").await, 998);
        assert_eq!(d.number(LEFT).await, 0);
    });
}

#[test]
fn interrupted_and_held_up() {
    desk("held", async |d| {
        d.sql(BEFORE).await;
        rows(d, 1000).await;
        d.place.write("schema/all.sql", AFTER);
        d.place.write("plumb.toml", "backfill_batch = 100\nbackfill_pause = \"20ms\"\n");
        let apply = d.start("apply --db $DB --yes");
        until("some rows are filled", async || d.number(FILLED).await >= 200).await;
        signal(apply.id(), Signal::INT);
        let apply = finish(apply);
        assert_eq!(apply.exit, 4, "{apply:?}");
        assert!(apply.stderr.contains("rows have their values and keep them"), "{}", apply.stderr);
        // A row that somebody holds is waited for, and the batch tried again.
        d.sql("BEGIN; UPDATE users SET id = id WHERE id = 900").await;
        let apply = d.start("apply --resume --db $DB --yes --lock-timeout 200ms");
        until("it waits for a row", async || d.number("SELECT count(*) FROM pg_locks WHERE NOT granted").await > 0).await;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        d.sql("COMMIT").await;
        let apply = finish(apply);
        assert_eq!(apply.exit, 0, "{apply:?}");
        assert_eq!(d.number(WRONG).await, 0);
        d.exits(0, "plan --db $DB");
    });
}

#[test]
fn an_expression_that_does_not_work_is_an_error_at_its_line() {
    desk("wrong", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'x', 'y')").await;
        let with = |above: &str, column: &str| {
            format!("CREATE TABLE t (\n    id int PRIMARY KEY,\n    a text,\n    {above}\n    {column}\n);\n")
        };
        for (above, column, words) in [
            ("-- plumb: using b + 1", "b int", "operator does not exist"),
            ("-- plumb: using nowhere(b)", "b int", "function nowhere(text) does not exist"),
            ("-- plumb: using nothing", "b int", "column \"nothing\" does not exist"),
            ("-- plumb: backfill md5(zzz)", "b text NOT NULL", "column \"zzz\" does not exist"),
            ("-- plumb: backfill 1, 2", "b text NOT NULL", "is not one expression"),
            ("-- plumb: using b) , DROP COLUMN a --", "b int", "closes what it does not open"),
            ("-- plumb: using b; DROP TABLE t", "b int", "more than one expression"),
        ] {
            d.place.write("schema/t.sql", &with(above, column));
            let plan = d.exits(1, "plan --db $DB --out -");
            assert!(plan.stderr.contains(words), "{above}: {}", plan.stderr);
            assert!(plan.stderr.contains("t.sql:4:8"), "{above}: {}", plan.stderr);
        }
        d.place.write("schema/t.sql", "-- plumb: using 1\nCREATE TABLE t (id int PRIMARY KEY, a text, b text);\n");
        assert!(d.exits(1, "check").stderr.contains("using is about a column"));
        // What the rows do not allow is found before anything is done.
        d.place.write("schema/t.sql", &with("-- plumb: using b::integer", "b int"));
        d.exits(2, "plan --db $DB --out plan.json");
        let apply = d.exits(3, "apply plan.json --db $DB --allow loses-values --allow rewrites");
        assert!(apply.stderr.contains("apply::rows"), "{}", apply.stderr);
        d.place.write("schema/t.sql", &with("-- plumb: using length(b)", "b int"));
        d.exits(0, "apply --db $DB --yes --allow loses-values --allow rewrites");
        assert_eq!(d.number("SELECT b::bigint FROM t").await, 1);
    });
}

#[test]
fn what_does_nothing_is_noted() {
    desk("idle", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b text)").await;
        d.place.write(
            "schema/t.sql",
            "CREATE TABLE t (\n    id int PRIMARY KEY,\n    -- plumb: using a + 1\n    a int,\n    -- plumb: backfill 'x'\n    b text\n);\n",
        );
        let plan = d.exits(0, "plan --db $DB");
        for words in [
            "schema/t.sql:3: nothing is done with -- plumb: using, since the type of column public.t.a does not change",
            "schema/t.sql:5: nothing is done with -- plumb: backfill, since no row of public.t needs a value from it",
        ] {
            assert!(plan.stderr.contains(words), "{}", plan.stderr);
        }
    });
}

#[test]
fn rows_that_are_hidden_are_not_passed_over() {
    desk("hidden", async |d| {
        d.sql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT n FROM generate_series(1, 10) n").await;
        let policies = "ALTER TABLE t ENABLE ROW LEVEL SECURITY;\nALTER TABLE t FORCE ROW LEVEL SECURITY;\nCREATE POLICY low ON t USING (id < 5);\n";
        d.sql(policies).await;
        d.place.write(
            "schema/t.sql",
            &format!(
                "CREATE TABLE t (\n    id int PRIMARY KEY,\n    -- plumb: backfill 'x'\n    a text NOT NULL\n);\n{policies}"
            ),
        );
        let plan = d.exits(2, "plan --db $DB --out -");
        assert!(plan.stdout.contains("row security of public.t is forced on its owner"), "{}", plan.stdout);
        // The owner does not: neither in batches nor in one transaction are rows left without a value.
        let role = format!("owner_of_{}", d.database);
        d.sql(&format!("CREATE ROLE {role} LOGIN; ALTER TABLE t OWNER TO {role}")).await;
        d.sql(&format!("ALTER DATABASE {} OWNER TO {role}", d.database)).await;
        let db = url_as(&d.database, &role);
        for form in ["always", "never"] {
            d.exits(2, &format!("plan --db {db} --out plan.json --online {form}"));
            let apply = d.exits(3, &format!("apply plan.json --db {db}"));
            assert!(apply.stderr.contains("policies may hide rows of public.t"), "{}", apply.stderr);
            let script = d.exits(2, &format!("plan --db {db} --out - --format sql --online {form}")).stdout;
            assert_eq!(script.matches("SET LOCAL row_security = off;").count(), script.matches("\nUPDATE ").count(), "{script}");
        }
        assert_eq!(d.number("SELECT count(a) FROM t").await, 0);
        // Who is beyond policies sees all of them.
        d.sql(&format!("ALTER ROLE {role} BYPASSRLS")).await;
        d.exits(0, &format!("apply plan.json --db {db}"));
        assert_eq!(d.number("SELECT count(*) FROM t WHERE a = 'x'").await, 10);
        d.sql(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")).await;
    });
}

/// A table that is made anew takes along all of its rows, or stays.
#[test]
fn no_rows_are_lost_that_are_hidden_from_the_owner() {
    desk("carried", async |d| {
        let role = format!("carrier_of_{}", d.database);
        d.sql(&format!("CREATE ROLE {role} LOGIN; ALTER DATABASE {} OWNER TO {role}", d.database)).await;
        let policies = "ALTER TABLE t ENABLE ROW LEVEL SECURITY;\nALTER TABLE t FORCE ROW LEVEL SECURITY;\nCREATE POLICY low ON t USING (id < 5);\n";
        d.sql("CREATE TABLE t (id int NOT NULL); INSERT INTO t SELECT n FROM generate_series(1, 10) n").await;
        d.sql(&format!("{policies}ALTER TABLE t OWNER TO {role}")).await;
        let anew = "CREATE TABLE t (id int NOT NULL) PARTITION BY RANGE (id);\nCREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100);\n";
        d.place.write("schema/t.sql", &format!("{anew}{policies}"));
        let db = url_as(&d.database, &role);
        d.exits(2, &format!("plan --db {db} --out plan.json"));
        let apply = d.exits(1, &format!("apply plan.json --db {db} --allow all"));
        assert!(apply.stderr.contains("query would be affected by row-level security policy"), "{}", apply.stderr);
        assert_eq!(d.number("SELECT count(*) FROM t").await, 10);
        d.sql(&format!("ALTER ROLE {role} BYPASSRLS")).await;
        d.exits(0, &format!("apply plan.json --db {db} --allow all"));
        assert_eq!(d.number("SELECT count(*) FROM t1").await, 10);
        d.sql(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")).await;
    });
}

/// Names that end what they stand in, keys that texts and operators do not tell whole, families of tables, and what is computed.
#[test]
fn rows_of_tables_of_every_shape() {
    desk("shapes", async |d| {
        d.place.write("plumb.toml", "backfill_batch = 7\nbackfill_pause = \"0s\"\n");
        let told = "    -- plumb: backfill 'v' || n\n    v text";
        let tables = [
            ("\"T\"\";--\" (\"K \"\" 1\" text, \"select\" int, n int, PRIMARY KEY (\"select\", \"K \"\" 1\")", ")"),
            ("batch (batch int PRIMARY KEY, n int", ")"),
            ("floats (id double precision PRIMARY KEY, n int", ")"),
            ("moods (id mood PRIMARY KEY, n int", ")"),
            ("places (n int", ")"),
            ("computed (id int PRIMARY KEY, n int, c int GENERATED ALWAYS AS (n * 2) STORED", ")"),
            ("parted (id int, n int, PRIMARY KEY (id, n)", ") PARTITION BY RANGE (n)"),
            ("unkeyed (id int, n int", ") PARTITION BY RANGE (n)"),
            ("parent (id int PRIMARY KEY, n int", ")"),
        ];
        let families = "CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (50);\n\
             CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (50) TO (MAXVALUE);\n\
             CREATE TABLE unkeyed_low PARTITION OF unkeyed FOR VALUES FROM (MINVALUE) TO (50);\n\
             CREATE TABLE unkeyed_high PARTITION OF unkeyed FOR VALUES FROM (50) TO (MAXVALUE);\n\
             CREATE TABLE child () INHERITS (parent);\n";
        let mood = "CREATE TYPE mood AS ENUM ('a', 'B', 'c');\n";
        let all = |more: &str| -> String {
            let made = |(head, tail): &(&str, &str)| format!("CREATE TABLE {head}{more}{tail};\n");
            format!("{mood}{}{families}", tables.iter().map(made).collect::<String>())
        };
        d.sql(&all("")).await;
        d.sql(
            "INSERT INTO \"T\"\";--\" SELECT chr(39) || chr(92) || n, n % 3, n FROM generate_series(1, 100) n;
             INSERT INTO batch SELECT -n, n FROM generate_series(1, 100) n;
             INSERT INTO floats SELECT n / 3.0::float8, n FROM generate_series(1, 100) n;
             INSERT INTO moods SELECT m, ord FROM unnest(enum_range(NULL::mood)) WITH ORDINALITY x(m, ord);
             INSERT INTO places SELECT n FROM generate_series(1, 100) n;
             INSERT INTO computed SELECT n, n FROM generate_series(1, 100) n;
             INSERT INTO parted SELECT n, n FROM generate_series(1, 100) n;
             INSERT INTO unkeyed SELECT n, n FROM generate_series(1, 100) n;
             INSERT INTO parent SELECT n, n FROM generate_series(1, 100) n;
             INSERT INTO child SELECT n, n FROM generate_series(1, 100) n;",
        )
        .await;
        // The role's own settings do not change what a batch means.
        d.sql(&format!("ALTER DATABASE {} SET extra_float_digits = -10", d.database)).await;
        d.sql(&format!("ALTER DATABASE {} SET search_path = nowhere", d.database)).await;
        d.place.write("schema/all.sql", &all(&format!(",\n{told}")));
        d.exits(0, "apply --db $DB --yes");
        for table in ["\"T\"\";--\"", "batch", "floats", "moods", "places", "computed", "parted", "unkeyed", "parent"] {
            let wrong = format!("SELECT count(*) FROM public.{table} WHERE v IS DISTINCT FROM 'v' || n");
            assert_eq!(d.number(&wrong).await, 0, "{table}");
        }
        d.exits(0, "plan --db $DB");
    });
}

/// Without a key the rows are gone through until none is left; one for which the expression has no value is never written.
#[test]
fn rows_that_stay_without_a_value_are_not_written() {
    desk("without", async |d| {
        d.sql("CREATE TABLE users (name text); INSERT INTO users SELECT nullif(n % 4, 0) FROM generate_series(1, 1000) n").await;
        d.sql(LOG).await;
        let after = "CREATE TABLE users (\n    name text,\n    -- plumb: backfill upper(name)\n    code text\n);\n";
        d.place.write("schema/all.sql", &format!("{after}{LOG}"));
        d.place.write("plumb.toml", "backfill_batch = 300\nbackfill_pause = \"0s\"\n");
        d.exits(0, "apply --db $DB --yes --allow all");
        assert_eq!(d.number("SELECT count(*) FROM users WHERE code IS NOT DISTINCT FROM upper(name)").await, 1000);
        assert_eq!(d.number("SELECT sum(n) FROM log").await, 750);
        d.exits(0, "plan --db $DB");
    });
}
