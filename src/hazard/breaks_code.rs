//! `breaks-code`: code that runs relies on what goes or becomes another.

use super::{Example, Facts, Finding, Level, Rule, Same};
use crate::statement::{Effect, Loss};

/// The rule.
pub static RULE: Rule = Rule {
    code: "breaks-code",
    level: Level::Warning,
    by_size: false,
    meaning: "Code that runs now relies on what goes or becomes another.",
    why: "Old and new versions of a program run side by side while they are deployed: what the old one names has to stand until it is gone.",
    remedy: "Expand first, deploy, contract later. A column that becomes NOT NULL gets a default; a type change becomes a new column.",
    same: &[
        Same {
            tool: "squawk",
            ids: &[
                "adding-required-field",
                "changing-column-type",
                "renaming-column",
                "renaming-table",
                "ban-drop-column",
                "ban-drop-table",
            ],
        },
        Same { tool: "Atlas", ids: &["BC101", "BC102", "MF103", "MF104"] },
        Same {
            tool: "strong_migrations",
            ids: &["remove_column", "rename_column", "rename_table", "rename_schema", "change_column", "change_column_null"],
        },
    ],
    with: &["long-scan"],
    bad: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL, note varchar(20));
"#,
        shows: "Programs that write no status fail from now on.",
    },
    good: Example {
        before: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text, note varchar(20));
"#,
        after: r#"CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'new', note varchar(20));
"#,
        shows: "The default stands in for them.",
    },
    judge,
};

fn judge(facts: &Facts) -> Vec<Finding> {
    // What is refused for its rows or values has been said already, and louder.
    let lost = facts.losses().any(|l| matches!(l, Loss::Rows(_) | Loss::Values(_)));
    let of = |e: &Effect| match e {
        Effect::Gone(name) => {
            let finding = Finding::new(format!("code that names {name} fails"));
            Some(if lost { finding.level(Level::Note) } else { finding })
        }
        Effect::Strains(words) => Some(Finding::new(words)),
        _ => None,
    };
    facts.step.effects.iter().filter_map(of).collect()
}
