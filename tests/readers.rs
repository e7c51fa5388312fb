//! Whatever stands in a file, reading it ends in a value or an error: no panic, no hang, no memory without bounds.
//!
//! Inputs are what stands in `fixtures/`, `schema/` and `plans/`, changed at random, and random bytes. The seed is fixed, so that a failure
//! comes again; each reader has as many inputs as `PLUMB_FUZZ` says (200 by default), and `PLUMB_FUZZ_SEED` begins elsewhere.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use plumb::catalog::{Catalog, Id, Object, read_snapshot, write_snapshot};
use plumb::source::{Files, Policy, lexer, read, split};
use plumb::{config, plan};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The stack that plumb runs on.
const STACK: usize = 1 << 30;

/// What one input may take.
const SLOW: Duration = Duration::from_secs(20);

/// What the process may take of memory at most, with all that its tests do at once.
const MEMORY: u64 = 3 << 30;

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn corpus(ending: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    ["fixtures", "schema", "plans", "examples"].iter().for_each(|f| files(&root.join(f), ending, &mut found));
    let texts: Vec<String> = found.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    texts.into_iter().filter(|text| text.len() < 200_000).collect()
}

/// What readers stumble over.
const NASTY: &[&str] = &[
    "'",
    "\"",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    ";",
    "\\",
    "\\.",
    "\n\\.\n",
    "(",
    ")",
    "[",
    "{",
    "}",
    "]",
    ",",
    ":",
    "E'",
    "U&'",
    "u&\"",
    "\u{0}",
    "\u{feff}",
    "\u{2003}",
    "é",
    "\u{1f600}",
    "begin",
    "end",
    "begin atomic",
    "case",
    "create function",
    "copy t from stdin;",
    "-- plumb: ",
    "-- plumb: ignore x until 2027-01-31: y\n",
    "-- plumb: renamed from\n",
    "with no data",
    "concurrently",
    "tablespace",
    "owner to",
    "\r",
    "set search_path = ",
    "set_config('search_path', '",
    "1e999",
    "-1",
    "18446744073709551616",
    "null",
    "\"format\":",
    "\"id\":",
    "[env.x]",
    "${",
    "}",
];

/// One change: what is done, where, how much, and with which other thing.
type Change = (u8, prop::sample::Index, prop::sample::Index, prop::sample::Index);

