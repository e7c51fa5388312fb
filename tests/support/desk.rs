//! A place to use plumb at as people do: a folder, an empty database, and somebody else's session in it.

use super::command::{Done, Place, finish, url};
use super::{Bench, server};
use plumb::pg::Session;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const TABLE: &str = "CREATE TABLE users (\n    id bigint PRIMARY KEY,\n    name text NOT NULL\n);\n";

/// A folder, a database with the same name's purpose, and somebody else's session in it.
pub struct Desk<'a> {
    pub bench: &'a Bench,
    pub place: Place,
    pub database: String,
    pub session: Session,
    pub db: String,
}

pub fn desk(name: &str, work: impl AsyncFnOnce(&Desk)) {
    Bench::work(async |bench| {
        let database = bench.create().await;
        let session = server::session(&database).await;
        let db = url(&database);
        let desk = Desk { bench, place: Place::new(name), database, session, db };
        work(&desk).await;
        desk.session.close().await;
    });
}

impl Desk<'_> {
    pub fn run(&self, line: &str) -> Done {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &self.db)).collect();
        self.place.plumb(&words)
    }

    pub fn start(&self, line: &str) -> std::process::Child {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &self.db)).collect();
        self.place.spawn(&words)
    }

    /// Runs it and insists on its exit code.
    pub fn exits(&self, exit: i32, line: &str) -> Done {
        let done = self.run(line);
        assert_eq!(done.exit, exit, "plumb {line}\n{}{}", done.stdout, done.stderr);
        done
    }

    pub async fn sql(&self, sql: &str) {
        self.session.client.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {}", server::message(&e)));
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.session.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// Sessions of others in the database.
const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Kills a plumb, and waits until the server has noticed.
pub async fn killed(d: &Desk<'_>, plumb: std::process::Child) {
    signal(plumb.id(), Signal::KILL);
    finish(plumb);
    until("its session ends", async || d.number(OTHERS).await == 0).await;
}

/// Somebody else who writes, in a session and a thread of his own: one message right after the other, until told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Writer {
    /// `sql` gives the message of each number.
    pub fn new(database: &str, sql: impl Fn(i64) -> String + Send + 'static) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let (database, stopped) = (database.to_owned(), Arc::clone(&stop));
        let work = async move || {
            let session = server::session(&database).await;
            let mut written = 0;
            while !stopped.load(Ordering::Relaxed) {
                session.client.batch_execute(&sql(written)).await.unwrap_or_else(|e| panic!("{}", server::message(&e)));
                written += 1;
            }
            session.close().await;
            written
        };
        Writer { stop, thread: std::thread::spawn(move || server::runtime().block_on(work())) }
    }

    /// Stops it; how many messages there were. One that the server refused fails the test.
    pub fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Waits until plumb waits for a lock of a table.
pub async fn waits(d: &Desk<'_>) {
    let query = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()";
    // In a transaction the server shows the sessions as they were when they were first asked for, be it for another database's sake.
    until("it waits for a lock", async || {
        d.sql("SELECT pg_stat_clear_snapshot()").await;
        d.number(query).await > 0
    })
    .await;
}

pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(120);
    while !done().await {
        assert!(Instant::now() < limit, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends a signal; machines without the package procps have no program for that.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("the process runs");
}
