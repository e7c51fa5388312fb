//! The copy of a large live schema is kept for the next plan, under what it is a copy of, and is never trusted.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use plumb::plan::{Plan, Proof, read};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use support::command::{Done, finish};
use support::desk::{Desk, desk};

const KEPT: &str = "the copy of the live schema was kept by an earlier plan";
const THROWN_AWAY: &str = "the copy that was kept is thrown away";

/// So many tables that a copy of them is worth being kept.
fn tables() -> String {
    let columns: String = (0..20).map(|n| format!(", c{n} text")).collect();
    (0..100).fold(String::new(), |mut all, n| {
        writeln!(all, "CREATE TABLE t{n} (id bigint PRIMARY KEY{columns}, CHECK (c0 <> ''));").unwrap();
        all
    })
}

struct Cache(PathBuf);

impl Cache {
    /// What is kept, in order.
    fn copies(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.join("copy")).unwrap().map(|e| e.unwrap().path());
        let mut copies: Vec<PathBuf> = entries.filter(|p| !p.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
        copies.sort();
        copies
    }

    fn command(&self, d: &Desk<'_>) -> std::process::Command {
        let mut command =
            d.place.command(&["plan", "--db", &d.db, "--schema", "schema.sql", "--format", "json", "--out", "-", "-v"]);
        command.env("PLUMB_CACHE", &self.0);
        command
    }

    /// A plan, which has to be proven.
    fn plan(&self, d: &Desk<'_>) -> Done {
        proven(finish(self.command(d).spawn().unwrap()))
    }
}

fn proven(done: Done) -> Done {
    assert_eq!(done.exit, 2, "{}{}", done.stdout, done.stderr);
    let plan: Plan = read(&done.stdout).unwrap();
    assert!(matches!(plan.proof, Proof::Equal { .. }), "{:?}\n{}", plan.proof, done.stderr);
    assert!(plan.steps().all(|s| s.observed), "every step was seen");
    done
}

fn says(done: &Done, words: &str) -> bool {
    done.stderr.contains(words)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { files(&p) } else { vec![p] }).collect()
}

#[test]
fn a_copy_is_kept_for_what_it_is_a_copy_of() {
    desk("kept", async |d| {
        // Open to the server's user, as a cache folder is.
        std::fs::set_permissions(d.place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let cache = Cache(d.place.path().join("cache"));
        d.sql(&tables()).await;
        d.place.write("schema.sql", &(tables() + "CREATE TABLE more (id bigint PRIMARY KEY REFERENCES t1);"));
        let first = cache.plan(d);
        assert!(!says(&first, KEPT), "{}", first.stderr);
        let kept = cache.copies();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].metadata().unwrap().permissions().mode() & 0o777, 0o700, "nobody else looks into it");
        let second = cache.plan(d);
        assert!(says(&second, KEPT), "{}", second.stderr);
        assert_eq!(first.stdout.split("\"observed\": {").next(), second.stdout.split("\"observed\": {").next(), "the same plan");

        // Another schema is another copy.
        d.sql("ALTER TABLE t7 ADD other text").await;
        let other = cache.plan(d);
        assert!(!says(&other, KEPT), "{}", other.stderr);
        let both = cache.copies();
        assert_eq!(both.len(), 2);
        assert!(says(&cache.plan(d), KEPT));

        // A copy of something else in its place is found out, and made anew.
        let own = both.iter().find(|p| **p != kept[0]).unwrap();
        std::fs::remove_dir_all(own).unwrap();
        std::fs::rename(&kept[0], own).unwrap();
        let exchanged = cache.plan(d);
        assert!(says(&exchanged, THROWN_AWAY) && says(&exchanged, "t7.other"), "{}", exchanged.stderr);
        assert_eq!(cache.copies(), std::slice::from_ref(own));
        assert!(says(&cache.plan(d), KEPT));

        // A damaged one is thrown away, whatever of it is damaged.
        let databases = std::fs::read_dir(own.join("base")).unwrap().map(|e| e.unwrap().path());
        let database = databases.max_by_key(|p| files(p).len()).unwrap();
        let largest = files(&database).into_iter().max_by_key(|p| p.metadata().unwrap().len()).unwrap();
        for damaged in [own.join("global/pg_control"), largest] {
            std::fs::write(&damaged, [0x55; 8192]).unwrap();
            let done = cache.plan(d);
            assert!(says(&done, THROWN_AWAY) && !says(&done, KEPT), "{}: {}", damaged.display(), done.stderr);
            assert_eq!(cache.copies(), std::slice::from_ref(own));
            assert!(says(&cache.plan(d), KEPT));
        }
    });
}

#[test]
fn plans_at_once_do_not_disturb_each_other() {
    desk("kept2", async |d| {
        std::fs::set_permissions(d.place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let cache = Cache(d.place.path().join("cache"));
        d.sql(&tables()).await;
        d.place.write("schema.sql", &(tables() + "CREATE TABLE more (id bigint PRIMARY KEY REFERENCES t1);"));
        for round in 0..2 {
            let running: Vec<_> = (0..3).map(|_| cache.command(d).spawn().unwrap()).collect();
            let done: Vec<Done> = running.into_iter().map(|child| proven(finish(child))).collect();
            assert!(round == 0 || done.iter().all(|d| says(d, KEPT)), "{}", done[0].stderr);
            assert_eq!(cache.copies().len(), 1);
        }
        assert!(!files(&cache.0.join("copy")).iter().any(|p| p.to_string_lossy().contains(".new/")), "nothing half made is left");
    });
}
