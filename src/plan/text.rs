//! The plan for a terminal: the answer first, then the steps, one line each until somebody wants more, and what to type next.

use std::collections::BTreeMap;

use super::answers::{Answer, Answered, answers};
use super::compared::Difference;
use super::document::{Plan, PlanStep};
use super::facts;
use super::page::{Mark, Page};
use crate::catalog::Id;
use crate::hazard::Hazard;

/// Lines of a comparison that are shown of one object.
pub(super) const COMPARED: usize = 12;
/// Lines of one summary that are shown.
const LISTED: usize = 8;

/// How a plan is shown, and what it does not know of itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether marks are coloured.
    pub color: bool,
    /// Columns of the terminal; at most 100 are used.
    pub width: usize,
    /// The live side: `app on db.internal`.
    pub target: String,
    /// Its server: `PostgreSQL 16.4`.
    pub server: String,
    /// The wanted side: `schema/`.
    pub schema: String,
    /// The environment of the configuration, if one was named.
    pub environment: Option<String>,
    /// Where the plan was written to, if it was.
    pub saved: Option<String>,
    /// Whether everything is shown: statements, reasons, whole comparisons.
    pub verbose: bool,
}

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
    transactions(&mut page, plan);
    leftovers(&mut page, plan, options);
    next(&mut page, plan, options);
    page.finish().trim_end().to_owned() + "\n"
}

/// A step as one line while it runs: number, mark and name, in at most so many columns.
pub fn step_line(step: &PlanStep, columns: usize) -> String {
    let name = super::page::clean(&step.object.to_string());
    super::page::shorten(&format!("{:>3} {} {name}", step.id, mark(step).sign()), columns)
}

pub use facts::time;

/// A text of strangers as one line that cannot steer a terminal.
pub fn one_line(text: &str) -> String {
    super::page::clean(text)
}

fn head(page: &mut Page, plan: &Plan, options: &Options) {
    let answer = format!("Plan {}: {}. {}.", plan.short_id(), facts::summary(plan), facts::hazards(plan));
    let proof = facts::timed_proof(plan);
    if answer.len() + 1 + proof.len() <= page.width {
        page.say(&format!("{answer} {proof}"));
    } else {
        page.say(&answer);
        page.say(&proof);
    }
    let place = match &options.environment {
        Some(environment) => format!("{environment} ({}, {})", options.target, options.server),
        None => format!("{} ({})", options.target, options.server),
    };
    page.say(&format!("For {place}, from {}.", options.schema));
}

fn nothing(page: &mut Page, plan: &Plan, options: &Options) {
    let objects = plan.observed.get("objects").and_then(serde_json::Value::as_u64);
    let objects = objects.map(|n| facts::count(n as usize, "object"));
    let known: Vec<String> = objects.into_iter().chain(facts::seconds(plan, "elapsed_seconds")).collect();
    let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    page.say(&format!("No changes: {} equals {}{known}.", options.target, options.schema));
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
    let answers = answers(plan);
    let mut phase = "";
    for step in plan.steps() {
        if step.phase != phase {
            page.blank();
            page.say(&step.phase);
            phase = &step.phase;
        }
        one(page, plan, step, &columns, &rebuilt, &answers, options);
    }
}

type Rebuilt<'a> = BTreeMap<&'a Id, (u32, u32)>;

fn one(
    page: &mut Page,
    plan: &Plan,
    step: &PlanStep,
    columns: &Columns,
    rebuilt: &Rebuilt,
    answers: &[Answered],
    options: &Options,
) {
    let lead = format!(" {:>number$}  ", step.id, number = columns.number);
    let name = format!("{:class$} {}", step.object.class(), facts::name(&step.object), class = columns.class);
    let source = step.source.as_ref().map_or(String::new(), |s| format!("{}:{}", s.file, s.line));
    page.titled(&lead, mark(step), &name, &source);
    let at = columns.text();
    let other = match rebuilt.get(&step.object) {
        Some((dropped, made)) if *dropped == step.id => {
            page.note(at, &format!("rebuilt in step {made}: {}", facts::because(&step.reason)));
            None
        }
        Some((dropped, _)) => {
            page.note(at, &format!("rebuilt after step {dropped}"));
            plan.steps().find(|s| s.id == *dropped)
        }
        None => None,
    };
    changed(page, step, other, at, options);
    for scanned in &step.scans {
        page.note(at, &scan(step, scanned));
    }
    hazards(page, step, columns, options);
    for answered in answers.iter().filter(|a| a.step == step.id) {
        match &answered.answer {
            Answer::Holds if !options.verbose => {}
            answer if answer.fails() => page.marked(columns.mark(), Mark::Bang, &format!("fails: {}", answered.sentence())),
            _ => page.note(at, &answered.sentence()),
        }
    }
    if options.verbose {
        verbose(page, step, at);
    }
}

fn mark(step: &PlanStep) -> Mark {
    match step.change.as_str() {
        "create" => Mark::Plus,
        "drop" => Mark::Minus,
        _ => Mark::Tilde,
    }
}

