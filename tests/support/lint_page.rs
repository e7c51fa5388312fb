//! `docs/lint.md`, made of the rules.

use plumb::lint::{RULES, Rule};
use std::fmt::Write as _;

const HEAD: &str = "# What `plumb check` looks for\n\n\
*Made of the rules in `src/lint` by `tests/lint.rs`, which runs every example below on a real server: do not edit.*\n\n\
`plumb check` loads the files, reports every error in them, and then what is allowed and seldom meant. It ends with 1 when there is\n\
an error, with 0 when there are only warnings. `--db URL` looks at a live database or a snapshot of one instead. `--format json`, `sarif`,\n\
`junit` and `github` are for machines.\n\n\
Each rule is `error`, `warning` or `off`:\n\n\
```toml\n[lint]\nmissing-primary-key = \"error\"\njson-type = \"off\"\n```\n\n\
What is meant to be so is said where it stands, with the reason, on a line of its own above the statement, the column or the named\n\
constraint. It may have a last day. What a directive ignores is counted, and told with its reason in the forms for machines; a directive\n\
that ignores nothing is found by `unused-ignore`.\n\n\
```sql\n-- plumb: ignore missing-primary-key: rows are only ever appended and read in bulk\nCREATE TABLE log (line text);\n\n\
CREATE TABLE shops (\n    id    bigint PRIMARY KEY,\n    \
-- plumb: ignore timestamp-without-zone until 2027-12-31: opening hours are told by the clock on the wall\n    opens timestamp\n);\n```\n";

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page += "\n| rule | level | finds |\n| --- | --- | --- |\n";
    for rule in RULES {
        writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", rule.code, rule.level.word(), rule.meaning).unwrap();
    }
    RULES.iter().for_each(|rule| page += &section(rule));
    page
}

fn section(rule: &Rule) -> String {
    let mut text = format!("\n## {}\n\n{} {}\n", rule.code, rule.meaning, rule.why);
    if rule.since > 0 {
        write!(text, "\nAsked from PostgreSQL {} on.\n", rule.since / 10_000).unwrap();
    }
    if let Some(config) = rule.config {
        write!(text, "\n```toml\n{config}```\n").unwrap();
    }
    write!(text, "\nFound:\n\n```sql\n{}\n```\n\nNot found:\n\n```sql\n{}\n```\n", rule.bad, rule.good).unwrap();
    if !rule.also.is_empty() {
        let names: Vec<String> = rule.also.iter().map(|(tool, name)| format!("`{name}` ({tool})")).collect();
        write!(text, "\nElsewhere: {}.\n", names.join(", ")).unwrap();
    }
    text
}
