//! Drift in Markdown: for an issue that a job opens at night, and for a chat that shows it.

use super::acceptance::{Acceptance, one_sided};
use super::difference::{Difference, State, Topic, differences};
use super::document::Plan;
use super::facts;
use super::markdown::escape::{cell, code, fenced, prose};
use super::page::{clean, shorten};

/// Columns of a name.
const NAME: usize = 120;
/// Bytes of the whole: code hosts take 65,536 characters.
const LONGEST: usize = 60_000;

/// The report. `target` and `schema` are what the two sides are called.
pub fn render(plan: &Plan, acceptance: &Acceptance, target: &str, schema: &str) -> String {
    let (list, _) = differences(plan);
    let (known, open): (Vec<&Difference>, Vec<&Difference>) = list.iter().partition(|d| acceptance.difference(d).is_some());
    let strangers: Vec<_> = one_sided(plan).filter(|u| acceptance.unmanaged(u).is_none()).collect();
    let [target, schema] = [target, schema].map(|name| code(&shorten(&clean(name), NAME)));
    let count = open.len() + strangers.len();
    let mut text = match count {
        0 => format!("## plumb: no drift\n\n{target} equals {schema}.\n\n"),
        n => format!("## plumb: drift, {}\n\nBetween {target} and {schema}.\n\n", facts::count(n, "difference")),
    };
    text += &table(&open);
    for u in strangers {
        text += &format!(
            "- {} is not managed, and not the same on both sides\n",
            code(&clean(&format!("{} {}", u.class, u.identity)))
        );
    }
    let accepted = known.iter().filter_map(|d| Some((d, acceptance.difference(d)?)));
    for (difference, entry) in accepted {
        let (object, reason) = (code(&name(difference)), prose(&shorten(&clean(&entry.reason), NAME)));
        text += &format!("- {object} is accepted until {} by {}: {reason}\n", entry.until, prose(&clean(&entry.author)));
    }
    acceptance
        .stale
        .iter()
        .chain(&plan.warnings)
        .chain(&super::notes::put_aside(plan))
        .for_each(|note| text += &format!("- {}\n", prose(&clean(note))));
    let blocks: Vec<String> = open.iter().map(|d| block(d)).collect();
    let mut left = 0;
    for block in blocks {
        if text.len() + block.len() < LONGEST { text += &format!("\n{block}") } else { left += 1 }
    }
    if left > 0 {
        text +=
            &format!("\nNo room here: the statements of {}; `plumb drift` has them.\n", facts::count(left, "more difference"));
    }
    text
}

fn name(difference: &Difference) -> String {
    shorten(&clean(&difference.name), NAME)
}

fn table(list: &[&Difference]) -> String {
    if list.is_empty() {
        return String::new();
    }
    let row = |d: &&Difference| {
        let about = if d.topic == Topic::Security { "**security**" } else { "structure" };
        let how = match d.state {
            State::Missing => "missing".to_owned(),
            State::Extra => "not wanted".to_owned(),
            State::Renamed => match &d.renamed_from {
                Some(old) => prose(&clean(&format!("called {}", facts::name(old)))),
                None => "has another name".to_owned(),
            },
            State::Differs => prose(&clean(&format!("differs {}", d.fields.join(", ").replace('_', " ")))),
        };
        let place = d.source.as_ref().map_or(String::new(), |s| code(&clean(&format!("{}:{}", s.file, s.line))));
        format!("| {about} | {} | {how} | {} |\n", cell(&code(&name(d))), cell(&place))
    };
    let mut text = "| about | object | how | wanted by |\n| --- | --- | --- | --- |\n".to_owned();
    let mut rows = list.iter().map(row);
    for row in rows.by_ref() {
        if text.len() + row.len() > LONGEST / 2 {
            return text + &format!("\n{} more differences\n\n", rows.count() + 1);
        }
        text += &row;
    }
    text + "\n"
}

/// The statements in both directions, folded.
fn block(d: &Difference) -> String {
    let joined = |sql: &[String]| sql.iter().map(|s| format!("{s};\n")).collect::<String>();
    let mut sql = format!("-- repair\n{}", joined(&d.repair));
    if let Some(back) = &d.reproduce {
        sql += &format!("-- reproduce\n{}", joined(back));
    }
    let note = d.note.as_ref().map_or(String::new(), |n| format!("{}\n\n", prose(&clean(n))));
    let note = d.origin.as_ref().map_or(String::new(), |o| format!("Last changed: {}\n\n", prose(&clean(o)))) + &note;
    let summary = super::markup::line(&name(d));
    format!("<details><summary><code>{summary}</code></summary>\n\n{}{note}</details>\n", fenced("sql", &sql))
}
