//! What may hurt: one rule per file, judged from a step's facts, never from its SQL. Pure.

mod drops_extension;
mod loses_rows;
mod loses_values;
mod rewrites;

use serde::{Deserialize, Serialize};

use crate::order::Step;

/// Something that may hurt, and that has to be allowed by name when it loses something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hazard {
    /// The rule's name, such as `loses-rows`.
    pub code: String,
    /// What happens here.
    pub message: String,
    /// Whether `apply` refuses it without `--allow CODE`.
    pub refused: bool,
}

/// A rule.
pub struct Rule {
    /// Its name; what `--allow` takes.
    pub code: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// Whether `apply` refuses it unless it is allowed by name.
    pub refused: bool,
    /// A message for each time it applies to a step.
    pub judge: fn(&Step) -> Vec<String>,
}

/// Every rule.
pub static RULES: &[&Rule] = &[&loses_rows::RULE, &loses_values::RULE, &drops_extension::RULE, &rewrites::RULE];

/// The hazards of a step.
pub fn judge(step: &Step) -> Vec<Hazard> {
    RULES
        .iter()
        .flat_map(|rule| {
            let hazard = |message| Hazard { code: rule.code.to_owned(), message, refused: rule.refused };
            (rule.judge)(step).into_iter().map(hazard)
        })
        .collect()
}
