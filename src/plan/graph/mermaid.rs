//! The graph for Mermaid, which code hosts draw in Markdown.

use std::fmt::Write;

use super::StepGraph;
use crate::plan::PlanStep;
use crate::plan::facts::hurts;

/// What Mermaid draws unless it is told otherwise: edges, and characters of the text.
pub const LIMITS: (usize, usize) = (500, 50_000);

/// Classes of nodes and how they look; legible on light and dark.
const STYLES: &[(&str, &str)] =
    &[("create", "stroke:#2da44e"), ("alter", "stroke:#bf8700"), ("drop", "stroke:#cf222e"), ("hurts", "stroke-width:3px")];

/// The text.
pub fn render(graph: &StepGraph) -> String {
    let mut text = String::from("flowchart LR\n");
    for (place, step) in graph.steps.iter().enumerate() {
        let (title, name) = graph.label(place);
        let _ = writeln!(text, "  s{}[\"{}<br>{}\"]", step.id, coded(&title), coded(&name));
    }
    for edge in graph.drawn() {
        let _ = writeln!(text, "  s{} --> s{}", graph.steps[edge.from].id, graph.steps[edge.to].id);
    }
    for (class, style) in STYLES {
        let change = |s: &PlanStep| if s.change == "quarantine" { "drop".to_owned() } else { s.change.clone() };
        let of = graph.steps.iter().filter(|s| change(s) == *class || (*class == "hurts" && hurts(s)));
        let of: Vec<String> = of.map(|s| format!("s{}", s.id)).collect();
        if !of.is_empty() {
            let _ = writeln!(text, "  classDef {class} {style}\n  class {} {class}", of.join(","));
        }
    }
    text
}

/// The number of edges and characters, when Mermaid would refuse them.
pub fn over_limits(graph: &StepGraph, text: &str) -> Option<(usize, usize)> {
    let (edges, characters) = (graph.drawn().len(), text.chars().count());
    (edges > LIMITS.0 || characters > LIMITS.1).then_some((edges, characters))
}

/// Mermaid's own codes for everything that could end a label or be read as markup.
fn coded(text: &str) -> String {
    let mut coded = String::new();
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !" ._-+~()".contains(c) {
            let _ = write!(coded, "#{};", c as u32);
        } else {
            coded.push(c);
        }
    }
    coded
}
