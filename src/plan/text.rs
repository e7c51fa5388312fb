//! The plan for a terminal: the answer first, then the steps, one line each until somebody wants more, and what to type next.

use std::collections::BTreeMap;

use super::answers::{Answer, Answered, answers};
use super::compared::Difference;
use super::document::{Plan, PlanStep};
use super::estimates::Estimates;
use super::facts;
use super::known::{self, known, mark, source, work};
use super::notes;
use super::page::{Mark, Page};
use crate::catalog::Id;
use crate::hazard::Hazard;

pub use super::options::Options;

/// The longest name of a column with what the column is.
const COLUMN: usize = 64;
/// Lines of a comparison that are shown of one object.
pub(super) const COMPARED: usize = 12;

/// The plan as text, ending with a line break. `observed.proof_seconds`, `observed.elapsed_seconds` and `observed.objects` are shown
/// where they are known.
pub fn render(plan: &Plan, options: &Options) -> String {
    let mut page = Page::new(options.width, options.color);
    if plan.is_empty() {
        nothing(&mut page, plan, options);
    } else {
        head(&mut page, plan, options);
        steps(&mut page, plan, options);
    }
    page.blank();
    locks(&mut page, plan, options);
    notes::transactions(plan).iter().chain(&notes::leftovers(plan, options)).for_each(|note| page.say(note));
    next(&mut page, plan, options);
    page.finish().trim_end().to_owned() + "\n"
}

/// A step as one line while it runs: number, mark and name, in at most so many columns.
pub fn step_line(step: &PlanStep, columns: usize) -> String {
    let name = super::page::clean(&step.object.to_string()) + &facts::part(step);
    super::page::shorten(&format!("{:>3} {} {name}", step.id, mark(step).sign()), columns)
}

pub use facts::time;

/// A text of strangers as one line that cannot steer a terminal.
pub fn one_line(text: &str) -> String {
    super::page::clean(text)
}

fn head(page: &mut Page, plan: &Plan, options: &Options) {
    let answer = format!("Plan {}: {}; {}.", plan.short_id(), facts::summary(plan), facts::hazards(plan));
    let proof = facts::timed_proof(plan);
    if answer.len() + 1 + proof.len() <= page.width {
        page.say(&format!("{answer} {proof}"));
    } else {
        page.say(&answer);
        page.say(&proof);
    }
    page.say(&format!("For {}, from {}.", options.place(), options.schema));
    facts::nature(plan).iter().for_each(|words| page.say(words));
}

fn nothing(page: &mut Page, plan: &Plan, options: &Options) {
    let objects = plan.observed.get("objects").and_then(serde_json::Value::as_u64);
    let objects = objects.map(|n| facts::count(n as usize, "object"));
    let known: Vec<String> = objects.into_iter().chain(facts::seconds(plan, "elapsed_seconds")).collect();
    let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    match facts::nature(plan).as_slice() {
        [] => page.say(&format!("No changes: {} equals {}{known}.", options.target, options.schema)),
        words => words.iter().for_each(|words| page.say(words)),
    }
}

/// Columns that all steps share.
struct Columns {
    number: usize,
    class: usize,
}

impl Columns {
    fn of(plan: &Plan) -> Columns {
        let number = plan.steps().map(|s| s.id.to_string().len()).max().unwrap_or(1).max(2);
        Columns { number, class: plan.steps().map(|s| s.object.class().len()).max().unwrap_or(0) }
    }

    /// Where the mark of a step stands.
    fn mark(&self) -> usize {
        1 + self.number + 2
    }

    /// Where the text of a step stands.
    fn text(&self) -> usize {
        self.mark() + 2
    }
}

fn steps(page: &mut Page, plan: &Plan, options: &Options) {
    let columns = Columns::of(plan);
    let rebuilt = facts::rebuilt(plan);
    let said = (answers(plan), Estimates::of(plan));
    for phase in facts::phases(plan) {
        page.blank();
        page.say(phase);
        for step in plan.steps().filter(|s| s.phase == phase) {
            one(page, plan, step, &columns, &rebuilt, (&said.0, &said.1), options);
        }
    }
}

