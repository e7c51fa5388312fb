//! The graph for Graphviz.

use std::fmt::Write;

use super::StepGraph;
use crate::plan::facts::hurts;

/// The text; the sentence of an edge is its tooltip.
pub fn render(graph: &StepGraph) -> String {
    let mut text = String::from(
        "// Steps of a plan; an edge says what comes before what, and edges that others imply are left out.\n\
         digraph plan {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"monospace\", fontsize=10];\n",
    );
    for (place, step) in graph.steps.iter().enumerate() {
        let (title, name) = graph.label(place);
        let color = match (!hurts(step), step.change.as_str()) {
            (false, _) => "red",
            (_, "create") => "darkgreen",
            (_, "drop" | "quarantine") => "firebrick",
            _ => "darkorange3",
        };
        let tooltip = quoted(&super::clean(&step.reason));
        let label = format!("{}\\n{}", quoted(&title), quoted(&name));
        let _ = writeln!(text, "  s{} [label=\"{label}\", color={color}, tooltip=\"{tooltip}\"];", step.id);
    }
    for edge in graph.drawn() {
        let (from, to) = (graph.steps[edge.from].id, graph.steps[edge.to].id);
        let _ = writeln!(text, "  s{from} -> s{to} [tooltip=\"{}\"];", quoted(&super::clean(edge.sentence)));
    }
    text + "}\n"
}

/// Inside a quoted string, as it stands. Graphviz reads entities such as `&amp;` in labels, too.
fn quoted(text: &str) -> String {
    text.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"")
}
