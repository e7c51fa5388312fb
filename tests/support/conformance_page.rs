//! What the conformance run found, as a page and as a report.

use std::collections::BTreeMap;

use super::*;

/// A message without its names and numbers, so that equal causes meet.
pub fn cause(failure: &Failure) -> String {
    let text = match failure.class {
        "step failed" => failure.message.split_once(": ").map_or(failure.message.as_str(), |(_, m)| m),
        _ => failure.message.as_str(),
    };
    let mut out = String::new();
    let mut quoted = false;
    for c in text.lines().next().unwrap_or_default().chars() {
        match c {
            '"' => {
                quoted = !quoted;
                out.push_str(if quoted { "\"…\"" } else { "" });
            }
            _ if quoted => {}
            c if c.is_ascii_digit() => out.push('0'),
            c => out.push(c),
        }
    }
    match failure.class {
        "step failed" => format!("step failed: {out}"),
        class => class.to_owned(),
    }
}

pub fn failures(items: &[Item]) -> BTreeMap<String, Vec<(&Item, &Failure)>> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for item in items {
        if let Outcome::Failed(failure) = &item.outcome {
            groups.entry(cause(failure)).or_default().push((item, failure));
        }
    }
    groups
}

pub fn table(items: &[Item]) -> String {
    let mut rows: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for item in items {
        let i = match item.outcome {
            Outcome::Ok => 0,
            Outcome::Skipped(_) => 1,
            Outcome::Failed(_) => 2,
        };
        rows.entry(&item.source).or_default()[i] += 1;
    }
    let mut text =
        String::from("| source | ok | failed | skipped | ok of those that load |\n| --- | ---: | ---: | ---: | ---: |\n");
    let mut sum = [0; 3];
    let mut row = |name: &str, [ok, skipped, failed]: [usize; 3]| {
        let share = if ok + failed == 0 { "–".into() } else { format!("{:.1} %", 100.0 * ok as f64 / (ok + failed) as f64) };
        writeln!(text, "| {name} | {ok} | {failed} | {skipped} | {share} |").unwrap();
    };
    for (name, counts) in &rows {
        row(name, *counts);
        (0..3).for_each(|i| sum[i] += counts[i]);
    }
    row("all", sum);
    text
}

/// The page `docs/conformance.md`.
pub fn page(items: &[Item], pins: &BTreeMap<String, String>) -> String {
    let server = server::server();
    let mut text = format!(
        "# Conformance\n\n\
         Written by `make conformance`; not to be edited. Schemas and before/after pairs of other projects (`../shared/corpora`,\n\
         `../shared/cases`), on PostgreSQL {}. An item is one schema from an empty database, one schema against itself, or one pair\n\
         in one direction. *ok*: the plan was applied, a second plan is empty, and `pg_dump --schema-only` of the result equals that of\n\
         the wanted state (for equal states: the plan is empty); a pair's plan was proven, and its steps lock, rewrite and read what they\n\
         declare. *skipped*: a side does not load into this server, or the source says\n\
         that the pair has one direction.\n\n{}\n## Failures by cause\n\n",
        server.major(),
        table(items)
    );
    let groups = failures(items);
    if groups.is_empty() {
        text += "None.\n";
    }
    for (cause, list) in groups {
        writeln!(text, "### {cause} ({})\n", list.len()).unwrap();
        for (item, failure) in list {
            let line: String = failure.message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(160).collect();
            let pin = pins.get(&item.name).map_or(String::new(), |r| format!(" *Known: {r}*"));
            writeln!(text, "- {}: `{}`{pin}", item.name, line.replace('`', "'")).unwrap();
        }
        text += "\n";
    }
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items {
        if let Outcome::Skipped(why) = &item.outcome {
            *skipped.entry(why.lines().next().unwrap_or_default()).or_default() += 1;
        }
    }
    text += "\n## Skipped\n\n";
    for (why, n) in skipped {
        writeln!(text, "- {n} × {why}").unwrap();
    }
    text
}

/// Every failure in full, for whoever mends it.
pub fn report(items: &[Item]) -> String {
    let groups = failures(items);
    let mut text = format!("{}\n", table(items));
    for (cause, list) in &groups {
        writeln!(text, "{:5} {cause}", list.len()).unwrap();
    }
    for (cause, list) in groups {
        writeln!(text, "\n## {cause} ({})", list.len()).unwrap();
        for (i, (item, failure)) in list.iter().enumerate() {
            let limit = if i < 6 { 1500 } else { 300 };
            let message: String = failure.message.chars().take(limit).collect();
            let sql: String = failure.sql.chars().take(limit).collect();
            writeln!(text, "* {}\n  {}", item.name, message.trim_end().replace('\n', "\n  ")).unwrap();
            if !sql.is_empty() {
                writeln!(text, "  SQL: {}", sql.replace('\n', "\n  ")).unwrap();
            }
        }
    }
    text
}
