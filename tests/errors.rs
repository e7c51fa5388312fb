//! Golden errors: `fixtures/errors/<code>/{run.txt, expected.txt[, setup.sql, schema/, plumb.toml, ...]}`.
//!
//! Each folder is copied to a place of its own, next to an empty database that `setup.sql` fills. `run.txt` says what happens,
//! a line each: `plumb ARGUMENTS` runs the real binary; `sql STATEMENTS` changes the database as somebody else; `lock` holds
//! plumb's advisory lock from then on; `edit FILE: FROM => TO` changes a file; `bytes FILE: HEX` writes one. In it, `$DB` is the
//! database's URL, `$SOCKET` the server's directory and `$NAME` the database. `expected.txt` holds what every plumb that did
//! not end with 0 or 2 wrote on standard error, and its exit code. `PLUMB_BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use support::{Bench, command, server};

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/errors");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let trial = |folder: PathBuf| {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        Trial::test(name.clone(), move || check(&name, &folder).map_err(Failed::from))
    };
    let trials = folders.into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    server::cleanup();
    conclusion.exit();
}

fn check(name: &str, folder: &Path) -> Result<(), String> {
    let place = command::Place::new(name);
    copy(folder, place.path());
    let shown = Bench::work(async |bench| run(bench, folder, &place).await);
    let golden = folder.join("expected.txt");
    if std::env::var_os("PLUMB_BLESS").is_some() {
        std::fs::write(&golden, &shown).unwrap();
        return Ok(());
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    if expected == shown {
        return Ok(());
    }
    Err(format!(
        "{} is not what is shown:\n{}",
        golden.display(),
        similar::TextDiff::from_lines(&expected, &shown).unified_diff()
    ))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_name().to_str().unwrap() {
            "run.txt" | "expected.txt" | "setup.sql" => {}
            _ if entry.path().is_dir() => copy(&entry.path(), &target),
            _ => _ = std::fs::copy(entry.path(), target).unwrap(),
        }
    }
}

async fn run(bench: &Bench, folder: &Path, place: &command::Place) -> String {
    let database = bench.create().await;
    let session = server::session(&database).await;
    if let Ok(setup) = std::fs::read_to_string(folder.join("setup.sql")) {
        session.client.batch_execute(&setup).await.unwrap_or_else(|e| panic!("setup.sql: {}", server::message(&e)));
    }
    let socket = command::socket();
    let filled =
        |text: &str| text.replace("$DB", &command::url(&database)).replace("$NAME", &database).replace("$SOCKET", &socket);
    let mut shown = String::new();
    let script = std::fs::read_to_string(folder.join("run.txt")).unwrap();
    if script.contains("scram_role") {
        command::scram(&session, "scram_role", "right").await;
    }
    for line in script.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (file, change) = rest.split_once(": ").unwrap_or((rest, ""));
        match verb {
            "plumb" => {
                let words = rest.replace("\\ ", "\0").split(' ').map(|w| filled(&w.replace('\0', " "))).collect::<Vec<_>>();
                let done = place.plumb(&words);
                if ![0, 2].contains(&done.exit) {
                    shown += &format!("$ plumb {rest}\n{}[exit {}]\n", done.stderr, done.exit);
                }
            }
            "sql" => {
                session.client.batch_execute(&filled(rest)).await.unwrap_or_else(|e| panic!("{line}: {}", server::message(&e)))
            }
            "lock" => assert!(plumb::pg::lock::try_lock(&session.client).await.unwrap()),
            "edit" => {
                let text = std::fs::read_to_string(place.path().join(file)).unwrap();
                let (from, to) = change.split_once(" => ").unwrap();
                assert!(text.contains(from), "{line}: it is not there");
                std::fs::write(place.path().join(file), text.replacen(from, to, 1)).unwrap();
            }
            "bytes" => {
                let bytes = change.split(' ').map(|b| u8::from_str_radix(b, 16).unwrap()).collect::<Vec<_>>();
                std::fs::write(place.path().join(file), bytes).unwrap();
            }
            _ => panic!("run.txt: {line}"),
        }
    }
    session.close().await;
    normalised(&shown, place.path(), &socket, &database)
}

/// Fingerprints tell nothing here and change with every release.
fn without_fingerprints(text: &str) -> String {
    let hex = |w: &str, n: usize| w.len() == n && w.bytes().all(|b| b.is_ascii_hexdigit());
    let mut before = "";
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|w| {
            let word = w.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let short = ["id", "content"].contains(&std::mem::replace(&mut before, word)) && hex(word, 8);
            if short || hex(word, 64) { format!("SHA256{}", &w[word.len()..]) } else { w.to_owned() }
        })
        .collect()
}

/// Without what differs from run to run: places, the database's name, process ids, times and the server's version.
fn normalised(text: &str, place: &Path, socket: &str, database: &str) -> String {
    let text = without_fingerprints(&unwrapped(text)).replace(&place.display().to_string(), "HERE").replace(socket, "SOCKET");
    let text = words(&text, |word| word == database, "DATABASE");
    let mut shown = String::new();
    for line in text.lines() {
        let line = after(line, "PostgreSQL ", "VERSION", |c| c.is_ascii_digit() || c == '.');
        let line = after(&line, "pid ", "N", |c| c.is_ascii_digit());
        let line = after(&line, "connected since ", "TIME", |c| c.is_ascii_digit() || "-: UTC".contains(c));
        shown += line.trim_end();
        shown.push('\n');
    }
    shown
}

/// Without line breaks that are there only because a line was full: where it is full depends on process ids and paths.
fn unwrapped(text: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    for line in text.lines() {
        let rest = line.strip_prefix("  | ").or(line.strip_prefix("        "));
        let word = rest.and_then(|r| r.split([' ', '-']).next()).unwrap_or_default();
        match rest {
            Some(rest) if !word.is_empty() && length + 1 + word.chars().count() > 97 => {
                out.pop();
                out += if out.ends_with('-') { "" } else { " " };
                out += rest;
            }
            _ => out += line,
        }
        out.push('\n');
        length = line.chars().count();
    }
    out
}

/// Replaces whole words.
fn words(text: &str, is: impl Fn(&str) -> bool, by: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        out += if is(&word) { by } else { &word };
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// Replaces what follows `mark`, as long as it is of those characters and begins with a digit.
fn after(line: &str, mark: &str, by: &str, of: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(mark) {
        let start = at + mark.len();
        let end = rest[start..].find(|c| !of(c)).map_or(rest.len(), |n| start + n);
        let found = rest[start..].starts_with(|c: char| c.is_ascii_digit());
        out += &rest[..start];
        out += if found { by } else { &rest[start..end] };
        rest = &rest[end..];
    }
    out + rest
}
