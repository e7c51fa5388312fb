//! Files that a plan is written to besides its document, each in the form that its ending names.

use std::path::PathBuf;

use super::failure::Failure;
use super::plan::write_file;
use crate::plan::graph::{StepGraph, dot, mermaid, svg};
use crate::plan::{self, Options, Plan};

/// A form of a plan.
type Form = fn(&Plan, &Options) -> String;

/// The forms by the endings of their files.
static FORMS: &[(&str, Form)] = &[
    ("md", plan::markdown::render),
    ("html", plan::html::render),
    ("sql", |plan, options| plan::sql::render(plan, options.lock_timeout)),
    ("json", |plan, _| plan::write(plan)),
    ("txt", |plan, options| plan::text::render(plan, &Options { color: false, ..options.clone() })),
    ("svg", |plan, _| svg::file(&StepGraph::of(plan))),
    ("dot", |plan, _| dot::render(&StepGraph::of(plan))),
    ("mmd", |plan, _| mermaid::render(&StepGraph::of(plan))),
];

/// A file to be written.
#[derive(Clone)]
pub struct Report {
    path: PathBuf,
    form: Form,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// A path whose ending names a form.
pub fn parse(text: &str) -> Result<Report, String> {
    let path = PathBuf::from(text);
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    match FORMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(ending)) {
        Some((_, form)) => Ok(Report { form: *form, path }),
        None => {
            let endings: Vec<String> = FORMS.iter().map(|(ending, _)| format!(".{ending}")).collect();
            Err(format!("the ending of the file says what is written: {}", endings.join(" ")))
        }
    }
}

/// Writes all of them.
pub fn write(reports: &[Report], plan: &Plan, options: &Options) -> Result<(), Failure> {
    reports.iter().try_for_each(|report| write_file(&report.path, &(report.form)(plan, options)))
}
