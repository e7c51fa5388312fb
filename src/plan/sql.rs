//! The plan as a script for psql: the statements that `apply` runs, in its transactions, with what it knows above each.

use super::document::{Group, Plan, PlanStep};
use super::facts;
use super::page::steers;

/// What every statement of a plan relies on: names are written in full, and bodies may name what comes later.
const SETTINGS: &[(&str, &str)] = &[("check_function_bodies", "off"), ("search_path", "pg_catalog"), ("lock_timeout", "'2s'")];
/// Outside a transaction a statement waits for others as long as it takes.
const ALONE: &[(&str, &str)] = &[("check_function_bodies", "off"), ("search_path", "pg_catalog"), ("lock_timeout", "0")];

/// The script, ending with a line break. Nothing that a name or a reason holds can leave its comment.
pub fn render(plan: &Plan) -> String {
    let mut script = head(plan);
    for group in &plan.groups {
        script += &render_group(plan, group);
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
    if !plan.is_empty() {
        lines.push(format!("{}. {}.", facts::summary(plan), facts::hazards(plan)));
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
    format!("{comments}\n\\set ON_ERROR_STOP on\n\\encoding UTF8\n")
}

fn render_group(plan: &Plan, group: &Group) -> String {
    let place = format!("group {} of {}", group.id, plan.groups.len());
    let mut script = String::from("\n");
    if group.transactional {
        script += &comment(&format!("{place}: one transaction"));
        script += "BEGIN;\n";
        script += &settings("SET LOCAL", SETTINGS);
    } else {
        script += &comment(&format!("{place}: outside a transaction"));
        script += &settings("SET", ALONE);
    }
    script.extend(group.steps.iter().map(render_step));
    script += if group.transactional {
        "\nCOMMIT;\n"
    } else {
        "\nRESET check_function_bodies;\nRESET search_path;\nRESET lock_timeout;\n"
    };
    script
}

fn settings(set: &str, list: &[(&str, &str)]) -> String {
    list.iter().map(|(name, value)| format!("{set} {name} = {value};\n")).collect()
}

fn render_step(step: &PlanStep) -> String {
    let sign = match step.change.as_str() {
        "create" => '+',
        "drop" => '-',
        _ => '~',
    };
    let mut lines = vec![format!("step {}, {}: {sign} {}", step.id, step.phase, step.object)];
    lines.push(format!("  {}", step.reason));
    lines.extend(step.source.iter().map(|s| format!("  {}:{}", s.file, s.line)));
    lines.extend(
        step.locks.iter().map(|l| format!("  lock: {} on {}{}", l.mode, l.relation, if l.brief { ", brief" } else { "" })),
    );
    lines.extend(step.rewrites.iter().map(|r| format!("  rewrites: {r}")));
    lines.extend(step.scans.iter().map(|r| format!("  reads all of: {r}")));
    lines.extend(step.hazards.iter().filter(|h| h.matters()).map(|h| format!("  ! {}", h.words())));
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
