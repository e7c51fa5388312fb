//! The plan as a script for psql: the statements that `apply` runs, in its transactions, with what it knows above each.

use std::time::Duration;

use super::document::{Group, Plan, PlanStep};
use super::facts;
use super::known::{known, mark};
use super::page::steers;
use crate::sql::literal;

/// What every statement of a plan relies on, in `apply` and in this script alike: names are written in full, bodies may name what
/// comes later, and statements take the time that they need. How long they wait for a lock is said beside.
pub const SETTINGS: &[(&str, &str)] = &[
    ("search_path", "pg_catalog"),
    ("check_function_bodies", "off"),
    ("client_min_messages", "warning"),
    ("TimeZone", "'UTC'"),
    ("statement_timeout", "0"),
];
/// How long a statement waits for a lock when nobody says so.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Strings are read as plumb writes them, whatever the database is set to; psql itself looks at this one.
const STRINGS: &str = "SET standard_conforming_strings = on;";

/// The script, ending with a line break. Nothing that a name or a reason holds can leave its comment.
pub fn render(plan: &Plan, lock_timeout: Option<Duration>) -> String {
    let mut script = head(plan);
    for group in &plan.groups {
        script += &render_group(plan, group, lock_timeout.unwrap_or(LOCK_TIMEOUT));
    }
    if plan.is_empty() {
        script += "\n-- Nothing to do.\n";
    }
    script
}

fn head(plan: &Plan) -> String {
    let mut lines = vec![
        format!("plumb plan {}", plan.id),
        format!("for database {}, to be run as role {}", plan.database, plan.role),
        format!("from {}", plan.from.scope),
        format!("to   {}", plan.to),
        facts::proof(plan),
    ];
    lines.extend(facts::nature(plan));
    if !plan.is_empty() {
        lines.push(format!("{}; {}.", facts::summary(plan), facts::hazards(plan)));
    }
    let roles = facts::roles(plan);
    if !roles.is_empty() {
        lines.push(format!("Roles that have to exist: {}.", roles.join(", ")));
    }
    lines.extend(plan.warnings.iter().map(|w| format!("Warning: {w}.")));
    lines.push(
        "Run it with psql -X -f FILE. `plumb apply` also checks that the database is still the one planned for.".to_owned(),
    );
    let comments: String = lines.iter().map(|l| comment(l)).collect();
    format!("{comments}\n\\set ON_ERROR_STOP on\n\\encoding UTF8\n{STRINGS}\n")
}

fn render_group(plan: &Plan, group: &Group, lock_timeout: Duration) -> String {
    let place = format!("group {} of {}", group.id, plan.groups.len());
    let mut script = String::from("\n");
    if group.transactional {
        script += &comment(&format!("{place}: one transaction"));
        script += "BEGIN;\n";
        script += &settings("SET LOCAL", lock_timeout);
        let aside = group.steps.iter().any(|step| step.change == "quarantine");
        script.extend(aside.then(|| format!("SET LOCAL plumb.plan = {};\n", literal(plan.short_id()))));
        script.extend(group.steps.iter().any(facts::reaches_all_rows).then_some("SET LOCAL row_security = off;\n"));
    } else {
        script += &comment(&format!("{place}: outside a transaction; a statement waits for others as long as it takes"));
        script += &settings("SET", Duration::ZERO);
    }
    script.extend(group.steps.iter().map(render_step));
    let reset = |(name, _): &(&str, &str)| format!("RESET {name};\n");
    script += &match group.transactional {
        true => "\nCOMMIT;\n".to_owned(),
        false => format!("\n{}RESET lock_timeout;\n", SETTINGS.iter().map(reset).collect::<String>()),
    };
    script
}

fn settings(set: &str, lock_timeout: Duration) -> String {
    let all: String = SETTINGS.iter().map(|(name, value)| format!("{set} {name} = {value};\n")).collect();
    format!("{all}{set} lock_timeout = {};\n", lock_timeout.as_millis())
}

fn render_step(step: &PlanStep) -> String {
    let mut lines = vec![format!("step {}, {}: {} {}", step.id, step.phase, mark(step).sign(), step.object)];
    lines.extend(known(step).into_iter().map(|(label, text)| format!("  {label}: {text}")));
    lines.extend(facts::hazards_of(step).map(|h| format!("  ! {}", h.words())));
    let comments: String = lines.iter().map(|l| comment(l)).collect();
    let statements: String = step.sql.iter().map(|s| statement(s)).collect();
    format!("\n{comments}{statements}")
}

/// A comment of one line, whatever the text holds.
fn comment(text: &str) -> String {
    let mut line = String::from("-- ");
    for c in text.chars() {
        if steers(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    format!("{}\n", line.trim_end())
}

/// A statement with its semicolon, on a line of its own where the last line could be a comment.
fn statement(sql: &str) -> String {
    let sql = sql.trim_end();
    let last = sql.lines().next_back().unwrap_or_default();
    format!("{sql}{};\n", if last.contains("--") { "\n" } else { "" })
}
