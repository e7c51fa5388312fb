//! `docs/hazards.md`, written from the rules themselves.

use plumb::hazard::{Example, Level, RULES, Rule};
use std::fmt::Write as _;

const HEAD: &str = "# Hazards

What a plan names as a hazard, why, and what to do about it. Every example is a pair of schemas: a test makes the plan between them
on a server and holds the hazards in it to what stands here.

A hazard is *refused* (`plumb apply` takes it with `--allow CODE` only), a *warning*, or a *note* (shown with `--verbose` and in the
JSON document; never counted). Where it says that size decides, a table without rows has no such hazard, one with fewer than 10,000
rows and less than 100 MB makes it a note, and one of 10 million rows or 10 GB makes it refused. A table that nobody has counted yet
(no VACUUM, no ANALYZE, no statistics) counts as large. What a plan took a table for stands in it (`sizes`), not how many rows it
had: the plan stays the same while the table grows, and `apply` refuses it when the table has become too large for it.

## Known, and meant

A comment in the schema files, directly above the statement that defines the object, says that a hazard of its steps is meant:

```sql
-- plumb: ignore widens-rights until 2027-01-31: the support team reads everything during the migration
CREATE POLICY support ON documents TO support USING (true);
```

The reason is part of it, the day is not. Such a hazard needs no `--allow`; it stays in the plan and in every output, with its reason
and place. After its last day the directive counts no more, for `plan` and for `apply`, and the plan says so. There is no other way
to switch a hazard off, and none for a whole project.

What is dropped has no statement in the files, so a drop cannot be ignored in this way: `--allow` is the way.

<!-- Written by `PLUMB_BLESS=1 cargo test --test hazards` from src/hazard/. -->
";

fn level(rule: &Rule) -> &'static str {
    match rule.level {
        Level::Refused => "refused",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn example(page: &mut String, title: &str, example: &Example) {
    let Example { before, after, shows } = example;
    write!(page, "\n{title}: {shows}\n\n```sql\n-- before\n{}\n\n-- after\n{}\n```\n", before.trim(), after.trim()).unwrap();
}

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page += "\n| hazard | | |\n| --- | --- | --- |\n";
    for rule in RULES {
        writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", rule.code, level(rule), rule.meaning).unwrap();
    }
    for rule in RULES {
        let by_size = if rule.by_size { "; size decides" } else { "" };
        write!(page, "\n## {}\n\n{} ({}{by_size})\n\n", rule.code, rule.meaning, level(rule)).unwrap();
        write!(page, "{}\n\nWhat to do: {}\n", rule.why, rule.remedy).unwrap();
        example(&mut page, "Has it", &rule.bad);
        example(&mut page, "Has it not", &rule.good);
        if !rule.same.is_empty() {
            let ids = |ids: &[&str]| ids.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", ");
            let list: Vec<String> = rule.same.iter().map(|s| format!("{} {}", s.tool, ids(s.ids))).collect();
            write!(page, "\nElsewhere: {}.\n", list.join("; ")).unwrap();
        }
    }
    page
}
