//! `docs/locks.md`, made of `fixtures/locks`.

use super::lock_table::{CONFLICTS, Facts, MODES, Measured, Row, Section, VERSIONS, measured, sections};
use plumb::statement::LockMode;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str = "# What DDL locks, writes anew and reads\n\n\
*Made of `fixtures/locks` by `tests/locks.rs`, which runs every statement below on a real server: do not edit.*\n\n\
Every line is one statement, run on small tables on each of the servers named above its table, and what the server was seen to do. `t` is a\n\
table with the primary key `t_pkey`, `p` another that `t.p_id` can reference (`fixtures/locks/base.sql`); what else has to stand before\n\
is in the `setup` of the entry with the same id.\n\n\
- **Locks** are those that the transaction holds when the statement is done (`pg_locks`), the strongest for each relation that existed\n\
  before. Relations that the statement makes, system catalogs and TOAST are left out. From SHARE UPDATE EXCLUSIVE on, indexes are named\n\
  for themselves, and objects that are no relations by the catalog that they are in.\n\
- **Written anew** has got a new file (`pg_relation_filenode`): a table in full, with all its rows, or an index. The sequence of a\n\
  number column and TRUNCATE do that too, at no cost.\n\
- **Read in full** are tables that the statement went through from the first page to the last (`pg_stat_get_xact_numscans`), with how\n\
  often. What goes round the counter (VACUUM, ANALYZE, the copy of a file to another tablespace) has a note.\n\
- **Who waits** follows from the locks, for as long as the transaction lasts. A statement that itself has to wait for its lock makes all\n\
  those wait that come after it and would have to wait for it: this is why even a short one wants `lock_timeout`.\n\
- *Refused* is the server's answer, with its SQLSTATE; `42601` is a syntax error, so that this version has no such statement, unless the\n\
  line says otherwise. On a version that no line names, the statement was not tried.\n\n\
A statement that may not run in a transaction is marked with \u{2020}. It was run while a second session held a lock that it has to wait for,\n\
and its locks are those that it held or wanted while it waited; one that it takes without waiting after that is not seen. PostgreSQL 14\n\
does not tell in time what such a statement has read. Lines of one id are forms of one operation, each with a name\n\
(`cargo test --test locks -- C24/alone`); ids are stable.\n\n\
Nothing here is a copy of the manual. Where a line contradicts what plumb's authors had written down before they measured, it says so\n\
after \u{2260}.\n";

/// The whole page.
pub fn page() -> String {
    let all: BTreeMap<u32, Measured> = VERSIONS.map(|v| (v, measured(v))).collect();
    let mut page = HEAD.to_owned();
    let servers: Vec<&str> = all.values().map(|m| m.server.as_str()).filter(|s| !s.is_empty()).collect();
    let missing: Vec<String> = all.iter().filter(|(_, m)| m.server.is_empty()).map(|(v, _)| v.to_string()).collect();
    write!(page, "\nMeasured on PostgreSQL {}.", servers.join(", ")).unwrap();
    if !missing.is_empty() {
        write!(page, " Not measured: {}.", missing.join(", ")).unwrap();
    }
    page += "\n\n## Who waits for whom\n\nA transaction that wants the lock above waits for one that holds the lock on the left, where there is an \u{d7}. \
        SELECT takes ACCESS SHARE,\nSELECT FOR UPDATE takes ROW SHARE, INSERT, UPDATE, DELETE and MERGE take ROW EXCLUSIVE, VACUUM takes SHARE UPDATE EXCLUSIVE.\n\n|  |";
    page += &MODES.map(|(mode, _)| format!(" {mode} |")).concat();
    page += &format!("\n| --- |{}\n", " --- |".repeat(MODES.len()));
    for ((mode, _), conflicts) in MODES.iter().zip(CONFLICTS) {
        let cells = conflicts.chars().map(|c| if c == 'x' { " \u{d7} |" } else { "  |" });
        page += &format!("| {mode} |{}\n", cells.collect::<String>());
    }
    sections().iter().for_each(|s| page += &section(s, &all));
    page
}

fn section(section: &Section, all: &BTreeMap<u32, Measured>) -> String {
    let mut text = format!(
        "\n## {}\n\n| id | operation | locks | written anew | read in full | who waits | versions | note |\n{}\n",
        section.title, "| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for row in &section.row {
        let mut operation = capital(&row.operation);
        let id = row.form.as_ref().map_or_else(|| row.id.clone(), |form| format!("{}<br>{}", row.id, escape(form)));
        if let Some(reason) = &row.unmeasured {
            writeln!(text, "| {id} | {operation} |  |  |  |  | not measured | {} |", capital(reason)).unwrap();
            continue;
        }
        let mark = if row.watch.is_empty() { "" } else { " \u{2020}" };
        write!(operation, "<br>{}{mark}", code(&row.sql)).unwrap();
        for (versions, facts) in &groups(row, all) {
            let cells = facts.as_ref().map_or_else(|| "|  |  |  |  |".to_owned(), cells);
            writeln!(text, "| {id} | {operation} {cells} {versions} | {} |", note(row)).unwrap();
        }
    }
    text
}

