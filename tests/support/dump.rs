//! The oracle outside plumb's own model: what `pg_dump --schema-only` says about a database, in a form that can be compared.
//!
//! What is taken away, and nothing else:
//! - comments, blank lines, psql's `\restrict`, SET and `set_config` (pg_dump's own noise);
//! - the order of statements: they are compared as a sorted list, since pg_dump breaks ties by OID;
//! - the order of columns (and of constraints among them) inside `CREATE TABLE (...)` and `CREATE TYPE ... AS (...)`: the parts
//!   are sorted. ADD COLUMN appends, so column positions are reported by plumb and never planned;
//! - the order of columns in CREATE STATISTICS, which is that of the table;
//! - the order of storage parameters and other options in `WITH (...)` and `SET (...)`: the server appends what is set later.
//!
//! Deparsing is not a fixed point: two dumps that differ are loaded once into empty databases, and those are dumped.

use super::load;
use super::server::{Bench, server};
use std::process::Command;

/// What pg_dump says about a database, as it is.
pub fn raw(database: &str) -> Result<String, String> {
    let server = server();
    if server.pg_dump.as_os_str() == "none" {
        return Ok(String::new());
    }
    let mut command = Command::new(&server.pg_dump);
    command.args(server.arguments(database)).args(["--schema-only", "--no-password"]);
    let out = command.output().map_err(|e| format!("{}: {e}", server.pg_dump.display()))?;
    if !out.status.success() {
        return Err(format!("pg_dump: {}", String::from_utf8_lossy(&out.stderr).trim()));
    }
    String::from_utf8(out.stdout).map_err(|e| e.to_string())
}

/// A dump to compare.
pub fn dump(database: &str) -> String {
    normalised(&raw(database).unwrap_or_else(|e| panic!("{e}"))).join(";\n") + ";\n"
}

/// Compares the dump of a result with that of what was wanted; an error is the list of statements that only one has.
pub async fn compare(bench: &Bench, result: &str, wanted: &str) -> Result<(), String> {
    if normalised(result) == normalised(wanted) {
        return Ok(());
    }
    let (result, wanted) = (again(bench, result).await?, again(bench, wanted).await?);
    match difference(&normalised(&result), &normalised(&wanted)) {
        text if text.is_empty() => Ok(()),
        text => Err(text),
    }
}

/// Loads a dump into an empty database and dumps that.
async fn again(bench: &Bench, text: &str) -> Result<String, String> {
    let script = statements(text).join(";\n");
    let name = load::fresh(bench, &[&script]).await.map_err(|e| format!("a dump does not load: {e}"))?;
    let text = raw(&name);
    bench.drop(&name).await;
    text
}

/// The statements that only one list has: `-` for what the result has too much, `+` for what it lacks.
pub fn difference(result: &[String], wanted: &[String]) -> String {
    let mut extra = Vec::new();
    let mut missing: Vec<&String> = wanted.iter().collect();
    for statement in result {
        match missing.iter().position(|m| *m == statement) {
            Some(i) => _ = missing.remove(i),
            None => extra.push(statement),
        }
    }
    let lines = |mark: &str, list: &[&String]| list.iter().map(|s| format!("{mark} {s}\n")).collect::<String>();
    lines("-", &extra) + &lines("+", &missing)
}

/// Comparable statements of a dump, in order.
pub fn normalised(dump: &str) -> Vec<String> {
    let noise = |s: &String| s.starts_with("SET ") || s.starts_with("SELECT pg_catalog.set_config(");
    let mut list: Vec<String> = statements(dump)
        .into_iter()
        .filter(|s| !noise(s))
        .map(|s| sorted_options(&sorted_columns(&sorted_statistics(&s))))
        .collect();
    list.sort();
    list
}

/// Sorts the parts of the body of a CREATE TABLE or CREATE TYPE ... AS.
fn sorted_columns(statement: &str) -> String {
    let table = ["CREATE TABLE ", "CREATE UNLOGGED TABLE ", "CREATE FOREIGN TABLE "].iter().any(|h| statement.starts_with(h));
    let composite = statement.starts_with("CREATE TYPE ") && statement.contains(" AS (");
    if !table && !composite {
        return statement.to_owned();
    }
    let (mut depth, mut at, mut open, mut close) = (0, 0, None, None);
    let mut commas = Vec::new();
    while at < statement.len() {
        let end = token(statement, at);
        match &statement[at..end] {
            "(" => {
                depth += 1;
                open = open.or(Some(end));
            }
            ")" => {
                depth -= 1;
                if depth == 0 {
                    close = Some(at);
                    break;
                }
            }
            "," if depth == 1 => commas.push(at),
            _ => {}
        }
        at = end;
    }
    let (Some(open), Some(close)) = (open, close) else { return statement.to_owned() };
    let starts = std::iter::once(open).chain(commas.iter().map(|c| c + 1));
    let ends = commas.iter().copied().chain([close]);
    let mut parts: Vec<&str> = starts.zip(ends).map(|(a, b)| statement[a..b].trim()).collect();
    parts.sort_unstable();
    format!("{}\n    {}\n{}", &statement[..open], parts.join(",\n    "), &statement[close..])
}

