//! Databases that are read beside each other: what is the same in them is one object, and nothing else is.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::catalog::{Catalog, Id, fingerprint};
use plumb::introspect::{Seen, introspect, introspect_beside};
use support::{Bench, load, server};

const ALIKE: &str = "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('ok', 'bad');
    CREATE TABLE s.orders (id bigint PRIMARY KEY, m s.mood NOT NULL DEFAULT 'ok', note text CHECK (note <> ''));
    CREATE INDEX by_note ON s.orders (lower(note)); CREATE VIEW s.seen AS SELECT id FROM s.orders;
    CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; COMMENT ON TABLE s.orders IS 'x';";

async fn read(database: &str, seen: Option<&Seen>) -> Catalog {
    let session = server::session(database).await;
    let catalog = match seen {
        Some(seen) => introspect_beside(&session, seen).await,
        None => introspect(&session).await,
    };
    session.close().await;
    catalog.unwrap()
}

fn shared(left: &Catalog, right: &Catalog, id: &Id) -> bool {
    std::ptr::eq(left.get(id).unwrap(), right.get(id).unwrap())
}

#[test]
fn what_is_the_same_is_read_once_and_what_differs_is_not() {
    Bench::work(async |bench| {
        // OIDs differ between the two, and so do some definitions, rights and owners.
        let other = "CREATE TABLE public.first (); DROP TABLE public.first;";
        let changes =
            "ALTER TABLE s.orders ALTER note SET NOT NULL, ALTER m SET DEFAULT 'bad'; GRANT SELECT ON s.orders TO PUBLIC;
            COMMENT ON TABLE s.orders IS 'y'; DROP INDEX s.by_note; CREATE INDEX by_note ON s.orders (upper(note));
            CREATE ROLE shared_owner; ALTER FUNCTION s.f(int) OWNER TO shared_owner;";
        let left = load::fresh(bench, &[ALIKE]).await.map_err(|e| e.message).unwrap();
        let right = load::fresh(bench, &[other, ALIKE, changes]).await.map_err(|e| e.message).unwrap();
        let (alone_left, alone_right) = (read(&left, None).await, read(&right, None).await);
        let seen = Seen::default();
        let (l, r) = tokio::join!(read(&left, Some(&seen)), read(&right, Some(&seen)));
        assert_eq!((fingerprint(&l), fingerprint(&r)), (fingerprint(&alone_left), fingerprint(&alone_right)));
        assert!(l.objects().eq(alone_left.objects()) && r.objects().eq(alone_right.objects()), "details too are those of each");
        assert!(l.edges().eq(alone_left.edges()) && r.edges().eq(alone_right.edges()));
        let id = |class: &str, name: &[&str]| Id::new(class, name.iter().copied());
        for same in [id("table", &["s", "orders"]), id("column", &["s", "orders", "m"]), id("enum", &["s", "mood"])] {
            assert!(shared(&l, &r, &same), "{same} is the same");
        }
        for other in
            [id("column", &["s", "orders", "note"]), id("default", &["s", "orders", "m"]), id("index", &["s", "by_note"])]
        {
            assert!(!shared(&l, &r, &other), "{other} differs");
        }
    });
}

#[test]
fn the_same_part_of_another_whole_is_another_object() {
    Bench::work(async |bench| {
        // The rule's row is the same on both sides, and what it is a rule of is not.
        let seen = Seen::default();
        let table = load::fresh(bench, &["CREATE TABLE t (a int); CREATE RULE r AS ON UPDATE TO t DO NOTHING"]).await;
        let view = load::fresh(bench, &["CREATE VIEW t AS SELECT 1 AS a; CREATE RULE r AS ON UPDATE TO t DO NOTHING"]).await;
        let (table, view) = (table.map_err(|e| e.message).unwrap(), view.map_err(|e| e.message).unwrap());
        let (l, r) = (read(&table, Some(&seen)).await, read(&view, Some(&seen)).await);
        let rule = Id::new("rule", ["public", "t", "r"]);
        let parent = |c: &Catalog| c.get(&rule).unwrap().parent.as_ref().map(|p| p.class().to_owned());
        assert_eq!((parent(&l).as_deref(), parent(&r).as_deref()), (Some("table"), Some("view")));
    });
}
