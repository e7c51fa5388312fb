//! What came of all cells: the table that stands in `docs/reliability.md`, and the failures.

use super::tree;
use std::collections::BTreeMap;

/// What came of one cell.
pub struct Outcome {
    /// The part of the table, and the row in it.
    pub part: &'static str,
    pub row: &'static str,
    /// How it is brought back.
    pub name: String,
    /// How many applies were to meet with something.
    pub runs: usize,
    /// How many have: an apply may have been over before.
    pub result: Result<usize, String>,
}

impl Outcome {
    /// How many faults there were.
    pub fn faults(&self) -> usize {
        self.result.as_ref().map_or(self.runs, |fired| *fired)
    }
}

/// What stands around the table in the page.
const MARKS: (&str, &str) = ("<!-- faults: written by `make faults` -->\n", "<!-- end of faults -->\n");

#[derive(Default)]
struct Count {
    cells: usize,
    happened: usize,
    lost: usize,
}

/// The table.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut rows: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    for outcome in outcomes {
        for key in [(outcome.part, outcome.row), ("~", "all")] {
            let count = rows.entry(key).or_default();
            count.cells += outcome.runs;
            count.happened += outcome.faults();
            count.lost += usize::from(outcome.result.is_err());
        }
    }
    let mut text = "| where | what | runs | faults | lost |\n| --- | --- | ---: | ---: | ---: |\n".to_owned();
    for ((part, row), Count { cells, happened, lost }) in rows {
        let part = if part == "~" { "" } else { part };
        text += &format!("| {part} | {row} | {cells} | {happened} | {lost} |\n");
    }
    text
}

/// Those that are lost, each with the way to bring it back.
pub fn failures(outcomes: &[Outcome], seed: u64) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        if let Err(why) = &outcome.result {
            let why: String = why.chars().take(4_000).collect();
            let (name, row) = (&outcome.name, &outcome.row);
            text += &format!(
                "LOST {row}: PLUMB_SEED={seed} PLUMB_FAULT={name} cargo test --locked --test faults\n  {}\n",
                why.replace('\n', "\n  ")
            );
        }
    }
    text
}

/// Writes the table into the page.
pub fn write(text: &str) {
    let path = tree::root("docs/reliability.md");
    let page = tree::text(&path);
    let (before, rest) = page.split_once(MARKS.0).expect("the page has a place for the table");
    let (_, after) = rest.split_once(MARKS.1).expect("the place has an end");
    std::fs::write(path, format!("{before}{}{text}{}{after}", MARKS.0, MARKS.1)).unwrap();
}
