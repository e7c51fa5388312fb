use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::source::files::File;

fn files() -> Files {
    let users = "CREATE TABLE public.users (\n    id    uuid PRIMARY KEY,\n    email citext NOT NULL UNIQUE,\n    \u{1b}[31mred text\n);\n";
    let orders = "CREATE TABLE orders (\n    id uuid,\n    total money_amount\n);\n\nCREATE TABLE public.users (id int);\n";
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    Files(vec![file("schema/orders.sql", orders), file("schema/users.sql", users)])
}

fn place(files: &Files, file: usize, word: &str) -> Place {
    let start = files.0[file].text.find(word).expect("the word");
    Place::new(file, start..start + word.len())
}

fn problems() -> Problems {
    let files = files();
    let unknown = |file: usize, word: &str| {
        let label = "no type of this name in any schema on the search path";
        Problem::at("source::unknown_type", place(&files, file, word), format!("type \"{word}\" does not exist"), label)
    };
    let mut twice = Problem::at(
        "source::duplicate",
        Place::new(0, files.0[0].text.find("CREATE TABLE public").expect("it")..files.0[0].text.len()),
        "table public.users is created twice",
        "created again here",
    );
    twice.also.push((place(&files, 1, "CREATE TABLE public.users ("), "first created here".into()));
    let list = vec![
        unknown(1, "citext").help("citext is an extension that the shadow server has: add\nCREATE EXTENSION citext;\nto schema/, for instance in schema/extensions.sql"),
        unknown(0, "money_amount").help("did you mean public.amount?"),
        twice,
    ];
    Problems::new(&files, list)
}

fn all(reports: &[Report]) -> String {
    reports.iter().map(|r| render(r, false, 100)).collect::<Vec<_>>().join("\n")
}

#[test]
fn errors_in_the_files_are_underlined() {
    let problems = problems();
    let shown = all(&source_problems(&problems)) + "\n" + &count(&problems) + "\n";
    assert!(!shown.contains('\u{1b}'));
    insta::assert_snapshot!(shown);
}

#[test]
fn errors_in_colour() {
    let shown = render(&source_problems(&problems())[0], true, 100);
    assert!(shown.contains('×') && shown.contains("\u{1b}["), "{shown}");
    assert!(!shown.contains("\u{1b}[31mred text"), "the file's own escape is not passed on");
}

#[test]
fn what_follows_is_counted() {
    let mut problems = problems();
    assert_eq!(count(&problems), "3 errors in 2 files. Nothing was planned.");
    problems.following = problems.list.split_off(1);
    assert_eq!(count(&problems), "1 error in 1 file and 2 more that follow from it. Nothing was planned.");
}

#[test]
fn a_wrong_key_is_underlined_and_no_password_is_shown() {
    let text = "schma = \"db\"\n[env.a]\nurl = \"postgresql://deploy:s3cret@x/app\"\n";
    let shown = render(&config(&crate::config::read("plumb.toml", text).expect_err("an error")), false, 100);
    insta::assert_snapshot!(shown);
    let text = "shadow = true\n[env.a]\nurl = \"host=x password='s3 cret'\"\nulr = \"postgresql://u:s3@cret/x@h/d\"\n";
    let error = crate::config::read("plumb.toml", text).expect_err("an error");
    assert!(!render(&config(&error), false, 100).contains("cret"));
    assert!(!without_passwords(text).contains("cret"), "{}", without_passwords(text));
    assert_eq!(without_passwords(text).len(), text.len());
}

#[test]
fn other_errors_read_well() {
    let place = crate::pg::Place { host: "db.internal".into(), database: "app".into(), user: "deploy".into() };
    let reports = [
        connect(&ConnectError::WrongPassword { place, given: true }),
        refused("policies", "42501", "permission denied for table pg_statistic_ext_data"),
        cycle(&Cycle {
            altered: Vec::new(),
            sentences: vec![
                "creating view public.a comes before creating view public.b: view public.b uses view public.a".into(),
                "creating view public.b comes before creating view public.a: view public.a uses view public.b".into(),
            ],
        }),
        plan(&PlanError::Tampered { stated: "7f3a9c1e".into(), found: "11c0ffee".into() }),
    ];
    insta::assert_snapshot!(all(&reports));
}

#[test]
fn a_session_that_was_ended_is_no_bug() {
    let help = |code| all(&[refused("the snapshot", code, "no")]);
    for (code, said) in [
        ("57014", "statement_timeout"),
        ("57P01", "its log says why"),
        ("25P03", "heard nothing"),
        ("57P05", "heard nothing"),
        ("53200", "not enough left"),
        ("42601", "a bug of plumb"),
    ] {
        let text = help(code);
        assert!(text.contains(said) && text.matches("help:").count() == 1, "{code}: {text}");
    }
}

/// Every code that stands in the sources. One with a `-` has no section, so that this way of writing does not come back.
fn codes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            codes(&path, found);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") || path.to_string_lossy().contains("tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the file");
        let written = text.split('"').filter(|word| {
            let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || "_-".contains(c));
            word.split_once("::").is_some_and(|(a, b)| plain(a) && plain(b))
        });
        found.extend(written.map(str::to_owned));
    }
}

#[test]
fn every_code_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut written = BTreeSet::new();
    codes(&root.join("src"), &mut written);
    let docs = std::fs::read_to_string(root.join("docs/errors.md")).expect("docs/errors.md");
    let explained: BTreeSet<String> = docs.lines().filter_map(|l| l.strip_prefix("## ")).map(str::to_owned).collect();
    let missing: Vec<_> = written.difference(&explained).collect();
    let stale: Vec<_> = explained.difference(&written).collect();
    assert!(missing.is_empty() && stale.is_empty(), "without a section: {missing:?}; without a use: {stale:?}");
    assert!(explained.iter().collect::<Vec<_>>().is_sorted(), "sections in the order of codes");
}
