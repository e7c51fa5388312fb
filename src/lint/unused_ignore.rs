//! `unused-ignore`: a directive that ignores nothing.

use super::Rule;
use crate::report::Level;

/// The rule. What it judges are the directives in the files and not a catalog: see `plumb check`.
pub static RULE: Rule = Rule {
    code: "unused-ignore",
    meaning: "A directive `-- plumb: ignore` ignores nothing.",
    why: "What it was written for is gone, it is written above something else, its last day is over, or its rule is misspelt: then the finding is \
          shown, or comes back some day, while the files say that it is known. Directives about hazards are judged by `plumb plan`.",
    bad: "-- plumb: ignore serial: the old application names the sequence\nCREATE TABLE orders (id bigint PRIMARY KEY);",
    good: "-- plumb: ignore serial: the old application names the sequence\nCREATE TABLE orders (id bigserial PRIMARY KEY);",
    config: None,
    since: 0,
    level: Level::Warning,
    also: &[],
    find: |_| Vec::new(),
};
