//! How long others wait while a table with many rows changes, in the direct and in the online form of each change: readers and writers
//! work on the table by its key while `plumb apply` runs, and the longest of their statements is told.
//!
//! `make online` runs it; `PLUMB_ROWS` is how many rows the table has (default: 5 million), `PLUMB_FORMS` a word in the names of changes.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![allow(dead_code, reason = "what tests share is more than this needs")]

#[path = "../tests/support/mod.rs"]
mod support;

use plumb::pg::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::command::{Place, url};
use support::{Bench, server};

/// What every state has.
const BASE: &str = "CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE big (id bigint PRIMARY KEY, owner int, code text, total int{column}{table});
{rest}";

/// A change: its name, and what columns, table and script have more before and after.
struct Change {
    name: &'static str,
    before: [&'static str; 3],
    after: [&'static str; 3],
}

const fn change(name: &'static str, before: [&'static str; 3], after: [&'static str; 3]) -> Change {
    Change { name, before, after }
}

const NONE: [&str; 3] = ["", "", ""];
const INDEX: [&str; 3] = ["", "", "CREATE INDEX big_owner ON big (owner);"];

const CHANGES: &[Change] = &[
    change("index made", NONE, INDEX),
    change("index changed", INDEX, ["", "", "CREATE INDEX big_owner ON big (owner, total);"]),
    change("index dropped", INDEX, NONE),
    change("unique constraint", NONE, ["", ", CONSTRAINT big_code UNIQUE (code)", ""]),
    change("foreign key", NONE, ["", ", CONSTRAINT big_owner FOREIGN KEY (owner) REFERENCES owners", ""]),
    change("check", NONE, ["", ", CONSTRAINT big_total CHECK (total >= 0)", ""]),
    change("NOT NULL", NONE, [" NOT NULL", "", ""]),
    change("volatile default", NONE, [", token uuid NOT NULL DEFAULT gen_random_uuid()", "", ""]),
    change("backfill", NONE, [",\n    -- plumb: backfill upper(code)\n    label text NOT NULL", "", ""]),
    change("type", [", wide int DEFAULT 7", "", ""], [",\n    -- plumb: exchange\n    wide bigint DEFAULT 7", "", ""]),
    change(
        "partition attached",
        ["", "", "CREATE TABLE whole (id bigint, owner int, code text, total int) PARTITION BY RANGE (id);"],
        [
            "",
            "",
            "CREATE TABLE whole (id bigint, owner int, code text, total int) PARTITION BY RANGE (id);\
             ALTER TABLE whole ATTACH PARTITION big FOR VALUES FROM (0) TO (1000000000);",
        ],
    ),
];

fn script([column, table, rest]: [&str; 3]) -> String {
    BASE.replace("{column}", column).replace("{table}", table).replace("{rest}", rest)
}

/// Readers and writers, until told to stop; the longest statement of any of them in microseconds.
async fn load(database: String, rows: i64, stop: Arc<AtomicBool>, longest: Arc<AtomicU64>) {
    let worker = async |n: i64| {
        let session: Session = server::session(&database).await;
        let sql =
            if n % 2 == 0 { "UPDATE big SET total = total + 1 WHERE id = $1" } else { "SELECT total FROM big WHERE id = $1" };
        let statement = session.client.prepare(sql).await.unwrap();
        let mut id = n * 7919;
        while !stop.load(Ordering::Relaxed) {
            id = (id * 25_214_903 + 11).rem_euclid(rows);
            let begun = Instant::now();
            session.client.query(&statement, &[&id]).await.unwrap();
            longest.fetch_max(u64::try_from(begun.elapsed().as_micros()).unwrap(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        session.close().await;
    };
    tokio::join!(worker(1), worker(2), worker(3), worker(4));
}

/// Applies a plan while others work; the longest wait of these, and how long it took.
fn run(place: &Place, database: &str, change: &Change, rows: i64, online: &str) -> (Duration, Duration) {
    let db = url(database);
    let plumb = |words: &[&str], exits: i32| {
        let done = place.plumb(&words.iter().map(|w| w.replace("$DB", &db)).collect::<Vec<_>>());
        assert_eq!(done.exit, exits, "{words:?}: {}{}", done.stdout, done.stderr);
    };
    let direct = ["apply", "--db", "$DB", "--yes", "--allow", "all", "--online", "never"];
    place.write("schema/all.sql", &script(change.before));
    plumb(&direct, 0);
    place.write("schema/all.sql", &script(change.after));
    plumb(&["plan", "--db", "$DB", "--out", "plan.json", "--online", online], 2);
    let (stop, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let others = std::thread::spawn({
        let (database, stop, longest) = (database.to_owned(), Arc::clone(&stop), Arc::clone(&longest));
        move || server::runtime().block_on(load(database, rows, stop, longest))
    });
    std::thread::sleep(Duration::from_millis(500));
    longest.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    plumb(&["apply", "plan.json", "--db", "$DB", "--allow", "all", "--lock-timeout", "500ms"], 0);
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    others.join().unwrap();
    (Duration::from_micros(longest.load(Ordering::Relaxed)), took)
}

fn main() {
    let rows: i64 = std::env::var("PLUMB_ROWS").ok().map_or(5_000_000, |n| n.parse().expect("PLUMB_ROWS is a number"));
    let word = std::env::var("PLUMB_FORMS").unwrap_or_default();
    let place = Place::new("online");
    place.write("plumb.toml", "row_check_timeout = \"0s\"\n");
    Bench::work(async |bench| {
        let database = bench.create().await;
        let session = server::session(&database).await;
        let fill = format!(
            "INSERT INTO owners SELECT generate_series(0, 999); \
             INSERT INTO big SELECT n, n % 1000, md5(n::text) || n, n % 100 FROM generate_series(0, {rows} - 1) n; ANALYZE; CHECKPOINT"
        );
        session.client.batch_execute(&script(NONE)).await.unwrap();
        session.client.batch_execute(&fill).await.unwrap();
        session.close().await;
        println!("{rows} rows, two readers and two writers, PostgreSQL {}\n", server::server().version / 10_000);
        println!("| change | direct: longest wait | applied in | online: longest wait | applied in |");
        println!("| --- | ---: | ---: | ---: | ---: |");
        for change in CHANGES.iter().filter(|c| c.name.contains(&word)) {
            let [direct, online] = ["never", "always"].map(|online| run(&place, &database, change, rows, online));
            let times = [direct.0, direct.1, online.0, online.1].map(|t| format!("{:.2} s", t.as_secs_f64()));
            println!("| {} | {} |", change.name, times.join(" | "));
        }
    });
    drop(place);
    server::cleanup();
}
