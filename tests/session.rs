//! Roles and databases whose settings change how SQL is read, printed or cut off: the same plans through the real command line.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use support::command::url_as;
use support::desk::{Desk, desk};
use support::server;

/// Everything whose text depends on a session, and texts that deparse in two ways.
const SENSITIVE: &str = r#"CREATE TABLE "Log" (at timestamptz NOT NULL DEFAULT '2026-03-01 12:00', kind varchar(8) CHECK (kind IN ('a', 'b')),
    d date DEFAULT '01/02/2026', i interval DEFAULT '-1 02:03:04', f float8 DEFAULT 0.1, b bytea DEFAULT '\x00ff', s text DEFAULT 'a\b')
    PARTITION BY RANGE (at);
CREATE TABLE log_2026 PARTITION OF "Log" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX log_kinds ON "Log" (at) WHERE kind IN ('a', 'b');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER noted AFTER INSERT ON "Log" FOR EACH ROW WHEN (NEW.kind IN ('a', 'b')) EXECUTE FUNCTION note();
CREATE TABLE old (kind varchar(8), CHECK (kind IN ('a', 'b')));
CREATE TABLE older () INHERITS (old);
CREATE DOMAIN code AS varchar(3) CHECK (VALUE IN ('x', 'y'));
CREATE TABLE things (id int PRIMARY KEY, kind varchar(8), c code, t timestamptz CHECK (t > '2020-01-01'), f float8 DEFAULT 1.1::float4);
CREATE INDEX kinds ON things (id) WHERE kind IN ('a', 'b');
CREATE VIEW seen AS SELECT id, t AT TIME ZONE 'UTC' AS u FROM things WHERE kind IN ('a', 'b') AND t > '2026-01-01 00:00';
ALTER TABLE things ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON things USING (kind IN ('a', 'b'));
CREATE FUNCTION f(at timestamptz DEFAULT '2026-07-01', i interval DEFAULT '1-2') RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 WHERE at > '2026-07-01'; END;
"#;

/// Somebody who reads only, with a session as odd as it may be.
async fn odd(d: &Desk<'_>, settings: &[&str]) -> String {
    let role = format!("odd_{}", d.database);
    d.sql(&format!("CREATE ROLE {role} LOGIN")).await;
    for setting in settings {
        d.sql(&format!("ALTER ROLE {role} SET {setting}")).await;
    }
    url_as(&d.database, &role)
}

const ODD: &[&str] = &[
    "quote_all_identifiers = on",
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "extra_float_digits = -10",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
    "row_security = off",
    "search_path = things, pg_temp, public",
    "statement_timeout = '250ms'",
    "lock_timeout = '1ms'",
    "idle_session_timeout = '400ms'",
    "idle_in_transaction_session_timeout = '20ms'",
    "check_function_bodies = on",
    "client_min_messages = 'debug1'",
    "xmloption = 'document'",
];

#[test]
fn an_odd_session_sees_the_same() {
    desk("odd", async |d| {
        d.sql(SENSITIVE).await;
        d.place.write("schema/all.sql", SENSITIVE);
        let odd = odd(d, ODD).await;
        let plain = d.exits(0, "snapshot --db $DB").stdout;
        d.exits(0, "plan --db $DB --out -");
        for command in ["plan --out -", "drift", "diff schema"] {
            let line = if command.starts_with("diff") { format!("diff {odd} schema") } else { format!("{command} --db {odd}") };
            d.exits(0, &line);
        }
        let role = format!("odd_{}", d.database);
        let seen = d.exits(0, &format!("snapshot --db {odd}")).stdout;
        let objects = |text: &str| text[text.find("\"objects\"").unwrap()..].replace(&role, "postgres");
        assert_eq!(objects(&seen), objects(&plain));
        // A plan with something in it is proven by the same role, which waits for the shadow longer than its session may idle.
        let more = "CREATE TABLE more (id int);\n";
        d.place.write("schema/more.sql", more);
        let plan = d.exits(2, &format!("plan --out - --format sql --db {odd}")).stdout;
        assert!(plan.contains("CREATE TABLE public.more"), "{plan}");
    });
}

#[test]
fn a_role_that_becomes_another() {
    desk("becomes", async |d| {
        d.sql(SENSITIVE).await;
        d.place.write("schema/all.sql", SENSITIVE);
        let role = format!("odd_{}", d.database);
        d.sql(&format!("CREATE ROLE other_{0}; CREATE ROLE {role} LOGIN; GRANT other_{0} TO {role}", d.database)).await;
        d.sql(&format!("ALTER ROLE {role} SET role = 'other_{}'", d.database)).await;
        let odd = url_as(&d.database, &role);
        d.exits(0, &format!("plan --out - --db {odd}"));
        d.exits(0, &format!("drift --db {odd}"));
        d.place.write("schema/more.sql", "CREATE TABLE more (id int);\n");
        d.exits(2, &format!("plan --out - --db {odd}"));
    });
}

/// What a person's own session makes of the files is what the database has.
async fn loaded_in_a_session_like(d: &Desk<'_>, settings: &[&str]) {
    for setting in settings {
        d.sql(&format!("ALTER DATABASE {} SET {setting}", d.database)).await;
    }
    let session = server::session(&d.database).await;
    session.client.batch_execute(SENSITIVE).await.unwrap();
    session.close().await;
    d.place.write("schema/all.sql", SENSITIVE);
    d.exits(0, "plan --db $DB --out -");
    d.exits(0, "drift --db $DB");
    d.exits(0, "diff $DB schema");
    d.exits(0, "dump --db $DB --out dumped");
    d.exits(0, "diff $DB dumped");
}

