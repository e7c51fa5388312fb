//! `plumb explain PLAN STEP`: why this step, and why here.

use super::arguments::ExplainOptions;
use super::failure::Failure;
use super::prove::read_plan;
use super::workspace::Workspace;
use super::{Outcome, failure, terminal};
use crate::exit_code::DONE;
use crate::plan::explain;

/// The command.
pub fn run(options: &ExplainOptions, workspace: &Workspace) -> Outcome {
    let plan = read_plan(&options.plan)?;
    let step = explain::find(&plan, &options.step).map_err(|e| {
        Failure::new("plan::step", explain_words(&e))
            .help("give the number of a step, or so much of its object's name that only one has it")
    })?;
    failure::print(&explain::render(&plan, step, terminal::width(std::io::stdout()), workspace.color))?;
    Ok(DONE)
}

/// Names come from a file that somebody sent.
fn explain_words(error: &explain::NoStep) -> String {
    crate::plan::text::one_line(&error.to_string())
}
