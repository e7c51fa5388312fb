//! Differences for a person and for a program: what `plumb drift` and `plumb diff` print.

use serde::Serialize;

use super::acceptance::{Acceptance, of_difference, one_sided};
use super::compared::Difference as Compared;
use super::difference::{Difference, State, Topic, beyond_switches, compared, differences, switches};
use super::document::{Plan, UnmanagedDifference};
use super::facts;
use super::notes;
use super::page::{Mark, Page};
use super::text::{COMPARED, listed};
use crate::report::Accepted;

/// The version of the JSON document's form; 0 until it is declared stable.
pub const FORMAT: u32 = 0;
/// Lines of SQL that are shown in each direction.
const STATEMENTS: usize = 8;
/// Where the text below a difference stands.
const COLUMN: usize = 6;

/// From where the two sides are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What became of the live side: `+` is there and should not be.
    #[default]
    Drift,
    /// What leads from the first side to the second: `+` is only in the second.
    Diff,
}

/// How differences are shown.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether marks are coloured.
    pub color: bool,
    /// Columns of the terminal; at most 100 are used.
    pub width: usize,
    /// From where the two sides are looked at.
    pub mode: Mode,
    /// The live side, or the first one: `app on db.internal`.
    pub target: String,
    /// The wanted side, or the second one: `schema/`.
    pub schema: String,
    /// How many objects were compared.
    pub objects: usize,
    /// Whether comparisons and statements are shown whole.
    pub verbose: bool,
    /// What of it is accepted.
    pub acceptance: Acceptance,
}

/// How many objects differ, those included that are not managed and stand on one side only.
pub fn count(plan: &Plan) -> usize {
    differences(plan).0.len() + one_sided(plan).count()
}

/// The differences as text, ending with a line break.
pub fn render(plan: &Plan, options: &Options) -> String {
    let mut page = Page::new(options.width, options.color);
    let (list, carried) = differences(plan);
    page.say(&head(plan, options));
    for (topic, words) in [(Topic::Security, "security"), (Topic::Structure, "structure")] {
        let of: Vec<&Difference> = list.iter().filter(|d| d.topic == topic).collect();
        if of.is_empty() {
            continue;
        }
        page.blank();
        page.say(words);
        let class = of.iter().map(|d| d.object.class().len()).max().unwrap_or_default();
        of.into_iter().for_each(|d| one(&mut page, d, class, options));
    }
    page.blank();
    if !carried.is_empty() {
        let names: Vec<String> = carried.iter().map(ToString::to_string).collect();
        page.say(&format!("Taken down and built up again as they are: {}.", names.join(", ")));
    }
    leftovers(&mut page, plan, options);
    page.finish().trim_end().to_owned() + "\n"
}

fn head(plan: &Plan, options: &Options) -> String {
    let (word, none) = match options.mode {
        Mode::Drift => ("Drift", "No drift"),
        Mode::Diff => ("Diff", "No differences"),
    };
    let unmanaged = match one_sided(plan).count() {
        0 => String::new(),
        n => format!(", {} of them not managed by plumb", facts::thousands(n as u64)),
    };
    match count(plan) {
        0 => {
            let time = facts::seconds(plan, "elapsed_seconds").map_or(String::new(), |time| format!(", {time}"));
            let objects = facts::count(options.objects, "object");
            format!("{none}: {} equals {} ({objects}{time}).", options.target, options.schema)
        }
        n => {
            let accepted = match options.acceptance.count() {
                0 => String::new(),
                accepted if accepted == n => ", accepted for a time".to_owned(),
                accepted => format!(", {} of them accepted for a time", facts::thousands(accepted as u64)),
            };
            let differences = facts::count(n, "difference");
            format!("{word}: {differences} between {} and {}{unmanaged}{accepted}.", options.target, options.schema)
        }
    }
}

