//! `plumb graph`: what comes before what in a plan, as a picture.

use super::arguments::{GraphFormat, GraphOptions};
use super::plan::{Making, planned};
use super::prove::read_plan;
use super::workspace::Workspace;
use super::{Outcome, failure};
use crate::exit_code::DONE;
use crate::plan::graph::{StepGraph, dot, mermaid, svg};

/// The command. A plan that is made for it is not proven: nobody approves a picture.
pub async fn run(options: &GraphOptions, workspace: &mut Workspace) -> Outcome {
    let plan = match &options.plan {
        Some(path) => read_plan(path)?,
        None => {
            let online = workspace.config.online;
            planned(
                workspace,
                &options.database,
                &options.wanted,
                Making { online, protect: workspace.config.protect, ..Making::default() },
            )
            .await?
            .plan
        }
    };
    workspace.progress.clear();
    let graph = StepGraph::of(&plan);
    let text = match options.format {
        GraphFormat::Dot => dot::render(&graph),
        GraphFormat::Mermaid => mermaid::render(&graph),
        GraphFormat::Svg => svg::file(&graph),
    };
    if let (GraphFormat::Mermaid, Some((edges, characters))) = (options.format, mermaid::over_limits(&graph, &text)) {
        let (most, longest) = mermaid::LIMITS;
        tracing::warn!(
            "the graph has {edges} edges and {characters} characters; code hosts draw {most} and {longest}: --format svg has no limit"
        );
    }
    failure::print(&text)?;
    Ok(DONE)
}
