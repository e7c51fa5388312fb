//! Names that tools stumble over.

use super::model::Model;
use crate::support::random::Random;

const RESERVED: &[&str] = &["select", "user", "order", "table", "group", "default", "check", "primary", "all", "end"];

/// A name; mostly one that nothing else has, sometimes that of something in another place.
pub fn fresh(model: &Model, random: &mut Random, prefix: &str) -> String {
    let n = model.next;
    let used: Vec<&str> = model.used_names().into_iter().collect();
    match random.below(16) {
        0 => format!("Mixed Case{n}"),
        1 => format!("quo\"te{n}"),
        2 => format!("it's{n}"),
        3 => format!("a.b{n}"),
        4 => format!("größe{n}"),
        5 => format!("表{n}"),
        6 => format!("{n:0>63}"),
        7 => format!("semi;--{n}"),
        8 => RESERVED[random.below(RESERVED.len())].to_owned(),
        9 if used.len() > 3 => used[random.below(used.len())].to_owned(),
        _ => format!("{prefix}{n}"),
    }
}

/// Labels of an enum, each once.
pub fn label(random: &mut Random, labels: &[String]) -> String {
    let n = random.below(40);
    let label = match random.below(6) {
        0 => format!("la'bel{n}"),
        1 => format!("Größer, {n}"),
        2 => format!("a b\"{n}"),
        _ => format!("label{n}"),
    };
    if labels.contains(&label) { format!("{label}_{}", labels.len() + random.below(1000)) } else { label }
}