/// Sorts what extended statistics are on; names with commas stay as they are.
fn sorted_statistics(statement: &str) -> String {
    let list = statement.strip_prefix("CREATE STATISTICS ").and_then(|s| s.split_once(" ON ")?.1.rsplit_once(" FROM "));
    let Some((list, _)) = list.filter(|(l, _)| !l.contains('(')) else { return statement.to_owned() };
    let mut parts: Vec<&str> = list.split(", ").collect();
    parts.sort_unstable();
    statement.replacen(list, &parts.join(", "), 1)
}

/// Sorts `a='1', b='2'` in the first `WITH (...)` or `SET (...)` of a statement.
fn sorted_options(statement: &str) -> String {
    let head = ["WITH (", " SET ("].iter().filter_map(|h| statement.find(h).map(|at| at + h.len())).min();
    let Some(open) = head else { return statement.to_owned() };
    let Some(close) = statement[open..].find(')').map(|at| open + at) else { return statement.to_owned() };
    let mut parts: Vec<&str> = statement[open..close].split(", ").collect();
    if parts.iter().any(|p| !p.contains('=') || p.contains('\n')) {
        return statement.to_owned();
    }
    parts.sort_unstable();
    format!("{}{}{}", &statement[..open], parts.join(", "), &statement[close..])
}

/// Splits SQL at its semicolons; comments and psql's commands are left out. `BEGIN ATOMIC` bodies stay whole.
pub fn statements(text: &str) -> Vec<String> {
    let mut list = Vec::new();
    let mut current = String::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("--") || current.trim().is_empty() && rest.starts_with('\\') {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let end = token(text, at);
        let part = &text[at..end];
        at = end;
        let atomic = current.contains("BEGIN ATOMIC") && !current.trim_end().ends_with("\nEND");
        if part == ";" && !atomic {
            list.push(std::mem::take(&mut current).trim().to_owned());
        } else {
            current += part;
        }
    }
    list.push(current.trim().to_owned());
    list.retain(|s| !s.is_empty());
    list
}

/// The end of what begins at `at`: a quoted string, name or body as a whole, else one character.
fn token(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let word = |i: usize| bytes.get(i).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 128);
    let until = |quote: u8, escapes: bool| {
        let mut i = at + 1;
        while i < bytes.len() && bytes[i] != quote {
            i += if escapes && bytes[i] == b'\\' { 2 } else { 1 };
        }
        (i + 1).min(bytes.len())
    };
    match bytes[at] {
        b'\'' => until(b'\'', at > 0 && matches!(bytes[at - 1], b'E' | b'e') && !(at > 1 && word(at - 2))),
        b'"' => until(b'"', false),
        b'$' if at == 0 || !word(at - 1) => {
            let name = bytes[at + 1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            let open = at + 1 + name;
            if bytes.get(open) != Some(&b'$') || bytes[at + 1].is_ascii_digit() {
                return at + 1;
            }
            let tag = &text[at..=open];
            text[open + 1..].find(tag).map_or(text.len(), |i| open + 1 + i + tag.len())
        }
        _ => at + text[at..].chars().next().map_or(1, char::len_utf8),
    }
}

/// What the harness believes about dumps; run by `tests/cases.rs`.
pub fn self_test() {
    let a = "-- x\nSET a = 1;\n\\restrict k\nCREATE TABLE public.t (\n    b text DEFAULT 'a,(;'::text,\n    a numeric(3,1),\n    CONSTRAINT c CHECK ((a > 0))\n)\nWITH (fillfactor='70');\n\
             CREATE FUNCTION public.f() RETURNS int\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\nCREATE FUNCTION public.g() AS $_$ -- kept; \n $_$;\n";
    let list = normalised(a);
    assert_eq!(list.len(), 3, "{list:#?}");
    assert!(list[1].contains("-- kept;"));
    let wanted = "CREATE TABLE public.t (\n    CONSTRAINT c CHECK ((a > 0)),\n    a numeric(3,1),\n    b text DEFAULT 'a,(;'::text\n)\nWITH (fillfactor='70')";
    assert_eq!(list[2], wanted);
    assert_eq!(sorted_options("ALTER TABLE t ALTER COLUMN v SET (b=1, a=2)"), "ALTER TABLE t ALTER COLUMN v SET (a=2, b=1)");
    assert_eq!(difference(&list, &list), "");
    assert_eq!(difference(&["x".into()], &["y".into()]), "- x\n+ y\n");
}