fn one(page: &mut Page, difference: &Difference, class: usize, options: &Options) {
    let drift = options.mode == Mode::Drift;
    let (mark, words) = match (difference.state, drift) {
        (State::Extra, true) => (Mark::Plus, format!("not in {}", options.schema)),
        (State::Missing, true) => (Mark::Minus, format!("missing, {} wants it", options.schema)),
        (State::Extra, false) => (Mark::Minus, format!("only in {}", options.target)),
        (State::Missing, false) => (Mark::Plus, format!("only in {}", options.schema)),
        (State::Differs, _) => (Mark::Tilde, switched(difference, drift)),
        (State::Renamed, _) => (Mark::Tilde, called(difference, options)),
    };
    let words = if words.is_empty() { words } else { format!(": {words}") };
    let source = difference.source.as_ref().map_or(String::new(), |s| format!("{}:{}", s.file, s.line));
    let name = match difference.state {
        State::Renamed => difference.name.clone(),
        _ => format!("{:class$} {}", difference.object.class(), facts::name(&difference.object)),
    };
    let name = name + &words;
    page.titled("  ", mark, &name, &source);
    if difference.state == State::Differs && beyond_switches(difference) {
        changed(page, difference, options);
    }
    if let Some(accepted) = options.acceptance.difference(difference) {
        page.note(COLUMN, &accepted.words());
        return;
    }
    for hazard in difference.hazards.iter().filter(|h| h.matters()) {
        page.marked(COLUMN - 2, Mark::Bang, &hazard.words());
    }
    if let Some(origin) = &difference.origin {
        page.labelled(COLUMN, "origin   ", origin);
    }
    let (there, back) = if drift { ("repair     ", "reproduce  ") } else { ("there  ", "back   ") };
    statements(page, there, &difference.repair, options);
    match (&difference.reproduce, &difference.note) {
        (Some(sql), note) => {
            statements(page, back, sql, options);
            note.iter().for_each(|note| page.note(COLUMN + back.len(), &format!("({note})")));
        }
        (None, note) => page.labelled(COLUMN, &back[..back.len() - 2], note.as_deref().unwrap_or("there is no statement for it")),
    }
}

/// `is called public.users in app on localhost`.
fn called(difference: &Difference, options: &Options) -> String {
    let old = difference.renamed_from.as_ref().map_or(String::new(), facts::name);
    format!("is called {old} in {}", options.target)
}