#[test]
fn literals_mean_what_they_mean_in_the_database() {
    desk("kolkata", async |d| {
        let settings = ["TimeZone = 'Asia/Kolkata'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'"];
        loaded_in_a_session_like(d, &settings).await;
        let day = d
            .session
            .client
            .query_one(
                "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute a ON attrelid = adrelid \
            AND attnum = adnum WHERE attname = 'd' AND adrelid = '\"Log\"'::regclass",
                &[],
            )
            .await
            .unwrap();
        assert!(day.get::<_, String>(0).contains("2026-02-01"), "{day:?}");
    });
}

#[test]
fn literals_from_nothing_are_the_database_s() {
    desk("apply", async |d| {
        for setting in
            ["TimeZone = 'America/New_York'", "DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "quote_all_identifiers = on"]
        {
            d.sql(&format!("ALTER DATABASE {} SET {setting}", d.database)).await;
        }
        d.place.write("schema/all.sql", SENSITIVE);
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB");
        d.exits(0, "plan --db $DB --out -");
        let bound = "SELECT count(*) FROM pg_class WHERE relname = 'log_2026' AND pg_get_expr(relpartbound, oid) LIKE '%2026-01-01 05:00:00+00%'";
        d.sql("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'").await;
        assert_eq!(d.number(bound).await, 1);
    });
}

#[test]
fn the_schema_public_is_what_the_files_make_of_it() {
    desk("public", async |d| {
        let role = format!("app_{}", d.database);
        d.sql(&format!("CREATE ROLE {role}")).await;
        let closed = format!(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC;\nGRANT USAGE ON SCHEMA public TO {role};\nCOMMENT ON SCHEMA public IS 'ours';\n\
             CREATE TABLE t (id int);\n"
        );
        d.place.write("schema/all.sql", &closed);
        let plan = d.exits(2, "plan --db $DB --out plan.json --scope public");
        assert!(plan.stdout.contains("Proven"), "{}", plan.stdout);
        d.exits(0, "apply plan.json --db $DB --allow all");
        assert_eq!(
            d.number("SELECT count(*) FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public' AND grantee = 0").await,
            0
        );
        d.exits(0, "plan --db $DB --out - --scope public");
        d.exits(0, "drift --db $DB --scope public");
    });
}

#[test]
fn rights_on_what_is_the_server_s_are_not_passed_over_in_silence() {
    desk("powerless", async |d| {
        d.place.write(
            "schema/all.sql",
            "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) FROM PUBLIC;\nCREATE TABLE t (id int);\n",
        );
        let plan = d.exits(2, "plan --db $DB --out -");
        assert!(
            plan.stderr.contains("without effect in the shadow: no privileges could be revoked for \"pg_sleep\""),
            "{}",
            plan.stderr
        );
    });
}

#[test]
fn three_owners_and_rights_for_everybody() {
    desk("owners", async |d| {
        let roles: Vec<String> = ["a", "b", "c"].iter().map(|r| format!("own_{r}_{}", d.database)).collect();
        let [a, b, c] = [&roles[0], &roles[1], &roles[2]];
        for role in &roles {
            d.sql(&format!("CREATE ROLE {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}")).await;
        }
        let tables = format!(
            "CREATE TABLE one (id int PRIMARY KEY);\nALTER TABLE one OWNER TO {a};\n\
             CREATE TABLE two (id int REFERENCES one, x text);\nALTER TABLE two OWNER TO {b};\n\
             CREATE VIEW both_of AS SELECT one.id FROM one JOIN two USING (id);\nALTER VIEW both_of OWNER TO {c};\n\
             GRANT SELECT ON one, two TO {c};\nGRANT REFERENCES ON one TO {b};\n\
             CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\nALTER FUNCTION f() OWNER TO {b};\nREVOKE ALL ON FUNCTION f() FROM PUBLIC;\n"
        );
        let defaults = format!(
            "GRANT CREATE, USAGE ON SCHEMA public TO {a}, {b}, {c};\n\
             ALTER DEFAULT PRIVILEGES FOR ROLE {a} IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;\n\
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC;\n\
             ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;\n"
        );
        d.sql("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC").await;
        d.place.write("schema/all.sql", &format!("{tables}{defaults}"));
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --allow widens-rights");
        d.exits(0, "plan --db $DB --out -");
        // What the live default privileges give to a new table without being asked is taken back.
        assert_eq!(d.number("SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = 'one' AND grantee = 0").await, 0);
        let owners = "SELECT count(DISTINCT relowner) FROM pg_class WHERE relname IN ('one', 'two', 'both_of')";
        assert_eq!(d.number(owners).await, 3);
        d.place.write("schema/all.sql", &format!("{tables}{defaults}").replace("x text", "x text, y int"));
        d.place.write("schema/more.sql", "CREATE TABLE three (id int);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        d.exits(0, "apply plan.json --db $DB --allow all");
        d.exits(0, "plan --db $DB --out -");
        assert_eq!(
            d.number("SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = 'three' AND grantee = 0").await,
            0
        );
    });
}
