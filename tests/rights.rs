//! Roles that may not read everything: what they cannot read is an error that names it, never an object that is missing.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::catalog::fingerprint;
use plumb::introspect::{IntrospectError, introspect};
use plumb::pg;
use support::command::url_as;
use support::desk::desk;
use support::server;

const SCHEMA: &str = "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('a');
CREATE TABLE app.t (id int PRIMARY KEY, m app.mood DEFAULT 'a', n int GENERATED ALWAYS AS IDENTITY, CHECK (id > 0)) PARTITION BY RANGE (id);
CREATE TABLE app.t1 PARTITION OF app.t FOR VALUES FROM (1) TO (10);
CREATE INDEX ON app.t (n); CREATE STATISTICS app.s ON id, n FROM app.t1;
CREATE VIEW app.v AS SELECT id FROM app.t; CREATE MATERIALIZED VIEW app.mv AS SELECT 1 AS one;
CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION app.f() FROM PUBLIC;
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION app.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.tf();
CREATE RULE r AS ON INSERT TO app.v DO INSTEAD NOTHING; CREATE POLICY p ON app.t USING (id > 1);
CREATE DOMAIN app.d AS int CHECK (VALUE > 0); CREATE TYPE app.range AS RANGE (SUBTYPE = int); CREATE TYPE app.c AS (x int);
CREATE COLLATION app.coll (LOCALE = 'C'); COMMENT ON TABLE app.t IS 'c'; GRANT SELECT (id) ON app.t TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC; REVOKE ALL ON SCHEMA app FROM PUBLIC;";

/// Secrets and rows are nobody's business; plumb does not read these.
const NOT_FOR_EVERYBODY: &str =
    "SELECT c.relname::text FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
    AND NOT has_table_privilege('pg_monitor', c.oid, 'SELECT') AND NOT has_any_column_privilege('pg_monitor', c.oid, 'SELECT')";

#[test]
fn a_catalog_that_may_not_be_read_is_an_error() {
    desk("revoked", async |d| {
        d.sql(SCHEMA).await;
        let role = format!("reads_{}", d.database);
        d.sql(&format!("CREATE ROLE {role} LOGIN")).await;
        let target = pg::Target::parse(&url_as(&d.database, &role)).unwrap();
        let session = server::connect(&target).await;
        let whole = fingerprint(&introspect(&session).await.unwrap());
        let hidden: Vec<String> =
            d.session.client.query(NOT_FOR_EVERYBODY, &[]).await.unwrap().iter().map(|r| r.get(0)).collect();
        assert!(hidden.contains(&"pg_authid".to_owned()) && hidden.contains(&"pg_user_mapping".to_owned()), "{hidden:?}");
        let readable =
            "SELECT c.relname::text FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
            AND has_table_privilege($1, c.oid, 'SELECT') ORDER BY 1";
        let names: Vec<String> = d.session.client.query(readable, &[&role]).await.unwrap().iter().map(|r| r.get(0)).collect();
        let mut errors = Vec::new();
        for name in &names {
            d.sql(&format!("REVOKE SELECT ON pg_catalog.{name} FROM PUBLIC")).await;
            match introspect(&session).await {
                // What is not needed changes nothing; that its rights are not as usual is reported.
                Ok(catalog) => assert_eq!(fingerprint(&catalog), whole, "{name}"),
                Err(IntrospectError::Query { source, .. }) => {
                    let said = source.as_db_error().unwrap();
                    assert_eq!(said.code().code(), "42501", "{name}: {said}");
                    errors.push(name.as_str());
                }
                Err(e) => panic!("{name}: {e}"),
            }
            d.sql(&format!("GRANT SELECT ON pg_catalog.{name} TO PUBLIC")).await;
        }
        for needed in ["pg_class", "pg_attribute", "pg_proc", "pg_type", "pg_depend", "pg_policy", "pg_roles", "pg_database"] {
            assert!(errors.contains(&needed), "{needed}: {errors:?}");
        }
        session.close().await;
    });
}

#[test]
fn every_command_works_for_a_role_that_only_reads() {
    desk("reads", async |d| {
        d.sql(SCHEMA).await;
        let role = format!("reads_{}", d.database);
        d.sql(&format!(
            "CREATE ROLE {role} LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE TEMP ON DATABASE {} FROM PUBLIC",
            d.database
        ))
        .await;
        let reader = url_as(&d.database, &role);
        d.exits(0, "dump --db $DB --out schema");
        let as_owner = d.exits(0, "snapshot --db $DB").stdout;
        let as_reader = d.exits(0, &format!("snapshot --db {reader}")).stdout;
        // The roles of the server come before the objects, and other tests make some.
        let objects = |text: &str| text[text.find("\"objects\"").unwrap()..].to_owned();
        assert_eq!(objects(&as_reader), objects(&as_owner));
        assert_eq!(d.exits(0, &format!("dump --db {reader}")).stdout, d.exits(0, "dump --db $DB").stdout);
        d.exits(0, &format!("plan --out - --db {reader} --shadow auto"));
        let drift = d.exits(0, &format!("drift --db {reader} --shadow auto"));
        assert!(!drift.stdout.contains("Warning"), "nobody applies it: {}", drift.stdout);
        d.exits(0, &format!("diff {reader} schema"));
        d.exits(0, &format!("diff {reader} $DB"));
        d.place.write("schema/more.sql", "CREATE TABLE app.more (id int);\n");
        let plan = d.exits(2, &format!("plan --out - --db {reader}")).stdout;
        assert!(plan.contains("Proven") && plan.contains("app.more") && !plan.contains("app.t1"), "{plan}");
        // With a catalog closed no command says that what stands in it is to be made or dropped.
        for catalog in ["pg_policy", "pg_trigger", "pg_enum", "pg_description", "pg_default_acl"] {
            d.sql(&format!("REVOKE SELECT ON pg_catalog.{catalog} FROM PUBLIC")).await;
            for line in ["plan --out - --db ", "drift --db ", "snapshot --db ", "dump --db ", "diff schema "] {
                let done = d.exits(1, &format!("{line}{reader}"));
                assert!(done.stderr.contains("introspect::permission") && done.stdout.is_empty(), "{line}: {done:?}");
                assert!(done.stderr.contains(&format!("GRANT SELECT ON pg_catalog.{catalog} TO")), "{}", done.stderr);
            }
            d.sql(&format!("GRANT SELECT ON pg_catalog.{catalog} TO PUBLIC")).await;
        }
    });
}
