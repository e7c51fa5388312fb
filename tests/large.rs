//! Large files: one of many megabytes, and one statement of many. Sizes are small here; `PLUMB_LARGE=1` takes a file of 50 MB and a
//! statement of 10 MB, in time and memory that grow no faster than they do. The figures are in docs/security.md.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod support;

use std::fmt::Write as _;
use std::time::{Duration, Instant};
use support::command::Place;

struct Run {
    time: Duration,
    /// The most memory that plumb took, without the server's.
    memory: u64,
    output: String,
    exit: i32,
}

/// Checks one file, as anybody would.
fn check(name: &str, sql: &str) -> Run {
    let place = Place::new(name);
    place.write("schema/a.sql", sql);
    let begun = Instant::now();
    let out = std::fs::File::create(place.path().join("out")).unwrap();
    let mut command = place.command(&["check"]);
    let mut child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let exit = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
        memory = memory.max(peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10);
        match child.try_wait().unwrap() {
            Some(status) => break status.code().unwrap_or(-1),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let run = Run { time: begun.elapsed(), memory, output: place.read("out"), exit };
    println!("{name}: {} MB in {:.1} s with {} MB", sql.len() >> 20, run.time.as_secs_f64(), run.memory >> 20);
    run
}

/// A fifth of what is asked for with PLUMB_LARGE, or all of it.
fn megabytes(full: usize) -> usize {
    let all = std::env::var_os("PLUMB_LARGE").is_some();
    (if all { full } else { full / 5 }) << 20
}

/// Tables, functions with long bodies, comments and rows, as large schemas have them.
fn schema(bytes: usize) -> (String, usize) {
    let mut sql = String::with_capacity(bytes + (1 << 16));
    let mut tables = 0;
    let body = "  perform 1; -- what a function does is said at length, and so it is here\n".repeat(250);
    while sql.len() < bytes {
        tables += 1;
        let n = tables;
        let _ = write!(
            sql,
            "create table t{n} (id bigint primary key, name text not null, parent bigint references t{n} (id));\n\
             comment on table t{n} is 'the table with the number {n}';\n\
             create function f{n}(a int) returns int language plpgsql as $body$\nbegin\n{body}  return a;\nend $body$;\n\
             insert into t{n} values {};\n",
            (0..400).map(|i| format!("({i}, 'the name of row {i}', null)")).collect::<Vec<_>>().join(", ")
        );
    }
    (sql, tables)
}

#[test]
fn a_large_file() {
    let (sql, tables) = schema(megabytes(50));
    let run = check("large", &sql);
    assert_eq!(run.exit, 0, "{}", run.output);
    assert!(run.output.contains(&format!("{tables} statements on rows skipped")), "{}", run.output);
    // some copies of the text; the trees of rows would take fifty times as much
    assert!(run.memory < 256 * (1 << 20) + 8 * sql.len() as u64, "{} MB of memory", run.memory >> 20);
    assert!(run.time < Duration::from_secs(60 + 6 * (sql.len() >> 20) as u64), "{:?}", run.time);
}

#[test]
fn a_large_statement() {
    let size = megabytes(10);
    let text = "x".repeat(size);
    let run = check("large-text", &format!("create table t (a text);\ncomment on table t is '{text}';\n"));
    assert_eq!(run.exit, 0, "{}", run.output);
    let body = "  perform 1;\n".repeat(size / 13);
    let run = check("large-body", &format!("create procedure p() language plpgsql as $$\nbegin\n{body}end $$;\n"));
    assert_eq!(run.exit, 0, "{}", run.output);
    let rows = (0..size / 20).map(|n| format!("({n:>9}, 'abc')")).collect::<Vec<_>>().join(",\n");
    let run = check("large-rows", &format!("create table t (a int, b text);\ninsert into t values {rows};\n"));
    assert_eq!(run.exit, 0, "{}", run.output);
    assert!(run.memory < (1 << 30) + 200 * size as u64, "{} MB of memory", run.memory >> 20);
}

#[test]
fn a_large_statement_with_an_error_at_its_end() {
    let size = megabytes(10);
    let rows = (0..size / 20).map(|n| format!("({n:>9}, 'abc')")).collect::<Vec<_>>().join(",\n");
    let run = check("large-error", &format!("insert into t values {rows} oops;\n"));
    assert_eq!(run.exit, 1, "{}", run.output);
    assert!(run.output.contains("source::syntax") && run.output.contains("oops") && run.output.len() < 4_000, "{}", run.output);
    assert!(run.time < Duration::from_secs(120), "{:?}", run.time);
}
