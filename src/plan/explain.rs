//! One step of a plan, all of it: what it does, why, and why it stands where it stands.

use super::definition::Definitions;
use super::document::{Plan, PlanStep};
use super::estimates::Estimates;
use super::facts;
use super::graph::{Edge, StepGraph};
use super::known::{known, mark};
use super::page::{Mark, Page};

/// Where the text of labels begins.
const COLUMN: usize = 2;
/// The longest label.
const LABEL: usize = 7;

/// Why there is no step to explain.
#[derive(Debug, thiserror::Error)]
pub enum NoStep {
    /// No step has this number or name.
    #[error("the plan has no step \"{0}\": its steps are 1 to {1}")]
    None(String, u32),
    /// Several have the name.
    #[error("several steps are about \"{0}\": {1}")]
    Several(String, String),
}

/// The step that a person means: its number, or the name of its object, or a part of that which no other has.
///
/// # Errors
/// When there is none, or more than one.
pub fn find<'a>(plan: &'a Plan, wanted: &str) -> Result<&'a PlanStep, NoStep> {
    if let Some(step) = wanted.parse::<u32>().ok().and_then(|id| plan.steps().find(|s| s.id == id)) {
        return Ok(step);
    }
    let whole = |s: &&PlanStep| s.object.to_string() == wanted || facts::name(&s.object) == wanted;
    let part = |s: &&PlanStep| s.object.to_string().contains(wanted);
    let mut found: Vec<&PlanStep> = plan.steps().filter(whole).collect();
    if found.is_empty() && !wanted.is_empty() {
        found = plan.steps().filter(part).collect();
    }
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(NoStep::None(wanted.to_owned(), plan.steps().map(|s| s.id).max().unwrap_or(0))),
        several => {
            let names: Vec<String> = several.iter().map(|s| format!("{} {} {}", s.id, mark(s).sign(), s.object)).collect();
            Err(NoStep::Several(wanted.to_owned(), facts::some_of(&names, 10)))
        }
    }
}

/// The step as text, ending with a line break.
pub fn render(plan: &Plan, step: &PlanStep, width: usize, color: bool) -> String {
    let mut page = Page::new(width, color);
    let graph = StepGraph::of(plan);
    let definitions = Definitions::of(plan);
    let place = graph.steps.iter().position(|s| s.id == step.id).unwrap_or_default();
    page.titled(&format!("Step {} of {}: ", step.id, graph.steps.len()), mark(step), &step.object.to_string(), "");
    page.say(&format!("{}, {}.", step.phase, transaction(plan, step)));
    definitions.rebuilding(step).iter().for_each(|words| page.say(&format!("{words}.")));
    for hazard in facts::hazards_of(step) {
        page.marked(0, Mark::Bang, &format!("{}: {}", hazard.code, facts::message(hazard)));
    }
    page.blank();
    known(step).iter().for_each(|(label, text)| page.labelled(COLUMN, &format!("{label:LABEL$}"), text));
    let estimates = Estimates::of(plan);
    let more = estimates.time(step).map(|time| ("takes", time)).into_iter();
    let more = more.chain(estimates.tables(step).into_iter().map(|table| ("table", table)));
    more.for_each(|(label, text)| page.labelled(COLUMN, &format!("{label:LABEL$}"), &text));
    edges(&mut page, "Waits for:", graph.before(place), |e| graph.steps[e.from]);
    edges(&mut page, "Has to come before:", graph.behind(place), |e| graph.steps[e.to]);
    let lines = definitions.lines(step);
    if lines.iter().any(|(mark, _)| *mark != Some(Mark::Plus)) {
        page.blank();
        page.say("Definition:");
        for (mark, line) in &lines {
            page.compared(&" ".repeat(COLUMN), *mark, line);
        }
    }
    statements(&mut page, "Statements:", &step.sql);
    back(&mut page, step);
    page.finish().trim_end().to_owned() + "\n"
}

fn transaction(plan: &Plan, step: &PlanStep) -> String {
    let Some(group) = plan.groups.iter().find(|g| g.steps.iter().any(|s| s.id == step.id)) else { return String::new() };
    let others: Vec<u32> = group.steps.iter().map(|s| s.id).collect();
    match (group.transactional, others.len()) {
        (false, _) => "outside a transaction".to_owned(),
        (true, 1) => "in a transaction of its own".to_owned(),
        _ => format!("in one transaction with steps {}", facts::numbers(&others)),
    }
}

fn edges<'a>(page: &mut Page, head: &str, list: impl Iterator<Item = &'a Edge<'a>>, other: impl Fn(&Edge) -> &'a PlanStep) {
    let mut list = list.peekable();
    page.blank();
    if list.peek().is_none() {
        return page.say(&format!("{head} nothing."));
    }
    page.say(head);
    for edge in list {
        let step = other(edge);
        page.note(COLUMN, &format!("{:>3} {} {}", step.id, mark(step).sign(), step.object));
        page.note(COLUMN + 6, edge.sentence);
    }
}

fn statements(page: &mut Page, head: &str, sql: &[String]) {
    page.blank();
    page.say(head);
    sql.iter().for_each(|sql| page.code(&" ".repeat(COLUMN), &format!("{};", sql.trim_end())));
}

fn back(page: &mut Page, step: &PlanStep) {
    let why = step.reverse.why.as_deref();
    match &step.reverse.sql {
        Some(back) => statements(page, &why.map_or("Way back:".to_owned(), |why| format!("Way back ({why}):")), back),
        None => {
            page.blank();
            page.say(&format!("No way back: {}.", why.unwrap_or("none is known")));
        }
    }
}
