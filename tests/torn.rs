//! Reading while others run DDL: a picture of the catalog is one that was there, or there is none.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::catalog::fingerprint;
use plumb::introspect::{IntrospectError, introspect};
use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;
use support::desk::{Desk, desk};
use support::server;

/// Enough that reading takes a while, and everything looks into what changes.
fn before() -> String {
    let mut sql = "CREATE TYPE mood AS ENUM ('ok', 'bad');
        CREATE TABLE orders (id bigint PRIMARY KEY, total int CHECK (total > 0), m mood DEFAULT 'ok');
        CREATE INDEX by_total ON orders ((total + 1)) WHERE m = 'ok';
        CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
        ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON orders USING (twice(total) > 1 AND m <> 'bad');
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.total <> NEW.total) EXECUTE FUNCTION touch();
        CREATE STATISTICS s ON id, total FROM orders;
        CREATE ROLE torn_owner; ALTER FUNCTION twice(int) OWNER TO torn_owner;
        CREATE VIEW swapped AS SELECT id, total FROM orders;
        COMMENT ON TABLE orders IS 'a';\n"
        .to_owned();
    for n in 0..60 {
        sql += &format!(
            "CREATE VIEW v{n} AS SELECT o.id, twice(o.total) AS t, 'ok'::mood AS m FROM orders o;
             CREATE TABLE child{n} (order_id bigint REFERENCES orders, m mood DEFAULT 'ok' CHECK (m <> 'bad'));\n"
        );
    }
    sql
}

const THERE: &str = "BEGIN; ALTER TABLE orders RENAME TO purchases; ALTER TABLE purchases RENAME COLUMN total TO amount;
    ALTER TABLE purchases ADD COLUMN note text DEFAULT 'x'; ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
    ALTER FUNCTION twice(int) RENAME TO double; ALTER POLICY p ON purchases USING (double(amount) > 2);
    CREATE OR REPLACE VIEW swapped AS SELECT id, amount * 2 AS total FROM purchases; ALTER ROLE torn_owner RENAME TO torn_other;
    CREATE FUNCTION extra() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER INDEX by_total RENAME TO by_amount;
    DROP STATISTICS s; COMMENT ON TABLE purchases IS 'b'; COMMIT";

const BACK: &str = "BEGIN; ALTER TABLE purchases RENAME TO orders; ALTER TABLE orders RENAME COLUMN amount TO total;
    ALTER TABLE orders DROP COLUMN note; ALTER TYPE mood RENAME VALUE 'fine' TO 'ok';
    ALTER FUNCTION double(int) RENAME TO twice; ALTER POLICY p ON orders USING (twice(total) > 1 AND m <> 'bad');
    CREATE OR REPLACE VIEW swapped AS SELECT id, total FROM orders; ALTER ROLE torn_other RENAME TO torn_owner;
    DROP FUNCTION extra(); ALTER INDEX by_amount RENAME TO by_total; CREATE STATISTICS s ON id, total FROM orders;
    COMMENT ON TABLE orders IS 'a'; COMMIT";

async fn picture(session: &plumb::pg::Session) -> Result<String, IntrospectError> {
    introspect(session).await.map(|c| fingerprint(&c))
}

/// Runs `others` in the desk's session again and again until `work` is done, with pauses of up to `pause` milliseconds.
async fn meanwhile<T>(d: &Desk<'_>, pause: u64, others: impl Fn(u64) -> String, work: impl Future<Output = T>) -> (T, u64) {
    let stop = Cell::new(false);
    let churn = async {
        let mut rounds = 0;
        // Pauses that come to no rhythm with the reading.
        let mut random = 7_u64;
        while !stop.get() {
            d.sql(&others(rounds)).await;
            rounds += 1;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis((random >> 33) % pause)).await;
            }
        }
        rounds
    };
    let work = async {
        let result = work.await;
        stop.set(true);
        result
    };
    tokio::join!(work, churn)
}

/// The tests rename roles, which all databases of the server share.
static ONE: Mutex<()> = Mutex::new(());

#[test]
fn a_picture_is_never_a_mixture() {
    let _one = ONE.lock();
    desk("torn", async |d| {
        d.sql(&before()).await;
        let reader = server::session(&d.database).await;
        let mut states = vec![picture(&reader).await.unwrap()];
        d.sql(THERE).await;
        states.push(picture(&reader).await.unwrap());
        d.sql(BACK).await;
        // A column that was there leaves a number behind, nothing more.
        assert_eq!(picture(&reader).await.unwrap(), states[0]);
        assert_ne!(states[0], states[1]);
        let other = |round| if round % 2 == 0 { THERE.to_owned() } else { BACK.to_owned() };
        let (seen, rounds) = meanwhile(d, 400, other, async {
            let mut seen = [0; 3];
            for _ in 0..60 {
                match picture(&reader).await {
                    Ok(found) => seen[states.iter().position(|s| *s == found).expect("one of the two states")] += 1,
                    Err(IntrospectError::Busy) => seen[2] += 1,
                    Err(e) => panic!("{e}"),
                }
            }
            seen
        })
        .await;
        println!("{seen:?} of A, B, busy while the catalog changed {rounds} times");
        assert!(seen[0] > 0 && seen[1] > 0 && rounds > 10, "{seen:?} {rounds}");
        let at_rest = picture(&reader).await.unwrap();
        assert!(states.contains(&at_rest));
        reader.close().await;
    });
}

#[test]
fn others_temporary_tables_new_objects_and_statistics_disturb_nobody() {
    let _one = ONE.lock();
    desk("churn", async |d| {
        d.sql(&before().replace("torn_owner", "churn_owner")).await;
        let reader = server::session(&d.database).await;
        let state = picture(&reader).await.unwrap();
        let churn = |round| {
            format!(
                "DROP TABLE IF EXISTS pg_temp.scratch; CREATE TEMP TABLE scratch (id serial PRIMARY KEY, m mood, CHECK (id > 0), j json);
                 CREATE INDEX ON scratch (m); CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT {round}';
                 DROP VIEW IF EXISTS pg_temp.v; CREATE TEMP VIEW v AS SELECT id FROM orders;
                 INSERT INTO scratch SELECT; DROP TABLE IF EXISTS pg_temp.two; CREATE TEMP TABLE two () INHERITS (scratch);
                 COMMENT ON TABLE scratch IS 'x'; COMMENT ON COLUMN scratch.id IS 'x'; COMMENT ON FUNCTION pg_temp.f() IS 'x';
                 ANALYZE orders; VACUUM orders; ALTER TABLE scratch RENAME m TO n; DROP TABLE two"
            )
        };
        // VACUUM runs in no transaction block, so each by itself.
        let one_by_one = async |sql: &str| {
            for part in sql.split(';') {
                d.sql(part).await;
            }
        };
        one_by_one(&churn(0)).await;
        let stop = Cell::new(false);
        let others = async {
            let mut round = 0;
            while !stop.get() {
                round += 1;
                one_by_one(&churn(round)).await;
            }
            round
        };
        let reading = async {
            for _ in 0..15 {
                assert_eq!(picture(&reader).await.unwrap(), state);
            }
            stop.set(true);
        };
        let (_, rounds) = tokio::join!(reading, others);
        assert!(rounds > 15, "{rounds}");
        let new = |round| format!("CREATE FUNCTION new{round}() RETURNS int LANGUAGE sql AS 'SELECT 1'");
        let (read, _) = meanwhile(d, 0, new, async {
            for _ in 0..5 {
                picture(&reader).await?;
            }
            Ok::<_, IntrospectError>(())
        })
        .await;
        read.unwrap();
        reader.close().await;
    });
}
