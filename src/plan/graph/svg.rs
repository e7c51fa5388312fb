//! The graph as a picture.

use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

use super::layout::{Layout, Point, Size, layout};
use super::{Edge, StepGraph};
use crate::plan::facts;
use crate::plan::markup::line;

/// The width of a column of text, its padding, and the height of a box.
const LETTER: f64 = 7.3;
const PADDING: f64 = 10.0;
const HEIGHT: f64 = 40.0;
/// The narrowest box.
const NARROWEST: f64 = 110.0;

/// How the picture looks: the page's own colours where it stands in one.
const STYLE: &str = include_str!("svg.css");

/// A file of its own, in the colours that its reader prefers.
pub fn file(graph: &StepGraph) -> String {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let style =
        format!("<style>{COLORS}{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n", COLORS = COLORS);
    format!("{head}{}", picture(graph, &style, |_, body| format!("<g class=\"box\">{body}</g>")))
}

/// The colours of a file of its own; a page has the same names.
const COLORS: &str = include_str!("colors.css");

/// The picture inside a page: boxes are links to what is said of their steps.
pub fn inline(graph: &StepGraph) -> String {
    picture(graph, "", |id, body| format!("<a class=\"box\" href=\"#step-{id}\">{body}</a>"))
}

fn picture(graph: &StepGraph, head: &str, link: impl Fn(u32, &str) -> String) -> String {
    let edges = graph.drawn();
    let arrows: Vec<(usize, usize)> = edges.iter().map(|e| (e.from, e.to)).collect();
    let labels: Vec<(String, String)> = (0..graph.steps.len()).map(|place| graph.label(place)).collect();
    let sizes: Vec<Size> = labels.iter().map(size).collect();
    let laid = layout(&sizes, &arrows);
    let (width, height) = laid.size;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"graph\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"group\" aria-label=\"What comes before what\">\n{head}<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
         markerUnits=\"userSpaceOnUse\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
    );
    svg += "<g class=\"edges\">\n";
    edges.iter().zip(&laid.routes).for_each(|(edge, way)| svg += &arrow(graph, edge, way));
    svg += "</g>\n<g class=\"boxes\">\n";
    for (place, step) in graph.steps.iter().enumerate() {
        let body = content(graph, place, &labels[place], &sizes, &laid);
        let hurts = if facts::hurts(step) { " hurts" } else { "" };
        let change = match step.change.as_str() {
            "create" => "create",
            "drop" | "quarantine" => "drop",
            _ => "alter",
        };
        let _ = writeln!(svg, "<g class=\"node {change}{hurts}\" data-step=\"{}\">{}</g>", step.id, link(step.id, &body));
    }
    svg + "</g>\n</svg>\n"
}

fn size((title, name): &(String, String)) -> Size {
    let columns = title.width().max(name.width()) as f64;
    ((columns * LETTER + 2.0 * PADDING).max(NARROWEST).ceil(), HEIGHT)
}

fn content(graph: &StepGraph, place: usize, (title, name): &(String, String), sizes: &[Size], laid: &Layout) -> String {
    let ((x, y), (width, height)) = (laid.places[place], sizes[place]);
    let left = x + PADDING;
    let step = graph.steps[place];
    let tooltip = line(&format!("step {}: {} {}: {}", step.id, step.change, step.object, step.reason));
    format!(
        "<title>{tooltip}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\
         <text x=\"{left}\" y=\"{}\">{}</text><text class=\"name\" x=\"{left}\" y=\"{}\">{}</text>",
        y + 16.0,
        line(title),
        y + 32.0,
        line(name)
    )
}

fn arrow(graph: &StepGraph, edge: &Edge, way: &[Point]) -> String {
    let (from, to) = (graph.steps[edge.from].id, graph.steps[edge.to].id);
    let sentence = line(&format!("{from} before {to}: {}", edge.sentence));
    format!(
        "<path data-from=\"{from}\" data-to=\"{to}\" marker-end=\"url(#tip)\" d=\"{}\"><title>{sentence}</title></path>\n",
        curve(way)
    )
}

/// Straight through columns, curved between them.
fn curve(way: &[Point]) -> String {
    let Some((first, rest)) = way.split_first() else { return String::new() };
    let mut path = format!("M{} {}", first.0, first.1);
    let mut last = *first;
    for point in rest {
        if point.1 == last.1 {
            let _ = write!(path, "H{}", point.0);
        } else {
            let middle = ((last.0 + point.0) / 2.0).round();
            let _ = write!(path, "C{middle} {} {middle} {} {} {}", last.1, point.1, point.0, point.1);
        }
        last = *point;
    }
    path
}
