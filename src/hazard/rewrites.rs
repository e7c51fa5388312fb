//! `rewrites`: a table is written anew under a lock that blocks everybody.

use super::Rule;

/// The rule.
pub static RULE: Rule = Rule {
    code: "rewrites",
    meaning: "A table is written anew under a lock that blocks reads and writes.",
    refused: false,
    judge: |step| {
        let mut relations: Vec<&String> = step.statements.iter().flat_map(|s| &s.rewrites).collect();
        relations.sort();
        relations.dedup();
        relations.into_iter().map(|r| format!("{r} is written anew while nobody can read or write it")).collect()
    },
};