fn scan(step: &PlanStep, relation: &str) -> String {
    let meanwhile = step.locks.iter().find(|l| l.relation == relation).map_or("blocks nobody", |l| match l.mode {
        mode if mode.blocks_reads() => "blocks reads and writes meanwhile",
        mode if mode.blocks_writes() => "blocks writes meanwhile",
        _ => "blocks nobody",
    });
    format!("reads all of {relation}, {meanwhile}")
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
        Difference::Lines(lines) => {
            if !fields.is_empty() {
                page.note(at, &fields);
            }
            listed(page, at, &lines, most);
        }
        Difference::None if step.change == "alter" && !options.verbose => statements(page, step, at, most),
        Difference::None => {}
    }
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
    page.labelled(at, "why  ", &step.reason);
    for (earlier, sentence) in &step.after {
        page.labelled(at, "after", &format!("step {earlier}: {sentence}"));
    }
    for lock in &step.locks {
        page.labelled(at, "lock ", &format!("{} on {}", lock.mode, lock.relation));
    }
    for sql in &step.sql {
        page.code(&format!("{}sql    ", " ".repeat(at)), &format!("{sql};"));
    }
    match &step.reverse.sql {
        Some(back) => back.iter().for_each(|sql| page.code(&format!("{}back   ", " ".repeat(at)), &format!("{sql};"))),
        None => page.labelled(at, "back ", step.reverse.why.as_deref().unwrap_or("there is none")),
    }
}

fn locks(page: &mut Page, plan: &Plan, options: &Options) {
    let blocking = facts::blocking(plan);
    let steps = |list: &[u32]| format!("step{} {}", if list.len() == 1 { "" } else { "s" }, facts::numbers(list));
    match blocking.as_slice() {
        [] if plan.is_empty() => {}
        [] => page.say("Locks that block someone: none."),
        [one] => {
            let words = format!("{} on {}, {} ({})", one.mode, one.relation, one.whom(), steps(&one.steps));
            page.say(&format!("Locks that block someone: {words}."));
        }
        list => {
            page.say("Locks that block someone:");
            let most = if options.verbose { usize::MAX } else { LISTED };
            for one in list.iter().take(most) {
                page.note(2, &format!("{} on {}, {} ({})", one.mode, one.relation, one.whom(), steps(&one.steps)));
            }
            if list.len() > most {
                page.note(2, &format!("… {} (--verbose shows all)", facts::count(list.len() - most, "more relation")));
            }
        }
    }
}

/// How the steps are cut, when there is more than one transaction.
fn transactions(page: &mut Page, plan: &Plan) {
    if plan.groups.len() < 2 {
        return;
    }
    let groups = plan.groups.iter().map(|g| {
        let steps: Vec<u32> = g.steps.iter().map(|s| s.id).collect();
        format!("{}{}", facts::numbers(&steps), if g.transactional { "" } else { " (outside a transaction)" })
    });
    let groups: Vec<String> = groups.collect();
    page.say(&format!("Committed {} times: steps {}.", groups.len(), groups.join("; ")));
}

/// What the plan does not do: never silent.
fn leftovers(page: &mut Page, plan: &Plan, options: &Options) {
    let most = if options.verbose { usize::MAX } else { 3 };
    facts::unmanaged_sentences(plan, &options.target, &options.schema, options.verbose).iter().for_each(|s| page.say(s));
    if !plan.pending.is_empty() {
        let list: Vec<String> = plan.pending.iter().map(|p| format!("{} {}", p.change, p.object)).collect();
        page.say(&format!("Left for another phase: {} ({}).", facts::count(list.len(), "step"), facts::some_of(&list, most)));
    }
    if !plan.outside_scope.is_empty() && (!plan.is_empty() || options.verbose) {
        let words = facts::count(plan.outside_scope.len(), "object");
        page.say(&format!("Outside scope: {words} ({}).", facts::some_of(&plan.outside_scope, most)));
    }
    let roles = facts::roles(plan);
    if !roles.is_empty() {
        let most = if options.verbose { usize::MAX } else { LISTED };
        page.say(&format!("Roles that have to exist: {}.", facts::some_of(&roles, most)));
    }
    for warning in &plan.warnings {
        page.say(&format!("Warning: {warning}"));
    }
}

/// What to type next.
fn next(page: &mut Page, plan: &Plan, options: &Options) {
    if plan.is_empty() {
        return;
    }
    page.blank();
    let Some(saved) = &options.saved else {
        return page.say("Not saved. To keep it and run it: plumb plan --out FILE");
    };
    page.say(&format!("Saved as {saved}. To run it:"));
    let environment = options.environment.iter().map(|e| format!("--env {}", shell(e)));
    let allowed = facts::refused(plan).into_iter().map(|code| format!("--allow {}", shell(&code)));
    let parts: Vec<String> = environment.chain(allowed).collect();
    let mut line = format!("  plumb apply {}", shell(saved));
    for part in parts {
        // A broken line must still be one command.
        if line.len() + part.len() + 3 > page.width {
            page.command(&format!("{line} \\"));
            line = "     ".to_owned();
        }
        line = format!("{line} {part}");
    }
    page.command(&line);
}

/// A word as a shell takes it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
