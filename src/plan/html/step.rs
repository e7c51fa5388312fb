//! One step on the page.

use super::super::definition::{Definitions, Line};
use super::super::document::PlanStep;
use super::super::estimates::Estimates;
use super::super::facts;
use super::super::graph::{Edge, StepGraph};
use super::super::known::{known, mark, source};
use super::super::markup::{escape, line, sentence};
use super::super::page::Mark;

/// Lines of a definition that stand open.
const OPEN: usize = 24;

/// What the steps need of each other to be written.
pub struct Writer<'a> {
    graph: &'a StepGraph<'a>,
    definitions: &'a Definitions<'a>,
    estimates: Estimates,
    /// Edges by their earlier step.
    behind: Vec<Vec<&'a Edge<'a>>>,
}

impl<'a> Writer<'a> {
    /// For the steps of a graph.
    pub fn new(graph: &'a StepGraph<'a>, definitions: &'a Definitions<'a>, estimates: Estimates) -> Writer<'a> {
        let mut behind = vec![Vec::new(); graph.steps.len()];
        graph.edges.iter().for_each(|e| behind[e.from].push(e));
        Writer { graph, definitions, estimates, behind }
    }

    /// The step folded to one line. The anchor stands inside, so that following a link opens it.
    pub fn folded(&self, step: &PlanStep) -> String {
        let hurts: String = facts::hazards_of(step).map(|h| format!(" <span class=\"bad\">{}</span>", line(&h.code))).collect();
        let place = source(step).map_or(String::new(), |s| format!("<span class=\"source\">{}</span>", line(&s)));
        format!(
            "<details class=\"step\">\n<summary><span class=\"number\">{}</span> {} <span class=\"class\">{}</span> \
             <b>{}</b>{}{hurts}{place}</summary>\n<div class=\"body\" id=\"step-{}\">\n{}</div>\n</details>\n",
            step.id,
            sign(mark(step)),
            line(step.object.class()),
            line(&facts::name(&step.object)),
            facts::part(step),
            step.id,
            self.body(step)
        )
    }

    fn body(&self, step: &PlanStep) -> String {
        let hazards = facts::hazards_of(step)
            .map(|h| format!("<p class=\"hazard\"><b>! {}</b>: {}.</p>\n", line(&h.code), sentence(&facts::message(h))));
        let hazards: String = hazards.collect();
        let place = self.graph.steps.binary_search_by_key(&step.id, |s| s.id).unwrap_or_default();
        let before: Vec<&Edge> = self.graph.before(place).collect();
        let facts: String =
            known(step).iter().map(|(label, text)| format!("<dt>{label}</dt><dd>{}</dd>\n", line(text))).collect();
        let takes = self.estimates.time(step).map(|time| ("takes", time)).into_iter();
        let tables = self.estimates.tables(step).into_iter().map(|table| ("table", table));
        let more: String =
            takes.chain(tables).map(|(label, text)| format!("<dt>{label}</dt><dd>{}</dd>\n", line(&text))).collect();
        let rebuilt = self.definitions.rebuilding(step).map_or(String::new(), |r| format!("<p>{}</p>\n", line(&r)));
        let definition = compared(&self.definitions.lines(step));
        [
            hazards,
            rebuilt,
            format!("<dl>\n<dt>phase</dt><dd>{}</dd>\n{facts}{more}</dl>\n", line(&step.phase)),
            definition,
            self.edges("Waits for", &before, |e| e.from),
            self.edges("Has to come before", &self.behind[place], |e| e.to),
            format!("<h4>SQL</h4>\n{}", statements(&step.sql)),
            back(step),
        ]
        .concat()
    }

    fn edges(&self, head: &str, edges: &[&Edge], other: impl Fn(&Edge) -> usize) -> String {
        if edges.is_empty() {
            return String::new();
        }
        let item = |edge: &&Edge| {
            let step = self.graph.steps[other(edge)];
            let (id, object) = (step.id, line(&step.object.to_string()));
            format!("<li><a href=\"#step-{id}\">{id} {} {object}</a>: {}</li>\n", mark(step).sign(), line(edge.sentence))
        };
        format!("<h4>{head}</h4>\n<ul>\n{}</ul>\n", edges.iter().map(item).collect::<String>())
    }
}

fn sign(mark: Mark) -> String {
    let class = class(Some(mark));
    format!("<span class=\"sign {class}\">{}</span>", mark.sign())
}

fn class(mark: Option<Mark>) -> &'static str {
    match mark {
        Some(Mark::Plus) => "plus",
        Some(Mark::Minus) => "minus",
        Some(Mark::Tilde) => "tilde",
        Some(Mark::Bang) => "bang",
        None => "same",
    }
}

/// The definition before and after; a long one is folded behind its first lines.
fn compared(lines: &[Line]) -> String {
    // What only comes or goes is its SQL, which stands below.
    let only = |mark: Mark| lines.iter().all(|(m, _)| *m == Some(mark));
    if lines.is_empty() || only(Mark::Plus) {
        return String::new();
    }
    let one = |(mark, text): &Line| {
        format!("<span class=\"{}\">{} {}</span>\n", class(*mark), mark.map_or(' ', Mark::sign), line(text))
    };
    let written =
        |lines: &[Line]| format!("<pre class=\"diff\" tabindex=\"0\">{}</pre>\n", lines.iter().map(one).collect::<String>());
    if lines.len() <= OPEN + 4 {
        return format!("<h4>Definition</h4>\n{}", written(lines));
    }
    let more = facts::count(lines.len() - OPEN, "more line");
    format!(
        "<h4>Definition</h4>\n{}<details><summary>{more}</summary>{}</details>\n",
        written(&lines[..OPEN]),
        written(&lines[OPEN..])
    )
}

fn statements(sql: &[String]) -> String {
    let all: String = sql.iter().map(|s| format!("{};\n", escape(s.trim_end()))).collect();
    format!("<pre tabindex=\"0\">{all}</pre>\n")
}

fn back(step: &PlanStep) -> String {
    let why = step.reverse.why.as_ref().map_or(String::new(), |w| format!("<p>{}.</p>\n", sentence(w)));
    match &step.reverse.sql {
        Some(back) => format!("<h4>Way back</h4>\n{why}{}", statements(back)),
        None => format!("<h4>No way back</h4>\n{why}"),
    }
}
