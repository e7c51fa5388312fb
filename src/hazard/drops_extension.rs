//! `drops-extension`: an extension is dropped with whatever it keeps.

use super::Rule;
use crate::statement::Loss;

/// The rule.
pub static RULE: Rule = Rule {
    code: "drops-extension",
    meaning: "An extension is dropped with whatever it keeps.",
    refused: true,
    judge: |step| {
        let losses = step.statements.iter().flat_map(|s| &s.losses);
        losses
            .filter_map(|l| {
                if let Loss::Extension(e) = l { Some(format!("extension {e} goes with everything that it keeps")) } else { None }
            })
            .collect()
    },
};
