//! The differences that a plan would remove: one for each object, with the SQL in both directions.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::compared::{Difference as Compared, compare};
use super::document::{Plan, PlanStep, Source};
use super::facts;
use crate::catalog::Id;
use crate::hazard::Hazard;

/// Fields of a table that switch its policies on.
const SWITCHES: &[&str] = &["row_security", "force_row_security"];
/// Words of a definition that decide whose rights are used: class, word.
const WORDS: &[(&str, &str)] = &[
    ("function", "SECURITY DEFINER"),
    ("procedure", "SECURITY DEFINER"),
    ("view", "security_invoker"),
    ("view", "security_barrier"),
];

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Who may do what.
    Security,
    /// Everything else.
    Structure,
}

/// How the live side stands to the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Wanted and not live.
    Missing,
    /// Live and not wanted.
    Extra,
    /// On both sides, not the same.
    Differs,
    /// On both sides, by another name.
    Renamed,
}

/// One object that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// What it is about.
    pub topic: Topic,
    /// The object's address.
    pub object: Id,
    /// The object for a person: `policy p on public.t`.
    pub name: String,
    /// How it differs.
    pub state: State,
    /// What it is called on the live side, when it is called otherwise there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Id>,
    /// The fields that differ, when they are known.
    pub fields: Vec<String>,
    /// Its definition on the live side, as SQL, where there is one.
    pub live: Option<String>,
    /// Its definition on the wanted side, as SQL, where there is one.
    pub wanted: Option<String>,
    /// Statements that bring the live side to the wanted one.
    pub repair: Vec<String>,
    /// Statements that bring the wanted side to the live one; null when there are none.
    pub reproduce: Option<Vec<String>>,
    /// What `reproduce` does not bring back, or why there is none.
    pub note: Option<String>,
    /// What the repair may hurt.
    pub hazards: Vec<Hazard>,
    /// Where the wanted definition stands.
    pub source: Option<Source>,
    /// Who has changed it last, when that was noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// The key of what is known of origins among what was observed.
const ORIGINS: &str = "origins";

impl Plan {
    /// Notes who has changed objects last, by their names.
    pub fn know_origins(&mut self, origins: &BTreeMap<String, String>) {
        if !origins.is_empty() {
            self.observed.insert(
                ORIGINS.to_owned(),
                origins.iter().map(|(name, who)| (name.clone(), who.clone().into())).collect::<Map<String, Value>>().into(),
            );
        }
    }
}

/// The objects that differ.
pub fn differences_of(plan: &Plan) -> Vec<Id> {
    differences(plan).0.into_iter().map(|d| d.object).collect()
}

/// All differences of a plan, security first, and the objects that a repair only takes down and builds up again.
pub fn differences(plan: &Plan) -> (Vec<Difference>, Vec<Id>) {
    let rebuilt = facts::rebuilt(plan);
    let (mut list, mut carried) = (Vec::new(), Vec::new());
    for step in plan.steps() {
        let made = rebuilt.get(&step.object).and_then(|(_, made)| plan.steps().find(|s| s.id == *made));
        match made {
            Some(made) if made.id == step.id => {}
            Some(made) if facts::carried(step) && same(step, made) => carried.push(step.object.clone()),
            Some(made) => list.push(replaced(step, made)),
            None => list.push(single(step)),
        }
    }
    list.sort_by_key(|d| d.topic);
    let origins = plan.observed.get(ORIGINS);
    for difference in &mut list {
        let who = origins.and_then(|o| o.get(difference.object.to_string())?.as_str());
        difference.origin = who.map(str::to_owned);
    }
    (list, carried)
}

/// Whether what is dropped is made again as it was. Owner, grants and comment follow in statements of their own.
fn same(dropped: &PlanStep, made: &PlanStep) -> bool {
    dropped.reverse.sql.as_ref().and_then(|s| s.first()) == made.sql.first()
}

fn joined(sql: &[String]) -> Option<String> {
    (!sql.is_empty()).then(|| sql.join(";\n"))
}