/// `row level security is OFF, wanted ON`.
fn switched(difference: &Difference, drift: bool) -> String {
    let word = |on: bool| if on { "ON" } else { "OFF" };
    let said = switches(difference).into_iter().map(|(what, wanted)| match drift {
        true => format!("{what} is {}, wanted {}", word(!wanted), word(wanted)),
        false => format!("{what} {} → {}", word(!wanted), word(wanted)),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// What differs; for drift from wanted to live, since that is what happened.
fn changed(page: &mut Page, difference: &Difference, options: &Options) {
    let drift = options.mode == Mode::Drift;
    let fields = difference.fields.join(", ").replace('_', " ");
    match compared(difference, drift) {
        Compared::None if fields.is_empty() => {}
        Compared::None => page.note(COLUMN, &fields),
        Compared::Words { old, new } => words(page, &fields, (&old, &new), drift),
        Compared::Lines(lines) => {
            let legend = if drift { "(- wanted, + live)" } else { "(- first, + second)" };
            page.note(COLUMN, format!("{fields} {legend}").trim_start());
            listed(page, COLUMN, &lines, if options.verbose { usize::MAX } else { COMPARED });
        }
    }
}

fn words(page: &mut Page, fields: &str, (old, new): (&str, &str), drift: bool) {
    let said = |text: &str| if text.is_empty() { "(nothing)".to_owned() } else { text.to_owned() };
    let (old, new) = (said(old), said(new));
    let short = if drift { format!("{fields} is {new}, wanted {old}") } else { format!("{fields}  {old} → {new}") };
    if short.len() + COLUMN <= page.width.min(80) {
        return page.note(COLUMN, short.trim_start());
    }
    if !fields.is_empty() {
        page.note(COLUMN, fields);
    }
    let labels = if drift { [("live  ", new), ("wanted", old)] } else { [("first ", old), ("second", new)] };
    labels.iter().for_each(|(label, text)| page.labelled(COLUMN, label, text));
}

fn statements(page: &mut Page, label: &str, sql: &[String], options: &Options) {
    let lead = format!("{}{label}", " ".repeat(COLUMN));
    let rest = " ".repeat(lead.len());
    for (i, statement) in sql.iter().enumerate() {
        let lead = if i == 0 { &lead } else { &rest };
        let lines: Vec<&str> = statement.lines().collect();
        if options.verbose || lines.len() <= STATEMENTS {
            page.code(lead, &format!("{statement};"));
        } else {
            page.code(lead, &lines[..STATEMENTS - 1].join("\n"));
            let left = facts::count(lines.len() - STATEMENTS + 1, "more line");
            page.note(rest.len(), &format!("… {left} (--verbose shows all, --format json has it)"));
        }
    }
}

fn leftovers(page: &mut Page, plan: &Plan, options: &Options) {
    facts::unmanaged_sentences(plan, &options.target, &options.schema, options.verbose).iter().for_each(|s| page.say(s));
    let unmanaged = one_sided(plan).filter_map(|u| Some((u, options.acceptance.unmanaged(u)?)));
    unmanaged.for_each(|(u, entry)| page.say(&format!("{} {}: {}.", u.class, u.identity, entry.words())));
    options.acceptance.stale.iter().for_each(|note| page.say(&format!("Note: {note}.")));
    if !plan.outside_scope.is_empty() {
        let most = if options.verbose { usize::MAX } else { 3 };
        let words = facts::count(plan.outside_scope.len(), "object");
        page.say(&format!("Outside scope: {words} ({}).", facts::some_of(&plan.outside_scope, most)));
    }
    notes::put_aside(plan).iter().for_each(|note| page.say(note));
    plan.warnings.iter().for_each(|w| page.say(&format!("Warning: {w}")));
}

/// The JSON document. Keys are only added to it; a key that changes its meaning raises `format`.
#[derive(Serialize)]
struct Document<'a> {
    /// [`FORMAT`].
    format: u32,
    /// The plumb that wrote it.
    plumb: &'a str,
    /// `server_version_num` of the live side.
    server: u32,
    /// The name of the live database.
    database: &'a str,
    /// The fingerprint of the live side.
    live: &'a str,
    /// The fingerprint of the wanted side.
    wanted: &'a str,
    /// The schemas that were compared.
    scope: Vec<String>,
    /// How many objects differ, those included that are not managed and stand on one side only.
    count: usize,
    /// The differences, security first; each as [`Difference`] says, with its digest and what accepts it.
    differences: Vec<Told<'a>>,
    /// How many of them are accepted for a time.
    accepted: usize,
    /// Entries of the file of accepted drift that are over or fit nothing.
    stale_acceptances: &'a [String],
    /// What a repair takes down and builds up again as it is.
    rebuilt: Vec<String>,
    /// Objects that are not managed, with the side on which they stand.
    unmanaged: &'a [UnmanagedDifference],
    /// Whole objects outside the scope.
    outside_scope: &'a [String],
    /// How many objects were put aside instead of being dropped, and are no difference.
    quarantined: u64,
    /// What a reviewer should know.
    warnings: &'a [String],
}

/// A difference as the document has it.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    difference: &'a Difference,
    digest: String,
    accepted: Option<&'a Accepted>,
}

/// The differences as pretty-printed JSON: `format`, `plumb`, `server`, `database`, `live`, `wanted`, `scope`, `count`,
/// `differences[] {topic, object, name, state, fields, live, wanted, repair, reproduce, note, hazards, source, origin, digest, accepted}`,
/// `accepted`, `stale_acceptances[]`, `rebuilt[]`, `unmanaged[] {class, identity, side}`, `outside_scope[]`, `quarantined`,
/// `warnings[]`. The same
/// plan gives the same bytes.
///
/// # Panics
/// Never: all parts serialize.
pub fn json(plan: &Plan, acceptance: &Acceptance) -> String {
    let (list, carried) = differences(plan);
    let told = |difference| Told { difference, digest: of_difference(difference), accepted: acceptance.difference(difference) };
    let document = Document {
        format: FORMAT,
        plumb: &plan.plumb,
        server: plan.server,
        database: &plan.database,
        live: &plan.from.scope,
        wanted: &plan.to,
        scope: plan.scope.schemas(),
        count: count(plan),
        differences: list.iter().map(told).collect(),
        accepted: acceptance.count(),
        stale_acceptances: &acceptance.stale,
        rebuilt: carried.iter().map(ToString::to_string).collect(),
        unmanaged: &plan.unmanaged,
        outside_scope: &plan.outside_scope,
        quarantined: plan.observed.get(notes::PUT_ASIDE).and_then(serde_json::Value::as_u64).unwrap_or_default(),
        warnings: &plan.warnings,
    };
    serde_json::to_string_pretty(&document).expect("differences serialize") + "\n"
}
