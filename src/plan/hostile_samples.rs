//! Plans whose names and definitions try to be markup, and plans that are too large.

use super::document::{Plan, Proof};
use super::samples::{plan, step};
use crate::catalog::Id;
use crate::hazard::{Hazard, Level};
use crate::statement::LockMode;

/// Names that mean something to Markdown, HTML, Graphviz, Mermaid or a code host.
pub const NAMES: &[&str] = &[
    "a|b\\|c",
    "`tick``tock`",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "]]>--></details></svg><h1>out</h1><!--",
    "@everyone @org/team #1 GH-2 deadbeef1234",
    "https://evil.example/?a=b&c=d www.evil.example me@evil.example",
    "![x](javascript:alert(1)) [y](//evil.example)",
    "*b* _i_ ~~s~~ # h\n## heading\n\n- item\r\n```\nfence",
    "\"]; evil [label=\"x\" --> %% ; click s1 \"javascript:x\"",
    "&lt;b&gt; &#64;nobody $x$ \\(y\\)",
    "\u{202e}desrever \u{1b}[31m \u{0} \u{2028}",
    " ",
    "Sélect\"; --",
];

/// A step for each of the names, and the names wherever else a plan holds text.
pub fn nasty() -> Plan {
    let steps = NAMES.iter().enumerate().map(|(n, name)| {
        let id = n as u32 + 1;
        let change = ["create", "alter", "drop"][n % 3];
        let mut step = step(id, "expand", change, Id::new("table", ["public", name]), &[]);
        step.sql = vec![format!("CREATE TABLE {name}\n```\n</details> -- {name}"), format!("SELECT '{name}'")];
        step.reason = (*name).to_owned();
        step.before = Some(format!("{name}\n1\n2"));
        step.definition = Some(format!("{name}\n1\n3"));
        step.after = if n == 0 { Vec::new() } else { vec![(id - 1, format!("because {name}"))] };
        step.reverse.why = Some((*name).to_owned());
        step.scans = vec![(*name).to_owned()];
        step.hazards = vec![Hazard {
            code: "loses-rows".into(),
            message: format!("rows of {name} are lost"),
            level: Level::Refused,
            at: None,
            ignored: None,
        }];
        step.locks =
            vec![super::LockFact { relation: (*name).to_owned(), mode: LockMode::AccessExclusive, brief: n.is_multiple_of(2) }];
        step.source = Some(super::Source { file: format!("schema/{name}.sql"), line: id as usize });
        step
    });
    let mut plan = plan(steps.collect(), &[2]);
    plan.warnings = NAMES.iter().map(|n| (*n).to_owned()).collect();
    plan.database = NAMES[4].to_owned();
    plan.proof = Proof::Unproven { reason: NAMES.join(" ") };
    plan.seal()
}

/// A plan of so many steps, with definitions of some length: tables, their indexes, and some that go.
pub fn large(count: u32) -> Plan {
    let one = |id: u32| {
        let table = format!("table_number_{}", id / 4);
        let body: String = (0..12).map(|n| format!("    column_{n} numeric(12,2) NOT NULL,\n")).collect();
        let mut step = match id % 4 {
            0 => {
                step(id, "expand", "create", Id::new("table", ["public", &table]), &[&format!("CREATE TABLE {table} (\n{body})")])
            }
            3 if id.is_multiple_of(20) || id % 20 == 3 => {
                step(id, "contract", "drop", Id::new("table", ["old", &table]), &["DROP TABLE x"])
            }
            n => {
                step(id, "expand", "create", Id::new("index", ["public".into(), format!("{table}_{n}_idx")]), &["CREATE INDEX x"])
            }
        };
        if step.change == "drop" {
            step.hazards = vec![Hazard {
                code: "loses-rows".into(),
                message: format!("all rows of old.{table} are lost"),
                level: Level::Refused,
                at: None,
                ignored: None,
            }];
        } else if !id.is_multiple_of(4) && id > 4 {
            step.after = vec![(id - id % 4, format!("index needs table public.{table}, says pg_depend"))];
        } else if id > 8 {
            step.after = vec![(id - 8, format!("foreign key of {table} needs it")), (id.div_ceil(3), "it is used by it".into())];
        }
        step
    };
    plan((1..=count).map(one).collect(), &[])
}
