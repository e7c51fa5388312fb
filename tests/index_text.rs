//! What is put together from an index's columns is what the server deparses.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::introspect::introspect;
use support::{Bench, load, server};

const INDEXES: &str = r#"CREATE SCHEMA "S s"; CREATE TYPE "S s".mood AS ENUM ('ok', 'bad'); CREATE DOMAIN "S s".code AS varchar(9);
    CREATE COLLATION "S s".german (locale = 'C');
    CREATE TABLE "S s"."T""; --" (a int, "B b" text, c varchar(20), d "S s".mood, e "S s".code, f text COLLATE "S s".german, g int[],
        h tsvector, i bpchar, j name, k oid, l text COLLATE "C", PRIMARY KEY (a));
    CREATE INDEX a0 ON "S s"."T""; --" (a);
    CREATE UNIQUE INDEX a1 ON "S s"."T""; --" ("B b" DESC, a);
    CREATE INDEX a2 ON "S s"."T""; --" (a DESC NULLS LAST, "B b" NULLS FIRST, c DESC NULLS FIRST);
    CREATE INDEX a3 ON "S s"."T""; --" (a, "B b", c, d);
    CREATE INDEX a4 ON "S s"."T""; --" (a) INCLUDE (c, d);
    CREATE INDEX a5 ON "S s"."T""; --" (c) WHERE d = 'ok' AND "B b" <> ' WHERE ';
    CREATE INDEX a6 ON "S s"."T""; --" (d, e);
    CREATE INDEX a7 ON "S s"."T""; --" (f, l);
    CREATE INDEX a8 ON "S s"."T""; --" (f COLLATE "C", l COLLATE "S s".german);
    CREATE INDEX a9 ON "S s"."T""; --" ("B b" text_pattern_ops, c varchar_pattern_ops);
    CREATE INDEX b0 ON "S s"."T""; --" (g, i, j);
    CREATE INDEX b1 ON "S s"."T""; --" USING hash (a);
    CREATE INDEX b2 ON "S s"."T""; --" USING gin (g);
    CREATE INDEX b3 ON "S s"."T""; --" USING gist (h tsvector_ops (siglen = 200));
    CREATE INDEX b4 ON "S s"."T""; --" (lower("B b"), a);
    CREATE INDEX b5 ON "S s"."T""; --" (k oid_ops, c text_ops);
    CREATE INDEX "b6 -- ON ONLY" ON "S s"."T""; --" (a) WITH (fillfactor = 70) WHERE a > 0;
    CREATE TABLE p (a int, b text) PARTITION BY LIST (a); CREATE TABLE q PARTITION OF p FOR VALUES IN (1);
    CREATE INDEX c0 ON p (b, a); CREATE INDEX c1 ON ONLY p (a DESC);"#;

/// A class of the user's own that a type takes unless another one is named.
const OWN_CLASS: &str = "CREATE OPERATOR CLASS own DEFAULT FOR TYPE varchar USING btree AS OPERATOR 1 < (text, text), OPERATOR 2 <= (text, text),
        OPERATOR 3 = (text, text), OPERATOR 4 >= (text, text), OPERATOR 5 > (text, text), FUNCTION 1 (varchar, varchar) bttextcmp(text, text);
    CREATE TABLE t (a varchar, b text); CREATE INDEX d0 ON t (a); CREATE INDEX d1 ON t (a text_ops, b); CREATE INDEX d2 ON t (b);";

#[test]
fn an_index_says_of_its_columns_what_the_server_says() {
    Bench::work(async |bench| {
        for (script, expected) in [(INDEXES, 20), (OWN_CLASS, 3)] {
            let database = load::fresh(bench, &[script]).await.map_err(|e| e.message).unwrap();
            let session = server::session(&database).await;
            let catalog = introspect(&session).await.unwrap();
            let mut compared = 0;
            for index in catalog.objects().filter(|o| o.id.class() == "index") {
                let row =
                    session.client.query_one("SELECT pg_get_indexdef($1::text::regclass)", &[&index.id.sql()]).await.unwrap();
                let deparsed: String = row.get::<_, String>(0).replace(" WITH (fillfactor='70')", "");
                let predicate =
                    index.definition.get("predicate").map_or(String::new(), |p| format!(" WHERE {}", p.as_str().unwrap()));
                let told = format!("{} {}{predicate}", index.text("table"), index.text("body"));
                assert!(deparsed.ends_with(&told), "{}: {told} is not the end of {deparsed}", index.id);
                compared += 1;
            }
            assert!(compared >= expected, "{compared} indexes");
            session.close().await;
        }
    });
}