fn changed(mut text: Vec<u8>, changes: &[Change], corpus: &[String]) -> String {
    for (what, from, to, other) in changes {
        let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let to = to.min(from + 2_000);
        let part = text[from..to].to_vec();
        let new: Vec<u8> = match what % 7 {
            0 => Vec::new(),
            1 => part.repeat(2),
            2 => NASTY[other.index(NASTY.len())].as_bytes().to_vec(),
            3 => NASTY[other.index(NASTY.len())].repeat(1 + other.index(3_000)).into_bytes(),
            4 => part.iter().rev().copied().collect(),
            5 => vec![other.index(256) as u8],
            _ => {
                let donor = corpus[other.index(corpus.len())].as_bytes();
                donor[..donor.len().min(2_000)].to_vec()
            }
        };
        text.splice(from..to, new);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn input(corpus: Vec<String>) -> impl Strategy<Value = String> {
    let change = || (any::<u8>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let of_corpus = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..8));
    prop_oneof![
        9 => of_corpus.prop_map(move |(which, changes)| {
            changed(corpus[which.index(corpus.len())].clone().into_bytes(), &changes, &corpus)
        }),
        1 => prop::collection::vec(any::<u8>(), 0..3_000).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).map_or(otherwise, |n| n.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Gives `reader` its inputs, in a thread like plumb's own; one that takes too long is told with the input.
fn hold(name: &str, corpus: Vec<String>, reader: fn(&str)) {
    assert!(!corpus.is_empty(), "no files for {name}");
    let (began, begins) = mpsc::channel::<String>();
    let config =
        Config { cases: number("PLUMB_FUZZ", 200), failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let work = move || {
        let mut seed = [0u8; 32];
        seed[..4].copy_from_slice(&number("PLUMB_FUZZ_SEED", 1).to_le_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        runner.run(&input(corpus), |text| {
            began.send(text.clone()).unwrap();
            reader(&text);
            Ok(())
        })
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap();
    let mut last = String::new();
    let mut since = Instant::now();
    loop {
        match begins.recv_timeout(Duration::from_millis(500)) {
            Ok(text) => (last, since) = (text, Instant::now()),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let taken = since.elapsed();
                assert!(taken < SLOW, "{name} hangs on {} bytes: {last:?}", last.len());
            }
        }
    }
    thread.join().unwrap().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(peak() < MEMORY, "{name}: {} MB of memory", peak() >> 20);
}

/// The most memory that this process has had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}

#[test]
fn the_lexer() {
    hold("the lexer", corpus("sql"), |text| {
        let mut end = 0;
        for token in lexer::tokens(text) {
            assert!(token.span.start >= end && token.span.end > token.span.start, "{token:?} after {end}");
            assert!(text.is_char_boundary(token.span.start) && text.is_char_boundary(token.span.end), "{token:?}");
            end = token.span.end;
        }
        let mut at = 0;
        while let Some(piece) = lexer::piece(text, at) {
            assert!(piece.next > at);
            at = piece.next;
        }
    });
}

#[test]
fn the_splitter() {
    hold("the splitter", corpus("sql"), |text| {
        let files = Files::text("a.sql", text);
        let mut parsed = Vec::new();
        let problems = split::split(&files, 0, &mut |p| parsed.push(p));
        // what is sent is what was parsed: the same bytes, one statement
        for p in &parsed {
            let plain = text.get(p.place.span.clone()) == Some(p.sql.as_str());
            assert!(plain || text.contains('\\') || text.starts_with('\u{feff}'), "{p:?}");
            let again = pg_query::parse(&p.sql, 0).map(|r| r.protobuf.stmts.len());
            assert!(matches!(again, Ok(1)), "{:?}: {again:?}", p.sql);
        }
        problems.iter().filter_map(|p| p.place.as_ref()).for_each(|p| _ = files.line_column(p));
    });
}

#[test]
fn the_screen_and_directives() {
    hold("the screen", corpus("sql"), |text| {
        let policy = Policy { allow_do: true, allow_superuser: true, ..Policy::default() };
        for policy in [Policy::default(), policy, Policy::trusted_script()] {
            match read(&Files::text("a.sql", text), &policy) {
                Ok(statements) => assert!(statements.iter().all(|s| !s.sql.is_empty())),
                Err(problems) => assert!(!problems.to_string().is_empty()),
            }
        }
    });
}

#[test]
fn the_plan_reader() {
    let mut texts = corpus("json");
    texts.retain(|t| t.contains("\"groups\""));
    hold("the plan reader", texts, |text| {
        if let Err(error) = plan::read(text) {
            assert!(!error.to_string().is_empty());
        }
        // an id that fits does not make what follows it any safer to read
        if let Ok(mut value) = serde_json::from_str::<plan::Plan>(text) {
            value = value.seal();
            assert_eq!(plan::read(&plan::write(&value)).unwrap(), value);
        }
    });
}

#[test]
fn the_config_reader() {
    hold("the config reader", corpus("toml"), |text| match config::read("plumb.toml", text) {
        Ok(config) => config.environments().into_iter().for_each(|name| _ = config.environment_in(name, &|_| Some("x".into()))),
        Err(error) => assert!(error.span.is_none_or(|span| text.get(span).is_some()), "a span between characters"),
    });
}

#[test]
fn the_snapshot_reader() {
    let object = |class: &str, name: &[&str]| Object {
        id: Id::new(class, name.iter().copied()),
        parent: None,
        definition: serde_json::json!({ "a": [1, { "b": null }], "type": "text" }).as_object().unwrap().clone(),
        detail: serde_json::Map::new(),
    };
    let objects = vec![object("schema", &["s"]), object("table", &["s", "t"]), object("column", &["s", "t", "c"])];
    let text = write_snapshot(&Catalog::new(objects, Vec::new()));
    hold("the snapshot reader", vec![text], |text| {
        if let Ok(catalog) = read_snapshot(text) {
            catalog.objects().for_each(|o| _ = plumb::kind::check(o));
        }
    });
}

/// `n` times the opening, then the closing.
fn nested(open: &str, inside: &str, close: &str) -> String {
    const DEPTH: usize = 100_000;
    open.repeat(DEPTH) + inside + &close.repeat(DEPTH)
}

#[test]
fn deep_nesting_is_an_error() {
    let work = || {
        for (open, inside, close) in [
            ("(", "1", ")"),
            ("array[", "1", "]"),
            ("(select ", "1", ")"),
            ("case when ", "true", " then 1 end"),
            ("not ", "true", ""),
            ("- ", "1", ""),
            ("f(", "1", ")"),
            ("1 + ", "1", ""),
            ("'a' || ", "'a'", ""),
            ("a.", "a", ""),
            ("cast(", "1", " as int)"),
        ] {
            let sql = format!("create view v as select {};", nested(open, inside, close));
            let problems = read(&Files::text("a.sql", &sql), &Policy::default()).err().map_or(Vec::new(), |p| p.list);
            // one that is read is sent, and the server has a limit of its own
            assert!(problems.len() <= 1 && problems.iter().all(|p| p.code.starts_with("source::")), "{open}: {problems:?}");
        }
        for (open, close) in [
            ("[", "]"),
            ("{\"a\":", "}"),
            ("{\"format\": 0, \"objects\": [", "]}"),
            ("{\"snapshot\":0,\"objects\":[{\"id\":{\"of\":", "}"),
        ] {
            let json = nested(open, "1", close);
            assert!(plan::read(&json).is_err() && read_snapshot(&json).is_err(), "{open}");
        }
        for text in
            [format!("a = {}", nested("[", "1", "]")), format!("a = {}", nested("{ a = ", "1", " }")), nested("[", "a", "]")]
        {
            assert!(config::read("plumb.toml", &text).is_err());
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

#[test]
fn many_errors_take_no_time() {
    let work = || {
        let begun = Instant::now();
        for (line, count) in [
            ("create table a (x int;\n", 50_000),
            ("\\x\n", 200_000),
            ("create tabel a ();\n", 100_000),
            ("'", 300_001),
            ("/*", 200_000),
            ("$a", 300_000),
        ] {
            let text = line.repeat(count);
            let files = Files::text("a.sql", &text);
            let problems = split::split(&files, 0, &mut drop);
            assert!(!problems.is_empty() && problems.len() <= 201, "{line}: {}", problems.len());
            assert!(begun.elapsed() < Duration::from_secs(60), "{line:?} took {:?}", begun.elapsed());
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}
