//! The plan as a comment on a pull request: the verdict, what may hurt, the steps, and everything else folded. Never longer than
//! a code host takes; what had no room is said.

mod blocks;
pub(super) mod escape;
mod fit;
mod table;

use super::definition::Definitions;
use super::document::{Plan, Proof};
use super::facts;
use super::notes;
use super::options::Options;
use super::page::{clean, shorten};
use super::sql;
use escape::{code, fenced, prose};
use fit::{Part, fit};

/// The longest comment, in bytes, so that it is in characters too: GitHub takes 65,536.
pub const LONGEST: usize = 65_000;
/// What is kept back for the sentence on what had no room.
const SAID: usize = 600;
/// Columns of a name that a person gave to a database or a folder.
const NAME: usize = 120;
/// The longest note.
const NOTE: usize = 1_200;

/// The comment, ending with a line break. Its first line is a hidden marker, the same for every plan of the same target, by which
/// a job finds the comment that it has to replace.
pub fn render(plan: &Plan, options: &Options) -> String {
    let marker = marker(plan, options);
    if plan.is_empty() {
        return nothing(plan, options, &marker);
    }
    let (head, foot) = (head(plan, options), foot(plan, options));
    let mut room = LONGEST.saturating_sub(marker.len() + head.len() + foot.len() + SAID);
    let mut left = Vec::new();
    let (notes, cut) = fit(notes_of(plan, options), &mut room, LONGEST / 10);
    said(&mut left, cut, "note");
    let share = room * 2 / 5;
    let (hazards, cut) = blocks::hazards(plan, &mut room, share);
    said(&mut left, cut, "hazard");
    let share = room * 2 / 3;
    let (table, cut) = table::table(plan, &mut room, share);
    said(&mut left, cut, "row");
    let definitions = Definitions::of(plan);
    let (told, plain) = blocks::definitions(plan, &definitions);
    let all = room;
    let (changed, cut_changed) = fit(told, &mut room, all);
    let script = folded("The whole SQL, for psql", &fenced("sql", &sql::render(plan, options.lock_timeout)));
    let script = if script.len() <= room { script } else { String::new() };
    room -= script.len();
    let all = room;
    let (made, cut_made) = fit(plain, &mut room, all);
    said(&mut left, cut_changed + cut_made, "definition");
    if script.is_empty() {
        left.push("the SQL".to_owned());
    }
    let blocks: String = changed.into_iter().chain(made).collect();
    let notes: String = notes.concat();
    [marker, head, without(&left), hazards, table, notes, blocks, script, foot].concat()
}

/// `<!-- plumb:plan production -->`.
fn marker(plan: &Plan, options: &Options) -> String {
    let name = options.environment.as_deref().unwrap_or(&plan.database);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    format!("<!-- plumb:plan {} -->\n", name.chars().take(NAME).map(plain).collect::<String>())
}

fn nothing(plan: &Plan, options: &Options, marker: &str) -> String {
    let mut room = LONGEST / 2;
    let (notes, cut) = fit(notes_of(plan, options), &mut room, LONGEST / 2);
    let mut left = Vec::new();
    said(&mut left, cut, "note");
    let [target, schema] = [&options.target, &options.schema].map(|name| code(&shorten(&clean(name), NAME)));
    let said = match facts::nature(plan).as_slice() {
        [] => format!("{target} equals {schema}."),
        words => prose(&clean(&words.join(" "))),
    };
    format!("{marker}## plumb: no changes\n\n{said}\n\n{}{}", without(&left), notes.concat())
}

fn head(plan: &Plan, options: &Options) -> String {
    let proof = match plan.proof {
        Proof::Equal { .. } => "proven",
        Proof::Unproven { .. } => "not proven",
    };
    let hazards = plan.steps().flat_map(facts::hazards_of).count();
    let hazards = if hazards == 0 { "no hazards".to_owned() } else { facts::count(hazards, "hazard") };
    let changes = facts::count(facts::changes(plan), "change");
    let place = code(&shorten(&clean(&options.place()), NAME));
    let schema = code(&shorten(&clean(&options.schema), NAME));
    let why = prose(&shorten(&clean(&facts::proof(plan)), NOTE));
    let back = facts::nature(plan).iter().map(|words| format!(" {}", prose(&clean(words)))).collect::<String>();
    let summary = facts::summary(plan);
    format!("## plumb: {changes}, {hazards}, {proof}\n\n{summary}. {why}\nFor {place}, from {schema}.{back}\n\n")
}

/// What to type next, and what exactly is approved.
fn foot(plan: &Plan, options: &Options) -> String {
    let apply = match options.apply(plan) {
        Some(words) if words.iter().map(String::len).sum::<usize>() <= NOTE => fenced("sh", &words.join(" ")),
        // Half a command is worse than none.
        Some(_) => "The command that runs it is too long for this place: `plumb plan` prints it.\n\n".to_owned(),
        None => "Not saved: `plumb plan --out FILE` keeps the plan, `plumb apply FILE` runs it.\n\n".to_owned(),
    };
    let short = |digest: &str| code(digest.get(..8).unwrap_or(digest));
    let plumb = prose(&shorten(&clean(&plan.plumb), NAME));
    let (from, to) = (short(&plan.from.scope), short(&plan.to));
    format!("{apply}<sub>Plan {}, fingerprint {from} to {to}, by plumb {plumb}.</sub>\n", code(&shorten(&clean(&plan.id), NAME)))
}

fn notes_of(plan: &Plan, options: &Options) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut note = |text: &str, start: &str, rank| {
        parts.push(Part { rank, text: format!("{start}{}\n", prose(&shorten(&clean(text), NOTE))) });
    };
    notes::rows(plan).iter().for_each(|(_, row)| note(row, "\n", 0));
    // What is not done, and warnings, come before what only describes.
    let locks = notes::locks(plan);
    if !plan.is_empty() && locks.is_empty() {
        note("Locks that block someone: none.", "", 1);
    } else if !locks.is_empty() {
        note("Locks that block someone:", "", 1);
        locks.iter().take(notes::LISTED).for_each(|lock| note(lock, "- ", 1));
        if let Some(more @ 1..) = locks.len().checked_sub(notes::LISTED) {
            note(&format!("{} (the table says which)", facts::count(more, "more relation")), "- ", 1);
        }
    }
    let sentences = notes::transactions(plan).into_iter().map(|n| (n, 2));
    for (sentence, rank) in sentences.chain(notes::leftovers(plan, options).into_iter().map(|n| (n, 0))) {
        note(&sentence, "\n", rank);
    }
    if !parts.is_empty() {
        parts.push(Part { rank: 0, text: "\n".to_owned() });
    }
    parts
}

/// A folded block; `body` is Markdown.
fn folded(summary: &str, body: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{body}</details>\n\n")
}

fn said(left: &mut Vec<String>, cut: usize, what: &str) {
    if cut > 0 {
        left.push(facts::count(cut, what));
    }
}

/// What had no room, by what it is.
fn without(left: &[String]) -> String {
    if left.is_empty() {
        return String::new();
    }
    let list = match left {
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    };
    format!(
        "**Not all of the plan is here**: {list} had no room in one comment. `plumb plan --report plan.html --report plan.sql` \
         writes all of it.\n\n"
    )
}
