//! How much the steps of a plan have to read and write, and about how long that takes: from what the server knew of the tables
//! when the plan was made. It varies from run to run and stands in `observed`, outside the id.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::document::{Plan, PlanStep};
use super::facts::thousands;
use crate::catalog::{Size, Usage};

/// Where the tables are kept.
pub const TABLES: &str = "tables";
/// Where the seconds of each step are kept.
pub const SECONDS: &str = "seconds";

/// Bytes in a second that a table is read with; `docs/plan-format.md` says so. What is cached is faster, what is busy is slower.
const READ: f64 = 200e6;
/// The same for what is written anew, with its indexes, or sorted into an index.
const WRITTEN: f64 = 50e6;

/// What the server knew of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// How much it holds.
    #[serde(flatten)]
    pub size: Size,
    /// What else is known.
    #[serde(flatten)]
    pub usage: Usage,
}

/// Tables by their SQL names.
pub type Tables = BTreeMap<String, Table>;

/// The tables that are worth asking about: those that a step reads or writes in full, or locks against others.
pub fn worked_on(plan: &Plan) -> BTreeSet<String> {
    let locked = |s: &PlanStep| s.locks.iter().filter(|l| l.mode.blocks_writes()).map(|l| l.relation.clone()).collect::<Vec<_>>();
    plan.steps().flat_map(|s| s.rewrites.iter().chain(&s.scans).cloned().chain(locked(s))).collect()
}

/// The plan with what is known of its tables, and how long its steps may take.
pub fn estimated(plan: &mut Plan, sizes: &BTreeMap<String, Size>, usage: BTreeMap<String, Usage>) {
    let table =
        |(name, usage): (String, Usage)| (name.clone(), Table { size: sizes.get(&name).copied().unwrap_or_default(), usage });
    let tables: Tables = usage.into_iter().map(table).collect();
    let seconds: BTreeMap<u32, f64> = plan.steps().filter_map(|s| Some((s.id, coarse(seconds(s, &tables)?)))).collect();
    for (key, value) in [(TABLES, serde_json::to_value(tables)), (SECONDS, serde_json::to_value(seconds))] {
        if let Ok(value) = value
            && value.as_object().is_some_and(|map| !map.is_empty())
        {
            plan.observed.insert(key.to_owned(), value);
        }
    }
}

/// How long a step may take; nothing where it reads and writes nothing in full, or nobody knows how much.
fn seconds(step: &PlanStep, tables: &Tables) -> Option<f64> {
    let bytes = |name: &String| tables.get(name).and_then(|t| t.size.bytes).map(|b| b as f64);
    let indexes = |name: &String| tables.get(name).map_or(0.0, |t| t.usage.index_bytes as f64);
    let written = step.rewrites.iter().map(|name| Some((bytes(name)? + indexes(name)) / WRITTEN));
    let rate = if builds(step) { WRITTEN } else { READ };
    let read = step.scans.iter().map(|name| Some(bytes(name)? / rate));
    let all: Vec<f64> = written.chain(read).collect::<Option<_>>()?;
    (!all.is_empty()).then(|| all.iter().sum())
}

/// Whether what it reads goes into an index.
fn builds(step: &PlanStep) -> bool {
    step.change == "create" && ["index", "primary key", "unique", "exclusion"].contains(&step.object.class())
}

/// One digit that counts: more than that nobody knows.
fn coarse(seconds: f64) -> f64 {
    let unit = 10f64.powf(seconds.max(0.1).log10().floor());
    (seconds / unit).round() * unit
}

/// What was known when the plan was made, for those who write it down.
#[derive(Default)]
pub struct Estimates {
    tables: Tables,
    seconds: BTreeMap<u32, f64>,
}

impl Estimates {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Estimates {
        fn read<T: Default + for<'a> Deserialize<'a>>(plan: &Plan, key: &str) -> T {
            plan.observed.get(key).and_then(|v| T::deserialize(v).ok()).unwrap_or_default()
        }
        Estimates { tables: read(plan, TABLES), seconds: read(plan, SECONDS) }
    }

    /// `1.2 million rows of public.orders (310 MB)`, else `all of public.orders`.
    pub fn all_of(&self, relation: &str) -> String {
        match self.tables.get(relation).and_then(|t| Some((t.size.rows?, t.size))) {
            Some((rows, size)) => format!("{} of {relation}{}", rows_in_words(rows), in_bytes(size)),
            None => format!("all of {relation}"),
        }
    }

    /// `1.2 million rows (310 MB)`.
    pub fn held_by(&self, relation: &str) -> Option<String> {
        let size = self.tables.get(relation)?.size;
        Some(format!("{}{}", rows_in_words(size.rows?), in_bytes(size)))
    }

    /// `about 4 s`.
    pub fn time(&self, step: &PlanStep) -> Option<String> {
        self.seconds.get(&step.id).map(|seconds| about(*seconds))
    }

    /// The same in seconds.
    pub fn seconds(&self, step: &PlanStep) -> Option<f64> {
        self.seconds.get(&step.id).copied()
    }

    /// How many rows a step reads; none where nobody has counted them.
    pub fn rows(&self, step: &PlanStep) -> Option<u64> {
        let rows = |name: &String| self.tables.get(name)?.size.rows;
        step.scans.iter().map(rows).sum::<Option<_>>().filter(|rows| *rows > 0)
    }

