//! `plumb check`: do the files load, and is there anything in them that is seldom meant?

use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;
use unicode_width::UnicodeWidthStr;

use super::arguments::{CheckFormat, CheckOptions, Database};
use super::side::{self, Side};
use super::workspace::Workspace;
use super::{Outcome, failure, findings};
use crate::exit_code::{DONE, ERROR};
use crate::plan::count;
use crate::plan::text::one_line;
use crate::report::{Finding, Level, Report, github, junit, sarif};
use crate::source::date;

/// The command.
pub async fn run(options: &CheckOptions, workspace: &mut Workspace) -> Outcome {
    let side = match &options.db {
        Some(_) => side::live(workspace, &Database { db: options.db.clone(), env: None }).await?,
        None => {
            let schema = workspace.schema(&options.wanted, None)?;
            side::any(workspace, &schema, &options.wanted, None).await?
        }
    };
    workspace.progress.stage("looking for what is seldom meant");
    let scope = workspace.schemas(&options.wanted.scope);
    let report = findings::findings(&side, &workspace.config.lint, scope, &date::day(SystemTime::now()));
    workspace.progress.clear();
    let width = super::terminal::width(std::io::stdout()).clamp(60, 100);
    let look = Look { width, color: workspace.color, verbose: workspace.progress.verbose() };
    let text = match options.format {
        CheckFormat::Text => text(&side, &report, &look),
        CheckFormat::Json => json(&side, &report),
        CheckFormat::Sarif => sarif(&report),
        CheckFormat::Junit => junit(&report),
        CheckFormat::Github => github(&report),
    };
    failure::print(&text)?;
    Ok(if report.count(Level::Error) > 0 { ERROR } else { DONE })
}

/// How it is shown.
struct Look {
    width: usize,
    color: bool,
    verbose: bool,
}

/// `12 objects in 3 files`: what the files name, or what the database has.
fn size(side: &Side) -> (usize, Option<usize>) {
    let whole = side.catalog.objects().filter(|o| o.parent.is_none() && o.id.of().is_none());
    match &side.places {
        Some((files, _)) => (whole.filter(|o| side.place(&o.id).is_some()).count(), Some(files.0.len())),
        None => (whole.filter(|o| o.id.class() != "schema" || o.id.base() != "public").count(), None),
    }
}

/// Findings of one rule that are shown of one file.
const SHOWN: usize = 4;

/// For a person: one file after the other, then the count.
fn text(side: &Side, report: &Report, look: &Look) -> String {
    let open: Vec<&Finding> = report.open().collect();
    let mut page = String::new();
    for of_file in open.chunk_by(|a, b| file(a) == file(b)) {
        let nowhere = if side.places.is_some() { format!("{} (without a line)", report.of) } else { report.of.clone() };
        let _ = writeln!(page, "{}", one_line(file(of_file[0]).unwrap_or(&nowhere)));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in of_file {
            let n = counts.entry(&finding.code).or_default();
            *n += 1;
            if *n <= SHOWN || look.verbose {
                page += &entry(finding, look);
            }
        }
        for (code, n) in counts.into_iter().filter(|(_, n)| *n > SHOWN && !look.verbose) {
            let _ = writeln!(page, "         … {} more of {code} (--verbose shows all)", n - SHOWN);
        }
        page.push('\n');
    }
    page + &summary(side, report)
}

fn file(finding: &Finding) -> Option<&str> {
    finding.source.as_ref().map(|s| s.file.as_str())
}

/// `    7  warning  a message that may take several lines  [code]`.
fn entry(finding: &Finding, look: &Look) -> String {
    let line = finding.source.as_ref().map_or(String::new(), |s| s.line.to_string());
    let word = finding.level.word();
    let painted = match (look.color, finding.level) {
        (false, _) => word.to_owned(),
        (true, Level::Error) => format!("\u{1b}[31m{word}\u{1b}[0m"),
        (true, _) => format!("\u{1b}[33m{word}\u{1b}[0m"),
    };
    let lead = format!("{line:>6}  {painted}{}  ", " ".repeat(7 - word.len()));
    let said = format!("{} [{}]", one_line(&finding.message), finding.code);
    let mut lines: Vec<String> = Vec::new();
    for word in said.split(' ') {
        match lines.last_mut().filter(|l| l.width() + 1 + word.width() + 17 <= look.width) {
            Some(line) => drop(write!(line, " {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lead + &lines.join(&format!("\n{}", " ".repeat(17))) + "\n"
}

fn summary(side: &Side, report: &Report) -> String {
    let (objects, files) = size(side);
    let within = files.map_or(String::new(), |n| format!(" in {}", count(n, "file")));
    let ignored = report.findings.len() - report.open().count();
    let ignored = if ignored > 0 { format!(", {ignored} ignored by directives") } else { String::new() };
    let found = match (report.count(Level::Error), report.count(Level::Warning)) {
        (0, 0) => "no errors, no warnings".to_owned(),
        (errors, 0) => count(errors, "error"),
        (0, warnings) => format!("no errors, {}", count(warnings, "warning")),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let mut page = format!("{}: {}{within}, {found}{ignored}.\n", one_line(&side.name), count(objects, "object"));
    let mut codes: Vec<(usize, &str)> =
        report.rules.iter().map(|r| (report.open().filter(|f| f.code == r.code).count(), r.code.as_str())).collect();
    codes.retain(|(n, _)| *n > 0);
    codes.sort_by_key(|(n, code)| (std::cmp::Reverse(*n), *code));
    if codes.iter().map(|(n, _)| n).sum::<usize>() > SUMMED {
        let width = codes.first().map_or(0, |(n, _)| n.to_string().len());
        for (n, code) in codes {
            let _ = writeln!(page, "  {n:>width$}  {code}");
        }
    }
    page
}

/// From so many findings on there is a count for each rule.
const SUMMED: usize = 10;

/// The version of the JSON document.
const FORMAT: u32 = 0;

/// `format`, `plumb`, `of`, `objects`, `files`, `errors`, `warnings`, `findings[] {code, level, message, object, source, ignored}`;
/// what a directive ignores has its reason in `ignored` and counts neither as error nor as warning.
fn json(side: &Side, report: &Report) -> String {
    let (objects, files) = size(side);
    let document = json!({
        "format": FORMAT,
        "plumb": env!("CARGO_PKG_VERSION"),
        "of": report.of,
        "objects": objects,
        "files": files,
        "errors": report.count(Level::Error),
        "warnings": report.count(Level::Warning),
        "findings": report.findings,
    });
    serde_json::to_string_pretty(&document).expect("values serialize") + "\n"
}
