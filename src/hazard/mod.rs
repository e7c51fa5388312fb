//! What may hurt: one rule per file, judged from a step's facts, never from its SQL. Pure.
//!
//! A rule says what it is about, why, what to do, and shows both in SQL; `docs/hazards.md` and `tests/hazards.rs` are made from
//! that. A kind declares facts (locks, scans, losses, effects); a rule turns them into sentences; how much a relation holds decides
//! how bad it is, by the one table in `size.rs`.

mod blocks_reads;
mod blocks_writes;
mod breaks_body;
mod breaks_code;
mod drops_extension;
mod irreversible;
mod lock_queue;
mod long_scan;
mod loses_rights;
mod loses_rows;
mod loses_values;
mod non_transactional;
mod replication;
mod rewrites;
mod size;
mod unverifiable_body;
mod widens_rights;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Id, Magnitude, Size};
use crate::order::Step;
use crate::statement::{Effect, LockMode, Loss};

/// How much a hazard asks of whoever reads the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// `apply` refuses it without `--allow CODE`.
    Refused,
    /// To be read before it is applied.
    Warning,
    /// Good to know.
    Note,
}

/// Something that may hurt, and that has to be allowed by name when it loses something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hazard {
    /// How much it asks.
    pub level: Level,
    /// The rule's name, such as `loses-rows`.
    pub code: String,
    /// What happens here.
    pub message: String,
    /// The line of a routine's body that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Line>,
    /// Why the schema files say that it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Ignored>,
}

impl Hazard {
    /// Whether `apply` needs it to be allowed, as far as the plan tells: see [`Ignored::until`].
    pub fn refused(&self) -> bool {
        self.level == Level::Refused && self.ignored.is_none()
    }

    /// Whether whoever reads the plan has to see it without asking for more.
    pub fn matters(&self) -> bool {
        self.level != Level::Note || self.ignored.is_some()
    }

    /// `loses-rows: all rows of public.t are lost`, and what the files say to it.
    pub fn words(&self) -> String {
        let known = self.ignored.as_ref().map_or(String::new(), |i| {
            let until = i.until.as_ref().map_or(String::new(), |day| format!(" until {day}"));
            format!(" (ignored{until} in {}: {})", i.place, i.reason)
        });
        format!("{}: {}{known}", self.code, self.message)
    }
}

/// A line of a body, and what is meant in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The routine.
    pub of: Id,
    /// The file that has the body, where the schema files have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1: in the file, else in the body.
    pub line: usize,
    /// The text of the line.
    pub text: String,
    /// The byte of the text at which the mark begins.
    pub from: usize,
    /// The byte at which it ends.
    pub to: usize,
}

impl Line {
    /// `schema/app.sql:12`, else `line 3 of the body`.
    pub fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| format!("line {} of the body", self.line), |file| format!("{file}:{}", self.line))
    }
}

/// What a directive in the schema files says of a hazard. It stays in the plan and in every output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// Why it is right here.
    pub reason: String,
    /// The last day on which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Where it stands: `schema/users.sql:12`.
    pub place: String,
}

/// What is known of a step when it is judged.
pub struct Facts<'a> {
    /// The step.
    pub step: &'a Step,
    /// Locks on relations that stand before the plan, the strongest of each.
    pub locks: &'a BTreeMap<String, LockMode>,
    /// Such relations that it writes anew.
    pub rewrites: &'a BTreeSet<String>,
    /// Such relations that it reads in full.
    pub scans: &'a BTreeSet<String>,
    /// For relations that it locks: those that this step or a later one of the same transaction reads or writes in full meanwhile.
    pub held: &'a BTreeMap<String, BTreeSet<String>>,
    /// Why nothing takes it back, where nothing does.
    pub no_way_back: Option<&'a str>,
    /// Bodies that name what the step takes away, or that cannot be read.
    pub bodies: &'a [Body],
}

impl Facts<'_> {
    /// All that its statements lose.
    fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.step.statements.iter().flat_map(|s| &s.losses)
    }

    /// Whether it is written anew or read in full.
    fn is_worked_on(&self, relation: &str) -> bool {
        self.rewrites.contains(relation) || self.scans.contains(relation)
    }
}