type Rebuilt<'a> = BTreeMap<&'a Id, (u32, u32)>;

fn one(
    page: &mut Page,
    plan: &Plan,
    step: &PlanStep,
    columns: &Columns,
    rebuilt: &Rebuilt,
    said: (&[Answered], &Estimates),
    options: &Options,
) {
    let lead = format!(" {:>number$}  ", step.id, number = columns.number);
    let name = format!("{:class$} {}", step.object.class(), facts::name(&step.object), class = columns.class);
    // A column says what it is where that needs no more than its line.
    let what = facts::column(step).filter(|what| !what.contains('\n') && name.len() + what.len() <= COLUMN);
    let name = what.map_or(name.clone(), |what| format!("{name}  {what}")) + &facts::part(step);
    page.titled(&lead, mark(step), &name, &source(step).unwrap_or_default());
    let at = columns.text();
    let halves = rebuilt.get(&step.object).copied();
    if let Some(words) = halves.and_then(|halves| facts::rebuilding(step, halves)) {
        page.note(at, &words);
    }
    let other = halves.filter(|(_, made)| *made == step.id).and_then(|(dropped, _)| plan.steps().find(|s| s.id == dropped));
    if step.edited && !options.verbose {
        page.note(at, "edited by hand:");
        statements(page, step, at, COMPARED);
    } else {
        changed(page, step, other, at, options);
    }
    for aside in known::aside(step).iter().filter(|_| !options.verbose) {
        page.note(at, aside);
    }
    for batches in step.batches.iter().filter(|_| !options.verbose) {
        page.note(at, &known::batches(batches));
    }
    work(step, said.1).iter().for_each(|line| page.note(at, line));
    hazards(page, step, columns, options);
    for answered in said.0.iter().filter(|a| a.step == step.id) {
        match &answered.answer {
            Answer::Holds if !options.verbose => {}
            answer if answer.fails() => page.marked(columns.mark(), Mark::Bang, &format!("fails: {}", answered.sentence())),
            _ => page.note(at, &answered.sentence()),
        }
    }
    if options.verbose {
        verbose(page, step, at);
        said.1.tables(step).iter().for_each(|table| page.labelled(at, "table ", table));
    }
}

/// What changes: per field the old and the new words, or changed lines of the definition, or else the statements. For what is
/// made again after `dropped`, how it differs from what that was.
fn changed(page: &mut Page, step: &PlanStep, dropped: Option<&PlanStep>, at: usize, options: &Options) {
    let most = if options.verbose { usize::MAX } else { COMPARED };
    let (fields, difference) = match dropped {
        Some(dropped) => (String::new(), facts::redefined(dropped, step)),
        None => (facts::fields(step), facts::difference(step)),
    };
    match difference {
        Difference::Words { old, new } => words(page, &fields, at, (&old, &new)),
        Difference::Lines(lines) if facts::said(step, &lines) => statements(page, step, at, most),
        Difference::Lines(lines) => {
            if !fields.is_empty() {
                page.note(at, &fields);
            }
            listed(page, at, &lines, most);
        }
        Difference::None if shows_statements(step) && !options.verbose => statements(page, step, at, most),
        Difference::None => {}
    }
}

/// Whether the name of a step says too little without its statements: changes without a comparison, and who may do what.
fn shows_statements(step: &PlanStep) -> bool {
    ["alter", "rename"].contains(&step.change.as_str())
        || facts::fills(step)
        || (step.change == "create" && facts::RIGHTS.contains(&step.object.class()))
}

fn words(page: &mut Page, fields: &str, at: usize, (old, new): (&str, &str)) {
    let short = format!("{old} → {new}");
    let label = if fields.is_empty() { String::new() } else { format!("{fields}  ") };
    if !old.is_empty() && !new.is_empty() && at + label.len() + short.len() <= page.width.min(72) {
        return page.note(at, &format!("{label}{short}"));
    }
    let lead = format!("{}{label}", " ".repeat(at));
    let rest = " ".repeat(lead.len());
    let marked = [(Mark::Minus, old), (Mark::Plus, new)];
    for (i, (mark, text)) in marked.into_iter().filter(|(_, t)| !t.is_empty()).enumerate() {
        page.compared(if i == 0 { &lead } else { &rest }, Some(mark), text);
    }
}