    /// All that is known of the tables that a step works on, a line each.
    pub fn tables(&self, step: &PlanStep) -> Vec<String> {
        let locked = step.locks.iter().filter(|l| l.mode.blocks_writes()).map(|l| &l.relation);
        let names: BTreeSet<&String> = step.rewrites.iter().chain(&step.scans).chain(locked).collect();
        names.into_iter().filter_map(|name| self.tables.get(name).map(|table| described(name, table))).collect()
    }
}

fn described(name: &str, table: &Table) -> String {
    let Table { size, usage } = table;
    let mut parts = vec![size.rows.map_or("nobody has counted its rows".to_owned(), rows_in_words) + &in_bytes(*size)];
    if usage.indexes > 0 {
        parts.push(format!(
            "{} ({})",
            super::facts::count(usage.indexes as usize, "index").replace("indexs", "indexes"),
            bytes(usage.index_bytes)
        ));
    }
    parts.extend(usage.writes.filter(|w| *w >= 0.05).map(|w| format!("{} writes a second", rate(w))));
    parts.extend(usage.vacuumed.as_ref().map(|at| format!("vacuumed {at}")));
    parts.extend(usage.analyzed.as_ref().map(|at| format!("analyzed {at}")));
    format!("{name}: {}", parts.join(", "))
}

fn rate(writes: f64) -> String {
    if writes < 10.0 { format!("{writes:.1}") } else { thousands(writes.round() as u64) }
}

/// `1.2 million rows`.
fn rows_in_words(rows: u64) -> String {
    match rows {
        0 => "no rows".to_owned(),
        1 => "1 row".to_owned(),
        rows if rows < 1_000_000 => format!("{} rows", thousands(rows)),
        rows if rows < 1_000_000_000 => format!("{:.1} million rows", rows as f64 / 1e6),
        rows => format!("{:.1} billion rows", rows as f64 / 1e9),
    }
}

fn in_bytes(size: Size) -> String {
    size.bytes.map_or(String::new(), |b| format!(" ({})", bytes(b)))
}

/// Bytes in the units of `pg_size_pretty`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: &[(&str, f64)] = &[("TB", 1099511627776.0), ("GB", 1073741824.0), ("MB", 1048576.0), ("kB", 1024.0)];
    let bytes = bytes as f64;
    match UNITS.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) if bytes / size < 10.0 && *unit != "kB" => format!("{:.1} {unit}", bytes / size),
        Some((unit, size)) => format!("{:.0} {unit}", bytes / size),
        None => format!("{bytes} bytes"),
    }
}

/// A time in words: `about 4 s`.
pub fn about(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "less than 1 s".to_owned(),
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::catalog::Catalog;
    use crate::catalog::Id;
    use crate::statement::LockMode;

    #[test]
    fn figures_read_well() {
        assert_eq!(
            [0, 1, 12_345, 1_204_551, 7_300_000_000].map(rows_in_words),
            ["no rows", "1 row", "12,345 rows", "1.2 million rows", "7.3 billion rows"]
        );
        assert_eq!([12, 8192, 325_058_560, 1_181_116_006].map(bytes), ["12 bytes", "8 kB", "310 MB", "1.1 GB"]);
        let found = [0.02, 1.55, 44.0, 190.0, 8000.0].map(|s| about(coarse(s)));
        assert_eq!(found, ["less than 1 s", "about 2 s", "about 40 s", "about 3 min", "about 2 h"]);
    }

    #[test]
    fn only_what_is_worked_on_is_asked_for_and_told() {
        let table = Id::new("table", ["public", "t"]);
        let mut step = samples::step(1, "migrate", "alter", table, &["VALIDATE"]);
        step.scans = vec!["public.t".to_owned()];
        step.locks =
            vec![super::super::LockFact { relation: "public.u".into(), mode: LockMode::ShareUpdateExclusive, brief: true }];
        let mut plan = samples::plan(vec![step], &[]);
        assert_eq!(worked_on(&plan), BTreeSet::from(["public.t".to_owned()]));
        let mut catalog = Catalog::default();
        catalog.sizes.insert("public.t".to_owned(), Size { rows: Some(1_204_551), bytes: Some(810_000_000) });
        let usage = Usage {
            indexes: 3,
            index_bytes: 125_829_120,
            writes: Some(12.4),
            analyzed: Some("2026-11-20".into()),
            vacuumed: None,
        };
        let id = plan.content_id();
        estimated(&mut plan, &catalog.sizes, BTreeMap::from([("public.t".to_owned(), usage)]));
        assert_eq!(plan.content_id(), id);
        let found = Estimates::of(&plan);
        let step = plan.steps().next().expect("a step");
        assert_eq!(found.all_of("public.t"), "1.2 million rows of public.t (772 MB)");
        assert_eq!(found.time(step).as_deref(), Some("about 4 s"));
        assert_eq!(
            found.tables(step),
            ["public.t: 1.2 million rows (772 MB), 3 indexes (120 MB), 12 writes a second, analyzed 2026-11-20"]
        );
        assert_eq!(found.all_of("public.u"), "all of public.u");
    }
}