/// What a body has to do with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Whether it is known to name what goes; otherwise it builds SQL that nobody can read.
    pub names: bool,
    /// A sentence.
    pub message: String,
    /// Where.
    pub at: Line,
}

/// What a rule has to say of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The sentence.
    pub message: String,
    /// Relations whose size decides how bad it is; without any it is as bad as the rule says.
    pub over: Vec<String>,
    /// Where it is not as bad as the rule says.
    pub level: Option<Level>,
    /// The line of a body.
    pub at: Option<Line>,
}

impl Finding {
    /// A sentence.
    fn new(message: impl Into<String>) -> Finding {
        Finding { message: message.into(), over: Vec::new(), level: None, at: None }
    }

    /// The sizes of these relations decide.
    fn over<'a>(mut self, relations: impl IntoIterator<Item = &'a String>) -> Finding {
        self.over = relations.into_iter().cloned().collect();
        self
    }

    fn level(mut self, level: Level) -> Finding {
        self.level = Some(level);
        self
    }
}

/// Two states of a schema, and the plan between them.
pub struct Example {
    /// The schema before.
    pub before: &'static str,
    /// The schema after.
    pub after: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
}

/// What other tools call the same.
pub struct Same {
    /// The tool.
    pub tool: &'static str,
    /// Its ids.
    pub ids: &'static [&'static str],
}

/// A rule.
pub struct Rule {
    /// Its name; what `--allow` takes.
    pub code: &'static str,
    /// How much it asks of a reader, unless the size of a table says otherwise.
    pub level: Level,
    /// Whether the size of the relations decides.
    pub by_size: bool,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// Why that hurts.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// What others call it.
    pub same: &'static [Same],
    /// Rules that may apply to its bad example too.
    pub with: &'static [&'static str],
    /// A change that has it.
    pub bad: Example,
    /// A change that has it not and leads to something as good.
    pub good: Example,
    /// What it finds.
    pub judge: fn(&Facts) -> Vec<Finding>,
}

/// Every rule, what is lost for good first.
pub static RULES: &[&Rule] = &[
    &loses_rows::RULE,
    &loses_values::RULE,
    &drops_extension::RULE,
    &widens_rights::RULE,
    &loses_rights::RULE,
    &replication::RULE,
    &breaks_body::RULE,
    &rewrites::RULE,
    &long_scan::RULE,
    &blocks_reads::RULE,
    &blocks_writes::RULE,
    &breaks_code::RULE,
    &irreversible::RULE,
    &non_transactional::RULE,
    &lock_queue::RULE,
    &unverifiable_body::RULE,
];

/// The rule of a code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|r| r.code == code)
}

/// The hazards of a step, the worst first, and the magnitudes that decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The hazards.
    pub hazards: Vec<Hazard>,
    /// Relations whose size made a hazard another one, or none: what it was taken for.
    pub sizes: BTreeMap<String, Magnitude>,
}

/// Judges a step. `sizes` is what the live relations hold, by SQL name; what is not in it counts as if it held rows.
pub fn judge(facts: &Facts, sizes: &BTreeMap<String, Size>) -> Judged {
    let mut judged = Judged::default();
    for rule in RULES {
        for finding in (rule.judge)(facts) {
            debug_assert!(rule.by_size || finding.over.is_empty(), "{} is not said to go by size", rule.code);
            let magnitudes: Vec<Option<Magnitude>> =
                finding.over.iter().map(|r| sizes.get(r).and_then(|s| s.magnitude())).collect();
            let known = finding.over.iter().zip(&magnitudes).filter_map(|(r, m)| Some((r.clone(), (*m)?)));
            judged.sizes.extend(known);
            let level = finding.level.unwrap_or(rule.level);
            let level = if magnitudes.is_empty() { Some(level) } else { size::level(level, &magnitudes) };
            let Some(level) = level else { continue };
            let message = finding.message;
            judged.hazards.push(Hazard { level, code: rule.code.to_owned(), message, at: finding.at, ignored: None });
        }
    }
    judged.hazards.sort_by_key(|h| h.level);
    judged
}

/// What the effects of a step are of one kind.
fn effects<'a>(facts: &Facts<'a>, of: fn(&Effect) -> Option<&String>) -> Vec<Finding> {
    facts.step.effects.iter().filter_map(of).map(Finding::new).collect()
}
