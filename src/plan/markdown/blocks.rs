//! Hazards as quoted blocks, and the definitions of objects as folded ones.

use std::collections::BTreeMap;

use super::super::definition::{Definitions, Line};
use super::super::document::{Plan, PlanStep};
use super::super::facts;
use super::super::known::{mark, source};
use super::super::markup::line;
use super::super::page::{Mark, clean, shorten};
use super::escape::{code, fenced, prose};
use super::fit::{Part, fit};
use super::folded;
use super::table::rank;
use crate::hazard::{self, Hazard};

/// Columns of a message.
const MESSAGE: usize = 400;
/// Columns of a name.
const NAME: usize = 120;

/// A quoted block for each code, those that have to be allowed first, and how many hazards had no room.
pub fn hazards(plan: &Plan, room: &mut usize, share: usize) -> (String, usize) {
    let mut by: BTreeMap<(bool, &str), Vec<(&PlanStep, &Hazard)>> = BTreeMap::new();
    for (step, hazard) in plan.steps().flat_map(|s| facts::hazards_of(s).map(move |h| (s, h))) {
        by.entry((!hazard.refused(), &hazard.code)).or_default().push((step, hazard));
    }
    // First each code has its head, so that none is left unsaid; then their steps share what is left.
    let mut share = share.min(*room);
    let mut heads: Vec<Option<String>> = Vec::new();
    for ((_, code), list) in &by {
        let head = head(code, list[0].1, list.len());
        let fits = head.len() < share;
        if fits {
            share -= head.len() + 1;
            *room -= head.len() + 1;
        }
        heads.push(fits.then_some(head));
    }
    let (mut text, mut cut) = (String::new(), 0);
    for (head, list) in heads.into_iter().zip(by.into_values()) {
        let Some(head) = head else {
            cut += list.len();
            continue;
        };
        let items = list.iter().map(|(step, hazard)| Part { rank: 0, text: item(step, hazard) }).collect();
        let before = *room;
        let (kept, away) = fit(items, room, share);
        share -= before - *room;
        cut += away;
        text += &format!("{head}{}\n", kept.concat());
    }
    (text, cut)
}

fn head(name: &str, hazard: &Hazard, times: usize) -> String {
    let kind = if hazard.refused() { "CAUTION" } else { "WARNING" };
    let name = shorten(&clean(name), NAME);
    let meaning = hazard::find(&name).map_or(String::new(), |r| format!(" {} {}", prose(r.meaning), prose(r.remedy)));
    let allow = match hazard.refused() {
        true => format!(" `apply` refuses it without {}.", code(&format!("--allow {name}"))),
        false => String::new(),
    };
    let times = if times == 1 { String::new() } else { format!(" ({times} times)") };
    format!("> [!{kind}]\n> **{}**{times}:{meaning}{allow}\n>\n", prose(&name))
}

fn item(step: &PlanStep, hazard: &Hazard) -> String {
    let object = code(&shorten(&clean(&step.object.to_string()), NAME));
    let place = source(step).map_or(String::new(), |s| format!(" ({})", code(&shorten(&clean(&s), NAME))));
    let back = match (&step.reverse.sql, &step.reverse.why) {
        _ if !hazard.refused() => String::new(),
        (Some(_), Some(why)) => format!(" Way back: {}.", prose(&shorten(&clean(why), MESSAGE))),
        (None, Some(why)) => format!(" No way back: {}.", prose(&shorten(&clean(why), MESSAGE))),
        _ => String::new(),
    };
    format!(
        "> - step {}, {} {object}{place}: {}.{back}\n",
        step.id,
        prose(&clean(&step.change)),
        prose(&shorten(&clean(&facts::message(hazard)), MESSAGE))
    )
}

/// A folded block for each object: first those whose definition changes or that may hurt, then those that only come or go.
pub fn definitions(plan: &Plan, definitions: &Definitions) -> (Vec<Part>, Vec<Part>) {
    let block = |step: &PlanStep| {
        let lines = definitions.lines(step);
        let rank = rank(step);
        let told = ["alter", "rename", "quarantine"].contains(&step.change.as_str())
            || definitions.rebuilding(step).is_some()
            || facts::hurts(step);
        (!lines.is_empty()).then(|| (told, Part { rank, text: definition(step, &lines) }))
    };
    let (told, plain): (Vec<_>, Vec<_>) = plan.steps().filter_map(block).partition(|(told, _)| *told);
    let parts = |list: Vec<(bool, Part)>| list.into_iter().map(|(_, part)| part).collect();
    (parts(told), parts(plain))
}

fn definition(step: &PlanStep, lines: &[Line]) -> String {
    // Inside the summary stands HTML: nobody is pinged from inside <code>.
    let name = line(&shorten(&clean(&step.object.to_string()), NAME));
    let place = source(step).map_or(String::new(), |s| format!(" <code>{}</code>", line(&shorten(&clean(&s), NAME))));
    let text: Vec<String> = lines.iter().map(|(mark, line)| format!("{}{line}", mark.map_or(' ', Mark::sign))).collect();
    folded(&format!("{}: {} <code>{name}</code>{place}", step.id, mark(step).sign()), &fenced("diff", &text.join("\n")))
}
