//! The one place where errors meet miette: every error becomes a diagnostic with a code that `docs/errors.md` explains.

mod excerpt;
mod unsaid;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, Report, Severity, SourceCode};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use self::excerpt::Excerpt;
use crate::config::ConfigError;
use crate::introspect::IntrospectError;
use crate::order::Cycle;
use crate::pg::{ConnectError, TargetError};
use crate::plan::PlanError;
use crate::plan::text::one_line;
use crate::shadow::ShadowError;
use crate::source::{Files, Place, Problem, Problems};

/// Errors whose place is shown; of the others there is one line each.
const SHOWN: usize = 50;

/// An error as it is shown.
#[derive(Debug)]
struct Diagnostic {
    code: String,
    message: String,
    help: Option<String>,
    source: Option<Excerpt>,
    labels: Vec<LabeledSpan>,
    related: Vec<Diagnostic>,
    severity: Severity,
}

impl Diagnostic {
    fn new(code: &str, message: &str, help: Option<&str>) -> Diagnostic {
        Diagnostic {
            code: code.to_owned(),
            message: lines(message),
            help: help.map(lines),
            source: None,
            labels: Vec::new(),
            related: Vec::new(),
            severity: Severity::Error,
        }
    }

    /// With a text and what is underlined in it.
    fn within(mut self, path: &str, text: &str, labels: Vec<(Range<usize>, String)>) -> Diagnostic {
        let (spans, words): (Vec<Range<usize>>, Vec<String>) = labels.into_iter().unzip();
        let (excerpt, spans) = Excerpt::new(path, text, &spans);
        let label = |words: String| Some(one_line(&words)).filter(|w| !w.is_empty());
        let labels = spans.into_iter().zip(words).map(|(span, words)| LabeledSpan::new(label(words), span.start, span.len()));
        self.labels = labels.collect();
        self.source = Some(excerpt);
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.code.is_empty()).then(|| Box::new(&self.code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        let related = self.related.iter().map(|d| d as &dyn miette::Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(related) as Box<dyn Iterator<Item = &dyn miette::Diagnostic>>)
    }
}

/// Several lines, each without anything that steers a terminal.
fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// An error that is not about a place in a file.
pub fn general(code: &str, message: String, help: Option<String>) -> Report {
    Diagnostic::new(code, &message, help.as_deref()).into()
}

/// The errors in the files, one report each, in the order of files and lines.
pub fn source_problems(problems: &Problems) -> Vec<Report> {
    let rest = problems.list.iter().skip(SHOWN).map(|p| briefly(&problems.files, p));
    problems.list.iter().take(SHOWN).map(|p| problem(&problems.files, p)).chain(rest).map(Report::from).collect()
}

fn problem(files: &Files, problem: &Problem) -> Diagnostic {
    let bare = Diagnostic::new(problem.code, &problem.message, problem.help.as_deref());
    let Some((place, file)) = problem.place.as_ref().and_then(|p| Some((p, files.0.get(p.file)?))) else { return bare };
    let mut labels = vec![(place.span.clone(), problem.label.clone())];
    let (here, elsewhere): (Vec<_>, Vec<_>) = problem.also.iter().partition(|(p, _)| p.file == place.file);
    labels.extend(here.into_iter().map(|(p, words)| (p.span.clone(), words.clone())));
    let mut shown = bare.within(&file.path, &file.text, labels);
    shown.related = elsewhere.into_iter().filter_map(|(p, words)| other(files, p, words)).collect();
    shown
}

/// Another place that matters, in another file.
fn other(files: &Files, place: &Place, words: &str) -> Option<Diagnostic> {
    let file = files.0.get(place.file)?;
    let advice = Diagnostic { severity: Severity::Advice, ..Diagnostic::new("", words, None) };
    Some(advice.within(&file.path, &file.text, vec![(place.span.clone(), "here".to_owned())]))
}

/// The error in one line with its place.
fn briefly(files: &Files, problem: &Problem) -> Diagnostic {
    let place = problem.place.as_ref().and_then(|p| Some((files.0.get(p.file)?, files.line_column(p))));
    let place = place.map_or(String::new(), |(file, (line, column))| format!("{}:{line}:{column}: ", file.path));
    Diagnostic::new(problem.code, &format!("{place}{}", problem.message), None)
}

/// `3 errors in 2 files. Nothing was planned.`
pub fn count(problems: &Problems) -> String {
    let plural = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let files: BTreeSet<usize> = problems.list.iter().filter_map(|p| Some(p.place.as_ref()?.file)).collect();
    let within = if files.is_empty() { String::new() } else { format!(" in {}", plural(files.len(), "file")) };
    let following = match problems.following.len() {
        0 => String::new(),
        n => format!(" and {n} more that follow from {}", if problems.list.len() == 1 { "it" } else { "these" }),
    };
    format!("{}{within}{following}. Nothing was planned.", plural(problems.list.len(), "error"))
}

/// What is wrong with the configuration.
pub fn config(error: &ConfigError) -> Report {
    let bare = Diagnostic::new(error.code, &without_passwords(&error.message), error.help.as_deref());
    let Some(span) = error.span.clone() else { return bare.into() };
    bare.within(&error.path, &without_passwords(&error.text), vec![(span, error.label.to_owned())]).into()
}

/// The same text, byte for byte as long, with `*` for the passwords of its URLs and keyword strings; rather too many than too few.
fn without_passwords(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let ends = |from: usize, stops: &[char]| text[from..].find(stops).map_or(text.len(), |at| from + at);
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let url = &text[start..ends(start, &['"', '\'', '\n', ' '])];
        if let (Some(colon), Some(end)) = (url.find(':'), url.rfind('@'))
            && colon < end
        {
            bytes[start + colon + 1..start + end].fill(b'*');
        }
    }
    for (at, mark) in text.match_indices("password=") {
        let start = at + mark.len();
        bytes[start..ends(start, &['"', '\n'])].fill(b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// A connection string, variable or service that does not say where to connect.
pub fn target(error: &TargetError) -> Report {
    general(error.code(), error.to_string(), Some(error.help()))
}

/// A server that cannot be used.
pub fn connect(error: &ConnectError) -> Report {
    general(error.code(), error.to_string(), Some(error.help()))
}

/// A shadow that cannot be had.
pub fn shadow(error: &ShadowError) -> Report {
    general(error.code(), error.to_string(), Some(error.help()))
}

/// An order that does not exist, in sentences.
pub fn cycle(cycle: &Cycle) -> Report {
    let sentences: String = cycle.sentences.iter().map(|s| format!("\n- {s}")).collect();
    let help =
        "this is a bug of plumb: please report it with these sentences. Until then, make one of the changes in a plan of its own";
    general("order::cycle", format!("the steps have no order that works:{sentences}"), Some(help.to_owned()))
}

/// A plan document that cannot be used.
pub fn plan(error: &PlanError) -> Report {
    let (code, help) = match error {
        PlanError::Form(_) => ("plan::form", "plans are what `plumb plan` writes; make a new one"),
        PlanError::Newer(_) => ("plan::newer", "use the plumb that made the plan, or make a new plan with this one"),
        PlanError::Facts(_) => (
            "plan::edited",
            "put back what is named: only the text of statements may be edited, each in its place. What a plan says of them is observed",
        ),
        PlanError::Tampered { .. } => (
            "plan::tampered",
            "if SQL of the plan was edited on purpose, `plumb prove PLAN` proves it again and gives it its new id; else make a new plan",
        ),
    };
    general(code, error.to_string(), Some(help.to_owned()))
}

/// A live database that cannot be read.
pub fn introspect(error: &IntrospectError) -> Report {
    match error {
        IntrospectError::Query { what, source } => match source.as_db_error() {
            Some(said) => refused(what, said.code().code(), said.message()),
            None => {
                let message = format!("the connection was lost while {what} was read: {source}");
                general("introspect::connection", message, Some("try again; the server's log may say more".to_owned()))
            }
        },
        IntrospectError::Unreadable(_) => {
            let help = "update plumb if there is a newer version; it never plans from a catalog that it does not understand";
            general("introspect::unreadable", error.to_string(), Some(help.to_owned()))
        }
        IntrospectError::Busy => {
            let help = "a plan from a torn picture would be wrong, so there is none";
            general("introspect::busy", error.to_string(), Some(help.to_owned()))
        }
    }
}

/// What to do when the server has ended a query or a session, by how its code begins (manual: appendix A).
const ENDED: &[(&str, &str)] = &[
    ("57014", "the server ended the query: see statement_timeout of the role"),
    ("25P03", SILENT),
    ("57P05", SILENT),
    ("57", "the server ended the session: its log says why. Try again"),
    ("53", "the server has not enough left of that: try again when it has"),
];
const SILENT: &str =
    "the server heard nothing of plumb for a while: plumb was stopped, or the line between the two is bad. Try again";

/// The server refused a query on its catalog.
fn refused(what: &str, code: &str, message: &str) -> Report {
    if code == "42501" {
        let message = format!("plumb may not read the catalog ({what}): {message}");
        return general("introspect::permission", message.clone(), Some(missing_right(&message)));
    }
    let help = ENDED
        .iter()
        .find(|(codes, _)| code.starts_with(codes))
        .map_or("this is a bug of plumb: please report it with the server's version", |(_, help)| help);
    general("introspect::query", format!("reading {what} failed: {message} (SQLSTATE {code})"), Some(help.to_owned()))
}

/// `GRANT` words for each class that a "permission denied for CLASS NAME" can name.
const RIGHTS: &[(&str, &str, &str)] = &[
    ("table ", "SELECT ON", "pg_catalog."),
    ("view ", "SELECT ON", "pg_catalog."),
    ("schema ", "USAGE ON SCHEMA", ""),
    ("function ", "EXECUTE ON FUNCTION", "pg_catalog."),
];

/// The GRANT that a superuser has to run.
fn missing_right(message: &str) -> String {
    let denied = message.split("permission denied for ").nth(1).unwrap_or_default();
    let found = RIGHTS.iter().find_map(|(class, words, schema)| Some((words, schema, denied.strip_prefix(class)?)));
    match found {
        Some((words, schema, name)) => {
            format!("as a superuser: GRANT {words} {schema}{name} TO role; where role is the one that plumb connects as")
        }
        None => {
            "connect as a role that may read the whole catalog: its owner, or a member of pg_read_all_settings and pg_monitor"
                .to_owned()
        }
    }
}

/// A report as text: in colour with lines and crosses of Unicode, else in ASCII.
pub fn render(report: &Report, color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_context_lines(1).with_links(false);
    let mut text = String::from("Error: ");
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n",
        Err(_) => format!("Error: {report}\n"),
    }
}

#[cfg(test)]
#[path = "diagnostic_tests.rs"]
mod tests;
