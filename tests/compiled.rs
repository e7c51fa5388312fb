//! The wanted schema that files make is kept for the next drift, under everything that made it.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use support::command::{Done, finish};
use support::desk::{Desk, desk};

const KEPT: &str = "the wanted schema was kept by an earlier command";

/// A cache of one's own that the server's user can come to.
struct Cache(PathBuf);

impl Cache {
    fn new(name: &str) -> Cache {
        let path = PathBuf::from(format!("/tmp/plumb-cache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Cache(path)
    }

    fn run(&self, d: &Desk<'_>, line: &str) -> Done {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$DB", &d.db)).collect();
        finish(d.place.command(&words).env("PLUMB_CACHE", &self.0).spawn().unwrap())
    }

    /// The drift, and whether the wanted schema was kept.
    fn drift(&self, d: &Desk<'_>, more: &str) -> (Done, bool) {
        let done = self.run(d, &format!("drift --db $DB --format json -v{more}"));
        let kept = done.stderr.contains(KEPT);
        assert_eq!(kept, !done.stderr.contains("into the shadow"), "{}", done.stderr);
        (done, kept)
    }

    fn parts(&self, part: &str) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.0.join("compiled")).unwrap().map(|e| e.unwrap().path());
        all.filter(|p| p.extension().is_some_and(|e| e == part)).collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

const HOSTILE: &str = "CREATE TABLE \"Sélect\"\"; --\" (\n    id bigint PRIMARY KEY,\n\n    name text NOT NULL\n);\n";

#[test]
fn the_second_drift_loads_nothing_and_says_the_same() {
    desk("compiled", async |d| {
        let cache = Cache::new("same");
        d.place.write("schema/a.sql", &format!("{HOSTILE}CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a';\n"));
        let (first, kept) = cache.drift(d, "");
        assert!(!kept && first.exit == 2, "{}", first.stderr);
        assert!(first.stdout.contains("a.sql"), "where things are defined is said: {}", first.stdout);
        let (second, kept) = cache.drift(d, "");
        assert!(kept, "{}", second.stderr);
        assert_eq!((first.exit, first.stdout), (second.exit, second.stdout));
        // a plan that is to be proven loads the files, and a drift after it is quiet
        let plan = cache.run(d, "apply --db $DB --yes -v");
        assert!(plan.exit == 0 && plan.stderr.contains("into the shadow"), "{}{}", plan.stdout, plan.stderr);
        let (quiet, kept) = cache.drift(d, "");
        assert!(kept && quiet.exit == 0, "{}{}", quiet.stdout, quiet.stderr);
        d.sql("ALTER FUNCTION f(int) SECURITY DEFINER").await;
        let (loud, kept) = cache.drift(d, "");
        assert!(kept && loud.exit == 2 && loud.stdout.contains("security"), "{}{}", loud.stdout, loud.stderr);
    });
}

#[test]
fn whatever_makes_another_schema_is_loaded() {
    desk("compiledkey", async |d| {
        let cache = Cache::new("key");
        d.place.write("schema/a.sql", "CREATE TABLE t (a int);\n");
        assert!(!cache.drift(d, "").1);
        assert!(cache.drift(d, "").1);
        let anew = |why: &str, more: &str| {
            let (done, kept) = cache.drift(d, more);
            assert!(!kept, "{why}");
            assert!(cache.drift(d, more).1, "{why}: kept from then on");
            done
        };
        d.place.write("schema/a.sql", "CREATE TABLE t (a bigint);\n");
        assert!(anew("a file is another", "").stdout.contains("t"));
        d.place.write("schema/b.sql", "CREATE TABLE u (a bigint);\n");
        anew("there is one more", "");
        std::fs::remove_file(d.place.path().join("schema/b.sql")).unwrap();
        assert!(cache.drift(d, "").1, "what was before is there still");
        let server = format!("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'", d.database);
        d.sql(&server).await;
        let anew = |why: &str, more: &str| {
            let (_, kept) = cache.drift(d, more);
            assert!(!kept, "{why}");
        };
        anew("literals of timestamptz fold with the time zone", "");
        d.place.write("plumb.toml", "owner = \"other\"\n");
        anew("the owner is another", "");
        d.place.write("plumb.toml", "[screen]\nallow_do = true\n");
        anew("what the files may do is another", "");
    });
}

#[test]
fn what_is_damaged_is_made_anew_and_errors_are_not_kept() {
    desk("compiledbad", async |d| {
        let cache = Cache::new("damaged");
        d.place.write("schema/a.sql", "CREATE TABLE t (a no_such_type);\n");
        for _ in 0..2 {
            let failed = cache.run(d, "drift --db $DB");
            assert!(failed.exit == 1 && failed.stderr.contains("schema/a.sql:1:"), "{}", failed.stderr);
        }
        d.place.write("schema/a.sql", "CREATE TABLE t (a int);\n");
        let (good, kept) = cache.drift(d, "");
        assert!(!kept);
        for part in ["catalog", "loaded"] {
            for path in cache.parts(part) {
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
            let (again, kept) = cache.drift(d, "");
            assert!(!kept, "{part}");
            assert_eq!(good.stdout, again.stdout);
            assert!(cache.drift(d, "").1);
        }
    });
}

/// `varchar IN (...)` is deparsed in one way, and in another after it was loaded from that.
#[test]
fn texts_that_mean_the_same_are_asked_about_once() {
    desk("compiledsettle", async |d| {
        let cache = Cache::new("settled");
        let table = "CREATE TABLE t (a varchar(10), CONSTRAINT c CHECK (a IN ('x', 'y')));\n";
        d.place.write("schema/a.sql", table);
        d.sql(table).await;
        let deparsed = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c'";
        let text: String = d.session.client.query_one(deparsed, &[]).await.unwrap().get(0);
        d.sql(&format!("ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c {text}")).await;
        let settles = |done: &Done| done.stderr.contains("settling");
        let (first, _) = cache.drift(d, "");
        assert!(first.exit == 0 && settles(&first), "{}{}", first.stdout, first.stderr);
        let (second, kept) = cache.drift(d, "");
        assert!(kept && second.exit == 0 && !settles(&second), "{}{}", second.stdout, second.stderr);
        d.sql("ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a IN ('x', 'z'))").await;
        let (third, _) = cache.drift(d, "");
        assert_eq!(third.exit, 2, "{}{}", third.stdout, third.stderr);
    });
}

#[test]
fn what_was_the_same_once_is_believed_of_that_schema_and_scope_only() {
    desk("compiledsame", async |d| {
        let cache = Cache::new("samelive");
        let tables = "CREATE SCHEMA a;\nCREATE TABLE a.t (x int);\nCREATE SCHEMA b;\nCREATE TABLE b.t (x int);\n";
        d.place.write("schema/a.sql", tables);
        d.sql(tables).await;
        d.sql("ALTER TABLE b.t ADD COLUMN y int; CREATE SCHEMA beside; CREATE TABLE beside.t (x int)").await;
        let drift = |more: &str| cache.drift(d, more).0;
        assert_eq!(drift("").exit, 2);
        assert!(cache.parts("same").is_empty(), "something differs");
        assert_eq!(drift(" --scope a").exit, 0);
        assert_eq!(cache.parts("same").len(), 1);
        // The live schema is the same again, but more of it is asked for.
        assert_eq!(drift("").exit, 2, "what a narrow scope left out is no secret");
        d.sql("ALTER TABLE b.t DROP COLUMN y").await;
        let first = drift("");
        let second = drift("");
        assert_eq!((first.exit, &first.stdout), (0, &second.stdout));
        let told = |more: &str| {
            let done = cache.run(d, &format!("drift --db $DB -v -v{more}"));
            (done.stdout.split(", ").next().unwrap().to_owned(), done.stderr.contains("same=true"))
        };
        let (text, same) = told("");
        assert!(same && text.contains("No drift"), "{text}");
        // What lies outside is told as ever, and what nobody compares makes no difference.
        assert!(cache.run(d, "drift --db $DB").stdout.contains("beside"));
        for (change, back) in [
            ("ALTER TABLE b.t ENABLE ROW LEVEL SECURITY", "ALTER TABLE b.t DISABLE ROW LEVEL SECURITY"),
            ("GRANT SELECT ON a.t TO PUBLIC", "REVOKE SELECT ON a.t FROM PUBLIC"),
            ("CREATE OPERATOR a.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)", "DROP OPERATOR a.=== (int, int)"),
        ] {
            d.sql(change).await;
            assert!(!told("").1, "{change}");
            let done = cache.run(d, "drift --db $DB");
            assert!(done.exit == 2 || done.stdout.contains("==="), "{change}: {}", done.stdout);
            d.sql(back).await;
        }
        assert_eq!(drift("").exit, 0);
        d.place.write("schema/a.sql", &tables.replace("CREATE TABLE b.t (x int)", "CREATE TABLE b.t (x bigint)"));
        assert_eq!(drift("").exit, 2, "other files are another schema");
    });
}