/// Changed lines, at most so many of them.
pub(super) fn listed(page: &mut Page, at: usize, lines: &[(Option<Mark>, String)], most: usize) {
    let mut used = 0;
    for (i, (mark, line)) in lines.iter().enumerate() {
        if used >= most && lines.len() - i > 1 {
            return page.note(at, &format!("… {} more lines (--verbose shows all)", lines.len() - i));
        }
        used += page.compared(&" ".repeat(at), *mark, line);
    }
}

fn statements(page: &mut Page, step: &PlanStep, at: usize, most: usize) {
    let lines: Vec<&str> = step.sql.iter().flat_map(|s| s.lines()).collect();
    for line in lines.iter().take(most) {
        page.note(at, line);
    }
    if lines.len() > most {
        page.note(at, &format!("… {} more lines (--verbose shows all)", lines.len() - most));
    }
}

fn hazards(page: &mut Page, step: &PlanStep, columns: &Columns, options: &Options) {
    for hazard in step.hazards.iter().filter(|h| options.verbose || h.matters()) {
        page.marked(columns.mark(), Mark::Bang, &hazard.words());
        if let Some(at) = &hazard.at {
            page.excerpt(columns.text(), &format!("{}: ", at.place()), &at.text, at.from..at.to);
        }
    }
    if let Some(why) = step.reverse.why.as_ref().filter(|_| step.hazards.iter().any(Hazard::refused)) {
        let back = if step.reverse.sql.is_some() { "way back" } else { "no way back" };
        page.note(columns.text(), &format!("{back}: {why}"));
    }
}

/// Everything else that is known of a step.
fn verbose(page: &mut Page, step: &PlanStep, at: usize) {
    for (label, text) in known(step).iter().filter(|(label, _)| !["source", "note"].contains(label)) {
        page.labelled(at, &format!("{label:6}"), text);
    }
    for (earlier, sentence) in &step.after {
        page.labelled(at, "after ", &format!("step {earlier}: {sentence}"));
    }
    for sql in &step.sql {
        page.code(&format!("{}sql     ", " ".repeat(at)), &format!("{sql};"));
    }
    match &step.reverse.sql {
        Some(back) => back.iter().for_each(|sql| page.code(&format!("{}back    ", " ".repeat(at)), &format!("{sql};"))),
        None => page.labelled(at, "back  ", step.reverse.why.as_deref().unwrap_or("there is none")),
    }
}

fn locks(page: &mut Page, plan: &Plan, options: &Options) {
    match notes::locks(plan).as_slice() {
        [] if plan.is_empty() => {}
        [] => page.say("Locks that block someone: none."),
        [one] => page.say(&format!("Locks that block someone: {one}.")),
        list => {
            page.say("Locks that block someone:");
            let most = if options.verbose { usize::MAX } else { notes::LISTED };
            list.iter().take(most).for_each(|one| page.note(2, one));
            if list.len() > most {
                page.note(2, &format!("… {} (--verbose shows all)", facts::count(list.len() - most, "more relation")));
            }
        }
    }
}

/// What to type next.
fn next(page: &mut Page, plan: &Plan, options: &Options) {
    if plan.is_empty() {
        return;
    }
    page.blank();
    let (Some(saved), Some(words)) = (&options.saved, options.apply(plan)) else {
        return page.say("Not saved. To keep it and run it: plumb plan --out FILE");
    };
    page.say(&format!("Saved as {saved}. To run it:"));
    let mut words = words.into_iter();
    let mut line = format!("  {}", words.next().unwrap_or_default());
    for part in words {
        // A broken line must still be one command.
        if line.len() + part.len() + 3 > page.width {
            page.command(&format!("{line} \\"));
            line = "     ".to_owned();
        }
        line = format!("{line} {part}");
    }
    page.command(&line);
}
