//! `loses-values`: values of a column are dropped, cut or converted.

use super::Rule;
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "loses-values",
    meaning: "Values of a column are dropped, cut or converted.",
    refused: true,
    judge: |step| {
        let losses = step.statements.iter().flat_map(|s| &s.losses);
        losses.filter_map(|l| if let Loss::Values(v) = l { Some(format!("values of {v} can be lost")) } else { None }).collect()
    },
};