fn single(step: &PlanStep) -> Difference {
    let back = step.reverse.sql.as_deref().unwrap_or_default();
    let (state, live, wanted) = match step.change.as_str() {
        "create" => (State::Missing, None, joined(&step.sql)),
        "drop" => (State::Extra, joined(back), None),
        "rename" => (State::Renamed, None, None),
        _ => (State::Differs, step.before.clone(), step.definition.clone()),
    };
    Difference {
        topic: topic(step, live.as_deref(), wanted.as_deref()),
        object: step.object.clone(),
        name: step.renamed.as_ref().map_or(&step.object, |names| &names.to).to_string(),
        renamed_from: step.renamed.as_ref().map(|names| names.from.clone()),
        state,
        fields: step.fields.clone(),
        live,
        wanted,
        repair: step.sql.clone(),
        reproduce: step.reverse.sql.clone(),
        note: step.reverse.why.clone(),
        hazards: step.hazards.clone(),
        source: step.source.clone(),
        origin: None,
    }
}

fn replaced(dropped: &PlanStep, made: &PlanStep) -> Difference {
    let back = dropped.reverse.sql.clone();
    // Owner, grants and comment follow in statements of their own, and only on one of the two sides.
    let (live, wanted) = (back.as_ref().and_then(|b| b.first().cloned()), made.sql.first().cloned());
    let undo = made.reverse.sql.clone();
    Difference {
        topic: topic(made, live.as_deref(), wanted.as_deref()),
        state: State::Differs,
        fields: named(&made.reason),
        live,
        wanted,
        repair: dropped.sql.iter().chain(&made.sql).cloned().collect(),
        reproduce: undo.zip(back).map(|(undo, back)| undo.into_iter().chain(back).collect()),
        note: dropped.reverse.why.clone().or(made.reverse.why.clone()),
        hazards: dropped.hazards.iter().chain(&made.hazards).cloned().collect(),
        ..single(made)
    }
}

/// The fields that the reason of a replacement names: `columns, query differs`.
fn named(reason: &str) -> Vec<String> {
    reason.strip_suffix(" differs").map_or(Vec::new(), |fields| fields.split(", ").map(str::to_owned).collect())
}

fn topic(step: &PlanStep, live: Option<&str>, wanted: Option<&str>) -> Topic {
    let class = step.object.class();
    let switched = class == "table" && step.fields.iter().any(|f| SWITCHES.contains(&f.as_str()));
    let words = WORDS.iter().filter(|(of, _)| *of == class);
    let said = words.into_iter().any(|(_, word)| setting(live, word) != setting(wanted, word));
    if facts::RIGHTS.contains(&class) || switched || said { Topic::Security } else { Topic::Structure }
}

/// A word of a definition with what is set to it, outside the body.
fn setting<'a>(definition: Option<&'a str>, word: &str) -> Option<&'a str> {
    let head = definition?.split("\nAS ").next()?;
    let rest = &head[head.find(word)?..];
    let end = rest[word.len()..].find([',', ')', '\n', ' ']).map_or(rest.len(), |at| at + word.len());
    Some(&rest[..end])
}

/// Switches of a table that are not as they should be: what they switch, and whether it is wanted on.
pub fn switches(difference: &Difference) -> Vec<(&'static str, bool)> {
    let says = |words: &str| difference.repair.iter().any(|sql| sql.ends_with(words));
    let of = |field: &str| match field {
        "row_security" => Some(("row level security", says(" ENABLE ROW LEVEL SECURITY"))),
        "force_row_security" => Some(("row level security for the owner", !says(" NO FORCE ROW LEVEL SECURITY"))),
        _ => None,
    };
    if difference.object.class() != "table" || difference.state != State::Differs {
        return Vec::new();
    }
    difference.fields.iter().filter_map(|f| of(f)).collect()
}

/// Whether anything differs besides the switches.
pub fn beyond_switches(difference: &Difference) -> bool {
    difference.object.class() != "table" || difference.fields.iter().any(|f| !SWITCHES.contains(&f.as_str()))
}

/// What differs in the definitions, from `old` to `new`, or in the statements where the definitions say nothing. From live to
/// wanted, or, for drift, the other way round.
pub fn compared(difference: &Difference, from_wanted: bool) -> Compared {
    let between = |live: &str, wanted: &str| if from_wanted { compare(wanted, live) } else { compare(live, wanted) };
    match (&difference.live, &difference.wanted, difference.repair.as_slice(), difference.reproduce.as_deref()) {
        (Some(live), Some(wanted), ..) if live != wanted => between(live, wanted),
        (_, _, [wanted], Some([live])) if difference.state == State::Differs && facts::alike(live, wanted) => {
            between(live, wanted)
        }
        _ => Compared::None,
    }
}
