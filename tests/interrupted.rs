//! Nothing is left behind, in whatever way plumb ends: the real binary, and signals at many moments.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::pg::lock;
use rustix::process::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use support::command::{finish, url};
use support::desk::{TABLE, desk, signal, until, waits};
use support::random::Random;

#[test]
fn interrupted_applies() {
    desk("ctrlc", async |d| {
        d.sql("CREATE TABLE users (id bigint PRIMARY KEY)").await;
        d.place.write("schema/users.sql", "CREATE TABLE aaa (id int);\nCREATE TABLE users (id bigint PRIMARY KEY, name text);\n");
        d.exits(2, "plan --db $DB --out plan.json");
        for name in [Signal::INT, Signal::TERM, Signal::KILL] {
            d.sql("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await;
            let apply = d.start("apply plan.json --db $DB --lock-timeout 3s");
            waits(d).await;
            signal(apply.id(), name);
            let apply = finish(apply);
            assert_eq!(apply.exit, if name == Signal::KILL { -1 } else { 130 }, "{name:?}: {apply:?}");
            d.sql("COMMIT").await;
            until("its session ends", async || lock::holder(&d.session.client).await.unwrap().is_none()).await;
            assert_eq!(d.number("SELECT count(*) FROM pg_class WHERE relname = 'aaa'").await, 0, "{name:?}");
        }
        d.exits(0, "apply plan.json --db $DB");
    });
}

/// Directories of a shadow that process `pid` made, and processes that mention `place`.
fn left_behind(place: &Path, pid: u32) -> Vec<String> {
    let mut found = Vec::new();
    for folder in [place, Path::new("/dev/shm"), Path::new("/tmp")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = folder == place && name != "schema" || name.starts_with(&format!("plumb-shadow-{pid}-"));
            found.extend(own.then(|| entry.path().display().to_string()));
        }
    }
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(&*place.to_string_lossy()) || words.contains(&format!("plumb-shadow-{pid}-")) {
            found.push(words);
        }
    }
    found
}

fn assert_nothing_left(place: &Path, pid: u32, what: &str) {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let found = left_behind(place, pid);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < limit, "{what}: {found:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Moments in the life of a plan, in milliseconds.
const MOMENTS: &[u64] = &[5, 25, 60, 100, 160, 250, 350, 500, 700];

#[test]
fn no_shadow_is_left_behind() {
    desk("left", async |d| {
        d.place.write("schema/users.sql", TABLE);
        for line in ["plan --db $DB --out -", "plan --db $DB --out - --schema nowhere", "check"] {
            let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &d.db)).collect();
            let child = d.place.command(&words).env("TMPDIR", d.place.path()).spawn().unwrap();
            let pid = child.id();
            finish(child);
            assert_nothing_left(d.place.path(), pid, line);
        }
        for name in [Signal::INT, Signal::TERM, Signal::KILL] {
            for moment in MOMENTS {
                let child =
                    d.place.command(&["plan", "--out", "-", "--db", &d.db]).env("TMPDIR", d.place.path()).spawn().unwrap();
                let pid = child.id();
                std::thread::sleep(Duration::from_millis(*moment));
                signal(pid, name);
                let done = finish(child);
                assert!(*moment < 30 || [130, 2, -1].contains(&done.exit), "{name:?} at {moment} ms: {done:?}");
                assert!(name == Signal::KILL || *moment < 30 || done.exit != -1, "{name:?} at {moment} ms is not handled");
                assert_nothing_left(d.place.path(), pid, &format!("{name:?} at {moment} ms"));
            }
        }
    });
}

#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let (mut random, seed) = Random::seeded();
    println!("PLUMB_SEED={seed}");
    desk("kills", async |d| {
        d.place.write("schema/users.sql", TABLE);
        for _ in 0..40 {
            let child = d.place.command(&["check"]).env("TMPDIR", d.place.path()).spawn().unwrap();
            let (pid, moment) = (child.id(), random.below(400_000));
            std::thread::sleep(Duration::from_micros(moment as u64));
            signal(pid, Signal::KILL);
            finish(child);
            assert_nothing_left(d.place.path(), pid, &format!("KILL after {moment} microseconds"));
        }
    });
}

#[test]
fn nothing_is_left_on_the_target() {
    desk("target", async |d| {
        let files = format!("{TABLE}GRANT SELECT ON users TO left_over_reader;\n");
        d.place.write("schema/users.sql", &files);
        d.place.write("broken/users.sql", "CREATE TABLE t (x no_such_type);\n");
        let query = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'plumb%') + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'left_over%')";
        for shadow in ["target", &url("template1")] {
            d.exits(2, &format!("plan --db $DB --out - --shadow {shadow}"));
            assert_eq!(d.number(query).await, 0, "{shadow}: after its end");
            d.exits(1, &format!("plan --db $DB --schema broken --shadow {shadow}"));
            assert_eq!(d.number(query).await, 0, "{shadow}: after an error");
            for name in [Signal::INT, Signal::TERM] {
                for moment in MOMENTS {
                    let child = d.start(&format!("plan --db $DB --out - --shadow {shadow}"));
                    std::thread::sleep(Duration::from_millis(*moment));
                    signal(child.id(), name);
                    let done = finish(child);
                    let what = format!("{shadow}: {name:?} at {moment} ms: {done:?}");
                    until(&what, async || d.number(query).await == 0).await;
                }
            }
        }
    });
    the_next_plumb_removes_what_a_killed_one_left();
}

/// Not a test of its own: beside [`nothing_is_left_on_the_target`] it would see that one's databases.
fn the_next_plumb_removes_what_a_killed_one_left() {
    desk("killed", async |d| {
        d.place.write("schema/users.sql", &format!("{TABLE}GRANT SELECT ON users TO swept_reader;\n"));
        let left = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'plumb\\_scratch%') + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'swept%')";
        let mut found = 0;
        let other = d.bench.create().await;
        for shadow in ["target", &url(&other)] {
            for moment in MOMENTS {
                let child = d.start(&format!("plan --db $DB --out - --shadow {shadow}"));
                std::thread::sleep(Duration::from_millis(*moment));
                signal(child.id(), Signal::KILL);
                finish(child);
                // The server finishes the statement that it was at.
                let sessions = format!(
                    "SELECT count(*) FROM pg_stat_activity \
                      WHERE application_name = 'plumb' AND pid <> pg_backend_pid() \
                        AND (datname IN (current_database(), '{other}') OR datname LIKE 'plumb%')"
                );
                until("its sessions end", async || d.number(&sessions).await == 0).await;
                found += d.number(left).await;
                d.exits(2, &format!("plan --db $DB --out - --shadow {shadow}"));
                assert_eq!(d.number(left).await, 0, "{shadow}: KILL at {moment} ms");
            }
        }
        println!("{found} databases and roles were left and removed");
    });
}
