//! Hazards and differences as findings, for the forms that code hosts read.

use super::acceptance::{Acceptance, one_sided};
use super::difference::{Difference, State, Topic, differences};
use super::document::Plan;
use crate::hazard::{self, RULES};
use crate::report::{Accepted, Finding, Level, Report, Rule};

/// The level of what `apply` refuses, and of what it does not.
fn level(of: hazard::Level) -> Level {
    if of == hazard::Level::Refused { Level::Error } else { Level::Warning }
}

/// The hazards of a plan, each at the line of its step.
pub fn hazards(plan: &Plan, of: &str) -> Report {
    let rule = |r: &&hazard::Rule| Rule {
        code: r.code.to_owned(),
        meaning: r.meaning.to_owned(),
        help: r.remedy.to_owned(),
        level: level(r.level),
    };
    let steps = plan.steps().flat_map(|step| step.hazards.iter().filter(|h| h.matters()).map(move |hazard| (step, hazard)));
    let finding = |(step, hazard): (&super::PlanStep, &hazard::Hazard)| Finding {
        code: hazard.code.clone(),
        level: level(hazard.level),
        message: format!("step {}, {} {}: {}", step.id, step.change, step.object, hazard.message),
        object: step.object.to_string(),
        source: step.source.clone(),
        ignored: hazard.ignored.as_ref().map(|i| i.reason.clone()),
    };
    Report::new(of, RULES.iter().map(rule).collect(), steps.map(finding).collect())
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
