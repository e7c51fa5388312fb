//! What the lint finds, at the places of the files, with what their directives ignore.

use super::side::Side;
use crate::catalog::Id;
use crate::hazard;
use crate::lint::{self, Found, Settings};
use crate::report::{Finding, Level, Report, Rule};
use crate::source::{Directive, Ignore, Place};

/// A directive that ignores something, and whether it did.
struct Known<'a> {
    directive: &'a Directive,
    ignore: &'a Ignore,
    used: bool,
}

/// Everything that the lint finds in a side.
pub fn findings(side: &Side, settings: &Settings, scope: &[String], today: &str) -> Report {
    let directives = side.places.iter().flat_map(|(_, loaded)| &loaded.directives);
    let mut known: Vec<Known> =
        directives.filter_map(|directive| Some(Known { directive, ignore: directive.ignore()?, used: false })).collect();
    let inside = |id: &Id| scope.is_empty() || scope.iter().any(|s| s == "*" || s == id.first());
    let mut list: Vec<Finding> = Vec::new();
    for (rule, found) in lint::check(&side.catalog, settings).into_iter().filter(|(_, f)| inside(&f.object)) {
        let ignored = ignored(side, &mut known, rule.code, &found, today);
        list.push(Finding {
            code: rule.code.to_owned(),
            level: settings.level(rule),
            message: found.message.clone(),
            object: found.object.to_string(),
            source: narrowest(side, &found).and_then(|p| side.line(p)),
            ignored,
        });
    }
    list.extend(unused(side, &known, settings, today));
    Report::new(side.name.clone(), rules(settings), list)
}

/// The rules that are asked for, as a reader of the report needs them.
fn rules(settings: &Settings) -> Vec<Rule> {
    let asked = lint::RULES.iter().filter(|r| settings.level(r) != Level::Off);
    let rule = |r: &&lint::Rule| Rule {
        code: r.code.to_owned(),
        meaning: r.meaning.to_owned(),
        help: r.why.to_owned(),
        level: settings.level(r),
    };
    asked.map(rule).collect()
}

/// The place that says the most: of the first object that the files name, else of what it is part of.
fn narrowest<'a>(side: &'a Side, found: &Found) -> Option<&'a Place> {
    let named = found.at.iter().find(|id| side.is_named(id)).and_then(|id| side.place(id));
    named.or_else(|| found.at.iter().find_map(|id| side.place(id)))
}

/// The reason of the first directive that stands above what was found.
fn ignored(side: &Side, known: &mut [Known], code: &str, found: &Found, today: &str) -> Option<String> {
    let mut reason = None;
    for place in found.at.iter().filter_map(|id| side.place(id)) {
        let covering = |k: &&mut Known| k.ignore.code == code && !k.ignore.is_over(today) && k.directive.covers(place);
        for known in known.iter_mut().filter(covering) {
            known.used = true;
            reason.get_or_insert_with(|| known.ignore.reason.clone());
        }
    }
    reason
}

/// Directives that ignored nothing. Those about hazards are the plan's affair, those about rules that are off nobody's.
fn unused(side: &Side, known: &[Known], settings: &Settings, today: &str) -> Vec<Finding> {
    let Some(rule) = lint::find("unused-ignore").filter(|r| settings.level(r) != Level::Off) else { return Vec::new() };
    let mut list = Vec::new();
    for Known { directive, ignore, .. } in known.iter().filter(|k| !k.used) {
        let code = ignore.code.as_str();
        let about = directive.names.first().map_or(String::new(), |n| crate::sql::qualified(&n.parts));
        let message = match lint::find(code) {
            Some(rule) if settings.level(rule) == Level::Off => continue,
            Some(_) => match ignore.until.as_ref().filter(|_| ignore.is_over(today)) {
                Some(until) => format!("the last day of this was {until}: {code} is asked again"),
                None => format!("{code} finds nothing here any more: remove the line"),
            },
            None if hazard::find(code).is_some() => continue,
            None => no_such(code),
        };
        list.push(Finding {
            code: rule.code.to_owned(),
            level: settings.level(rule),
            message,
            object: about,
            source: side.line(&directive.place),
            ignored: None,
        });
    }
    list
}

fn no_such(code: &str) -> String {
    let codes = lint::RULES.iter().map(|r| r.code).chain(hazard::RULES.iter().map(|r| r.code));
    let like = |c: &&str| strsim::damerau_levenshtein(code, c);
    let near = codes.min_by_key(like).filter(|c| like(c) <= 1 + code.len() / 4);
    let meant = near.map_or(String::new(), |c| format!(": did you mean {c}?"));
    format!("there is no rule and no hazard \"{code}\"{meant}")
}
