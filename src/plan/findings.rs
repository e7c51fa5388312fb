//! Hazards and differences as findings, for the forms that code hosts read.

use super::acceptance::{Acceptance, one_sided};
use super::answers::answers;
use super::difference::{Difference, State, Topic, differences};
use super::document::{Plan, PlanStep};
use super::estimates::Estimates;
use crate::hazard::{self, RULES};
use crate::report::{Accepted, Finding, Level, Report, Rule, Source};

/// The level of what `apply` refuses, and of what it does not.
fn level(of: hazard::Level) -> Level {
    if of == hazard::Level::Refused { Level::Error } else { Level::Warning }
}

/// What is found besides hazards, with what it means.
const PLAN: &[(&str, Level, &str, &str)] = &[
    (
        "rows-in-the-way",
        Level::Error,
        "A step would fail on rows of the live database.",
        "Change these rows first; the plan has the query.",
    ),
    ("plan-warning", Level::Warning, "Something that a reviewer should know of the plan as a whole.", ""),
];

/// The hazards of a plan, each at the line of its step, and what else keeps it from being applied without a thought.
pub fn hazards(plan: &Plan, of: &str) -> Report {
    let rule = |code: &str, meaning: &str, help: &str, level| Rule {
        code: code.to_owned(),
        meaning: meaning.to_owned(),
        help: help.to_owned(),
        level,
    };
    let rules = RULES.iter().map(|r| rule(r.code, r.meaning, r.remedy, level(r.level)));
    let rules = rules.chain(PLAN.iter().map(|(code, level, meaning, help)| rule(code, meaning, help, *level)));
    let estimates = Estimates::of(plan);
    let steps = plan.steps().flat_map(|step| step.hazards.iter().filter(|h| h.matters()).map(move |hazard| (step, hazard)));
    let finding = |(step, hazard): (&PlanStep, &hazard::Hazard)| Finding {
        code: hazard.code.clone(),
        level: level(hazard.level),
        message: format!("{}: {}{}", named(step), hazard.message, takes(step, hazard, &estimates)),
        object: step.object.to_string(),
        source: step.source.clone(),
        ignored: hazard.ignored.as_ref().map(|i| i.reason.clone()),
    };
    let rows = answers(plan).into_iter().filter(|a| a.answer.fails()).filter_map(|answered| {
        let step = plan.steps().find(|s| s.id == answered.step)?;
        let message = format!("{}: it would fail, because it does not hold that {}", named(step), answered.condition);
        Some(whole(0, message, step.object.to_string(), step.source.clone()))
    });
    let warnings = plan.warnings.iter().map(|w| whole(1, w.clone(), plan.database.clone(), None));
    Report::new(of, rules.collect(), steps.map(finding).chain(rows).chain(warnings).collect())
}

fn whole(which: usize, message: String, object: String, source: Option<Source>) -> Finding {
    let (code, level, ..) = PLAN[which];
    Finding { code: code.to_owned(), level, message, object, source, ignored: None }
}

/// `step 3, alter table public.t`.
fn named(step: &PlanStep) -> String {
    let edited = if step.edited { " (SQL edited by hand)" } else { "" };
    format!("step {}, {} {}{edited}", step.id, step.change, step.object)
}

/// How much the step works through, for a hazard that lasts as long as that.
fn takes(step: &PlanStep, hazard: &hazard::Hazard, estimates: &Estimates) -> String {
    let lasts = ["rewrites", "long-scan"].contains(&hazard.code.as_str());
    let relations: Vec<&String> = step.rewrites.iter().chain(&step.scans).filter(|_| lasts).collect();
    let held = relations.iter().filter_map(|r| estimates.held_by(r)).collect::<Vec<_>>().join(" and ");
    let time = estimates.time(step).map_or(String::new(), |time| format!(", {time}"));
    if held.is_empty() { String::new() } else { format!(" ({held}{time})") }
}

/// The codes of differences, with what they mean.
const DRIFT: &[(&str, Level, &str)] = &[
    ("drift-security", Level::Error, "Who may do what is not as it is wanted."),
    ("drift-structure", Level::Error, "An object is not as it is wanted."),
    ("drift-unmanaged", Level::Warning, "An object that plumb does not manage stands on one side only, or differs."),
];

/// What differs between a live database and what is wanted.
pub fn drift(plan: &Plan, of: &str, acceptance: &Acceptance) -> Report {
    let rule = |(code, level, meaning): &(&str, Level, &str)| Rule {
        code: (*code).to_owned(),
        meaning: (*meaning).to_owned(),
        help: String::new(),
        level: *level,
    };
    let (list, _) = differences(plan);
    let unmanaged = one_sided(plan).map(|u| Finding {
        code: DRIFT[2].0.to_owned(),
        level: DRIFT[2].1,
        message: format!("{} {}: {}", u.class, u.identity, side(&u.side)),
        object: format!("{} {}", u.class, u.identity),
        source: None,
        ignored: acceptance.unmanaged(u).map(Accepted::words),
    });
    let managed = list.iter().map(|d| Finding { ignored: acceptance.difference(d).map(Accepted::words), ..difference(d) });
    let findings = managed.chain(unmanaged).collect();
    Report::new(of, DRIFT.iter().map(rule).collect(), findings)
}

fn side(side: &str) -> &'static str {
    match side {
        "live" => "is not managed, and not wanted",
        "desired" => "is not managed, and missing",
        _ => "is not managed, and differs",
    }
}

fn difference(difference: &Difference) -> Finding {
    let how = match difference.state {
        State::Missing => "is missing".to_owned(),
        State::Extra => "is not wanted".to_owned(),
        State::Renamed => "has another name".to_owned(),
        State::Differs if difference.fields.is_empty() => "differs".to_owned(),
        State::Differs => format!("differs in {}", difference.fields.join(", ").replace('_', " ")),
    };
    let (code, level, _) = DRIFT[usize::from(difference.topic != Topic::Security)];
    Finding {
        code: code.to_owned(),
        level,
        message: format!("{} {how}", difference.name),
        object: difference.name.clone(),
        source: difference.source.clone(),
        ignored: None,
    }
}
