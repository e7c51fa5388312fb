//! `tests/catalog.txt`: every column of every table of `pg_catalog`, and what plumb makes of it.

use super::tree;
use plumb::kind;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A table of the list: its columns, or the reason for which all of it is left out.
pub struct Table {
    pub name: String,
    pub what: String,
    pub left_out: Option<String>,
    pub columns: Vec<Column>,
}

/// A column and its verdict.
pub struct Column {
    pub name: String,
    /// Kinds whose address it is part of.
    pub address: Vec<String>,
    /// Fields that it is compared as: kind and field.
    pub fields: Vec<(String, String)>,
    /// Classes that name it as not managed.
    pub named: Vec<String>,
    /// Why it is not compared.
    pub ignored: Option<String>,
}

const MARKS: [&str; 4] = [" @ ", " = ", " ! ", " - "];

/// Cuts a line at its marks: the name, then each mark with what follows it. A reason goes to the end of the line.
fn cut(line: &str) -> (String, Vec<(&'static str, String)>) {
    let next = |text: &str| MARKS.iter().filter_map(|m| text.find(m).map(|at| (at, *m))).min();
    let Some((at, mut mark)) = next(line) else { return (line.trim().to_owned(), Vec::new()) };
    let (name, mut rest) = (line[..at].trim().to_owned(), &line[at + 3..]);
    let mut parts = Vec::new();
    loop {
        match next(rest).filter(|_| mark != " - ") {
            Some((at, following)) => {
                parts.push((mark, rest[..at].trim().to_owned()));
                (mark, rest) = (following, &rest[at + 3..]);
            }
            None => {
                parts.push((mark, rest.trim().to_owned()));
                return (name, parts);
            }
        }
    }
}

fn column(line: &str) -> Column {
    let (name, parts) = cut(line);
    assert!(!parts.is_empty(), "tests/catalog.txt: no verdict in: {line}");
    let mut column = Column { name, address: vec![], fields: vec![], named: vec![], ignored: None };
    for (mark, text) in parts {
        let list = text.split(", ").map(str::to_owned);
        match mark {
            " @ " => column.address.extend(list),
            " ! " => column.named.extend(list),
            " - " => column.ignored = Some(text.clone()),
            _ => column.fields.extend(list.map(|f| {
                let (kind, field) = f.split_once('.').unwrap_or_else(|| panic!("tests/catalog.txt: no kind.field: {f}"));
                (kind.to_owned(), field.to_owned())
            })),
        }
    }
    column
}

/// The list.
pub fn tables() -> Vec<Table> {
    let mut list: Vec<Table> = Vec::new();
    let text = tree::text(&tree::root("tests/catalog.txt"));
    for line in text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
        if let Some((name, rest)) = line.strip_prefix('[').and_then(|l| l.split_once(']')) {
            let left_out = rest.strip_prefix(" - ").map(str::to_owned);
            let what = if left_out.is_some() { String::new() } else { rest.trim().to_owned() };
            list.push(Table { name: name.to_owned(), what, left_out, columns: Vec::new() });
        } else {
            list.last_mut().expect("a table before its columns").columns.push(column(line));
        }
    }
    list
}

/// What the list names and no kind has.
pub fn unknown(tables: &[Table]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for column in tables.iter().flat_map(|t| &t.columns) {
        found.extend(column.address.iter().filter(|k| kind::find(k).is_none()).cloned());
        let knows = |(k, f): &&(String, String)| kind::find(k).is_none_or(|k| !k.fields.iter().any(|field| field.name == f));
        found.extend(column.fields.iter().filter(knows).map(|(k, f)| format!("{k}.{f}")));
    }
    found
}

fn fields(column: &Column) -> String {
    let mut text: Vec<String> =
        column.fields.iter().map(|(kind, field)| format!("{kind}: {}", field.replace('_', " "))).collect();
    text.sort();
    text.join(", ")
}

fn verdict(column: &Column) -> String {
    let mut parts = Vec::new();
    if !column.fields.is_empty() {
        parts.push(format!("compared as {}", fields(column)));
    }
    if !column.address.is_empty() {
        parts.push(format!("names the {}", column.address.join(", ")));
    }
    if !column.named.is_empty() {
        parts.push(format!("*named as not managed* ({})", column.named.join(", ")));
    }
    parts.extend(column.ignored.iter().map(|reason| format!("not compared: {reason}")));
    parts.join("; ")
}

/// The page that is made of the list.
pub fn page(tables: &[Table]) -> String {
    let mut text = "# What is compared\n\n\
        Every column of every table of `pg_catalog`, in PostgreSQL 14 to 18, and what plumb makes of it: it is compared, it is part\n\
        of an object's name, it is found and named as *not managed* (never planned, never silent), or it is not compared for the\n\
        reason that stands beside it. A test holds the list to each server version; a column that a new version brings fails it.\n\n\
        An object of a class that stands nowhere here is still named: whatever depends on something, says `pg_depend`, is of a kind,\n\
        or not managed and listed in every plan.\n\n\
        <!-- Written by `PLUMB_BLESS=1 cargo test --test completeness` from tests/catalog.txt. -->\n"
        .to_owned();
    for table in tables.iter().filter(|t| t.left_out.is_none()) {
        writeln!(text, "\n## {}: {}\n\n| column | |\n| --- | --- |", table.name, table.what).unwrap();
        for column in &table.columns {
            writeln!(text, "| `{}` | {} |", column.name, verdict(column)).unwrap();
        }
    }
    text += "\n## Tables that are left out as a whole\n\n| table | reason |\n| --- | --- |\n";
    for table in tables {
        if let Some(reason) = &table.left_out {
            writeln!(text, "| `{}` | {reason} |", table.name).unwrap();
        }
    }
    text
}