/// Versions that did the same, one after the other.
fn groups(row: &Row, all: &BTreeMap<u32, Measured>) -> Vec<(String, Option<Facts>)> {
    let mut found: Vec<(u32, u32, Option<Facts>)> = Vec::new();
    for (version, measured) in all.iter().filter(|(v, _)| row.is_for(**v)) {
        let facts = measured.facts.get(&row.key()).cloned();
        match found.last_mut() {
            Some((_, last, same)) if same_but_unseen(same.as_ref(), facts.as_ref()) => {
                *last = *version;
                *same = facts;
            }
            _ => found.push((*version, *version, facts)),
        }
    }
    let name = |first: u32, last: u32, facts: &Option<Facts>| {
        let versions = if first == last { first.to_string() } else { format!("{first}\u{2013}{last}") };
        if facts.is_none() { format!("{versions}: not measured") } else { versions }
    };
    found.into_iter().map(|(first, last, facts)| (name(first, last, &facts), facts)).collect()
}

/// Equal, apart from readings that could not be seen on one of the two.
fn same_but_unseen(a: Option<&Facts>, b: Option<&Facts>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a == b };
    let unseen = |f: &Facts| Facts { reads: BTreeMap::new(), reads_not_seen: true, ..f.clone() };
    if a.reads_not_seen || b.reads_not_seen { unseen(a) == unseen(b) } else { a == b }
}

fn cells(facts: &Facts) -> String {
    if let Some(code) = &facts.refused {
        return format!("| refused: `{code}` |  |  |  |");
    }
    let named = |names: Vec<String>| if names.is_empty() { "\u{2013}".to_owned() } else { names.join(", ") };
    let written = facts.rewrites.iter().map(|t| format!("table {}", code(t)));
    let written = named(written.chain(facts.index_rewrites.iter().map(|i| format!("index {}", code(i)))).collect());
    let times = |n: i64| if n > 1 { format!(" \u{d7} {n}") } else { String::new() };
    let read = named(facts.reads.iter().map(|(t, n)| format!("{}{}", code(t), times(*n))).collect());
    let read = if facts.reads_not_seen { "not seen".to_owned() } else { read };
    format!("| {} | {written} | {read} | {} |", locks(facts), waits(facts))
}

fn locks(facts: &Facts) -> String {
    let mut parts = Vec::new();
    for (mode, _) in MODES.iter().rev() {
        let of = |locks: &BTreeMap<String, LockMode>| {
            locks.iter().filter(|(_, m)| *m == mode).map(|(n, _)| code(n)).collect::<Vec<_>>()
        };
        let mut names = of(&facts.locks);
        names.extend(of(&facts.index_locks));
        names.extend(of(&facts.object_locks).iter().map(|class| format!("object of {class}")));
        if !names.is_empty() {
            parts.push(format!("{mode}: {}", names.join(", ")));
        }
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join("<br>") }
}

fn waits(facts: &Facts) -> String {
    let who = |mode: LockMode| match mode {
        LockMode::AccessExclusive => "reads and writes",
        LockMode::Exclusive => "writes and row locks",
        LockMode::ShareRowExclusive | LockMode::Share => "writes",
        LockMode::ShareUpdateExclusive => "other DDL, VACUUM",
        LockMode::RowExclusive | LockMode::RowShare | LockMode::AccessShare => "",
    };
    let mut parts: Vec<(&str, Vec<String>)> = Vec::new();
    for (mode, _) in MODES.iter().rev().filter(|(mode, _)| !who(*mode).is_empty()) {
        let both = facts.locks.iter().chain(&facts.index_locks);
        let names: Vec<String> = both.filter(|(_, m)| *m == mode).map(|(n, _)| code(n)).collect();
        match parts.last_mut() {
            _ if names.is_empty() => {}
            Some((same, list)) if *same == who(*mode) => list.extend(names),
            _ => parts.push((who(*mode), names)),
        }
    }
    let parts: Vec<String> = parts.iter().map(|(who, names)| format!("{who}: {}", names.join(", "))).collect();
    if parts.is_empty() { "\u{2013}".to_owned() } else { parts.join("<br>") }
}

fn note(row: &Row) -> String {
    let differs = row.differs.iter().map(|d| format!("\u{2260} {}", escape(d)));
    differs.chain(row.note.iter().map(|n| escape(n))).collect::<Vec<_>>().join(" ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    escape(&(first + chars.as_str()))
}

/// In a cell of a table.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}
