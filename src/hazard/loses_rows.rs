//! `loses-rows`: a relation is dropped with all its rows.

use super::Rule;
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "loses-rows",
    meaning: "A relation is dropped with all its rows.",
    refused: true,
    judge: |step| {
        let losses = step.statements.iter().flat_map(|s| &s.losses);
        losses.filter_map(|l| if let Loss::Rows(r) = l { Some(format!("all rows of {r} are lost")) } else { None }).collect()
    },
};
