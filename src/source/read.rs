//! Files -> screened statements with their hints and the settings in force where they stand.

use super::directive::{self, Directive};
use super::files::{Files, Place};
use super::hints::{self, Hints};
use super::policy::Policy;
use super::problem::{Problem, Problems};
use super::screen::{Action, KEPT_SETTINGS, Verdict, screen};
use super::split::{Parsed, split};
use super::{rewrite, walk};
use pg_query::protobuf::{self, VariableSetKind, a_const};
use pg_query::{Node, NodeEnum};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The settings in force where a statement stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The search path as a list of schemas.
    pub path: Vec<String>,
    /// Other settings that are kept, with their values as SQL.
    pub others: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { path: vec!["public".to_owned()], others: BTreeMap::new() }
    }
}

impl Settings {
    /// The schema in which an unqualified name is created.
    pub fn creates_in(&self) -> &str {
        self.path.iter().find(|s| *s != "pg_catalog" && *s != "$user").map_or("public", String::as_str)
    }
}

/// One statement of the files, admitted by the screen.
#[derive(Clone, Debug)]
pub struct Statement {
    /// From its first token to its last, without the semicolon.
    pub place: Place,
    /// The blanks and comments directly before it: directives stand here.
    pub before: Range<usize>,
    /// The directives above it and inside of it.
    pub directives: Vec<Directive>,
    /// What is sent. Byte for byte in the same place as in the file, so that positions agree.
    pub sql: String,
    /// Its parse tree.
    pub node: NodeEnum,
    /// What is done with it.
    pub action: Action,
    /// It needs a superuser.
    pub superuser: bool,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// What it defines, requires and drops.
    pub hints: Hints,
}

/// Splits, parses and screens all files. Every problem is found, not the first only.
pub fn read(files: &Files, policy: &Policy) -> Result<Vec<Statement>, Problems> {
    let mut statements = Vec::new();
    let mut problems = Vec::new();
    for file in 0..files.0.len() {
        let (first, well) = (statements.len(), problems.len());
        read_file(files, file, policy, &mut statements, &mut problems);
        // What is refused takes the directives above it along.
        if problems.len() == well {
            directive::attach(files, file, &mut statements[first..], &mut problems);
        }
    }
    if problems.is_empty() { Ok(statements) } else { Err(Problems::new(files, problems)) }
}

fn read_file(files: &Files, file: usize, policy: &Policy, statements: &mut Vec<Statement>, problems: &mut Vec<Problem>) {
    let mut settings = Arc::new(Settings::default());
    let mut escapes = false;
    let wrong = split(files, file, &mut |p| match screen(&p.node, policy) {
        Verdict::Refuse { what, why, help } => {
            let place = Place::new(p.place.file, first_line(&p));
            problems.push(Problem::at("source::refused", place, format!("{what} is refused"), why).help(help));
        }
        Verdict::Run(Action::Setting, _) => settings = Arc::new(changed(&settings, &p.node)),
        Verdict::Run(action, superuser) => {
            escapes = standard_strings_off(&p.node).unwrap_or(escapes);
            if let (true, Some(place)) = (escapes, p.backslash.clone()) {
                problems.push(backslash(place));
            }
            statements.push(admitted(p, action, superuser, settings.clone(), policy));
        }
    });
    problems.extend(wrong);
}

fn admitted(p: Parsed, action: Action, superuser: bool, settings: Arc<Settings>, policy: &Policy) -> Statement {
    let hints = hints::hints(&p.node, &p.sql, &p.place, &settings);
    let sql = rewrite::for_loading(&p.sql, &p.node, policy);
    let node = if action == Action::Data && !policy.run_data { without_rows(p.node) } else { p.node };
    Statement { place: p.place, before: p.before, directives: Vec::new(), sql, node, action, superuser, settings, hints }
}

/// Of a statement on rows that is skipped nobody asks what rows they are, and their tree takes fifty times the memory of their text.
fn without_rows(node: NodeEnum) -> NodeEnum {
    match node {
        NodeEnum::InsertStmt(_) => NodeEnum::InsertStmt(Box::default()),
        other => other,
    }
}

fn first_line(p: &Parsed) -> Range<usize> {
    let length = p.sql.find('\n').unwrap_or(p.sql.len());
    p.place.span.start..p.place.span.start + p.sql[..length].trim_end().len()
}

fn backslash(place: Place) -> Problem {
    let message = "a backslash in a string while standard_conforming_strings is off";
    Problem::at("source::refused", place, message, "the meaning of this string depends on an obsolete setting")
        .help("write the string as E'...' and remove SET standard_conforming_strings = off")
}

fn standard_strings_off(node: &NodeEnum) -> Option<bool> {
    match node {
        NodeEnum::VariableSetStmt(s) if s.name == "standard_conforming_strings" => {
            Some(s.args.first().and_then(word).is_some_and(|w| matches!(w, "off" | "false" | "0" | "no")))
        }
        _ => None,
    }
}

fn changed(settings: &Settings, node: &NodeEnum) -> Settings {
    let mut settings = settings.clone();
    match node {
        NodeEnum::SelectStmt(s) => settings.path = set_config(s).map(walk::identifiers).unwrap_or_default(),
        NodeEnum::VariableSetStmt(s) => {
            let name = s.name.to_ascii_lowercase();
            let values: Vec<String> = s.args.iter().filter_map(word).map(str::to_owned).collect();
            match (s.kind(), name.as_str()) {
                (VariableSetKind::VarResetAll, _) => settings = Settings::default(),
                (VariableSetKind::VarSetValue, "search_path") => {
                    settings.path = values.into_iter().filter(|v| !v.is_empty()).collect()
                }
                (_, "search_path") => settings.path = Settings::default().path,
                (VariableSetKind::VarSetValue, _) if KEPT_SETTINGS.contains(&name.as_str()) => {
                    settings.others.insert(name, values.iter().map(|v| crate::sql::literal(v)).collect::<Vec<_>>().join(", "));
                }
                _ => drop(settings.others.remove(&name)),
            }
        }
        _ => {}
    }
    settings
}

/// The value, if the query is exactly `SELECT set_config('search_path', 'value', ...)`.
pub fn set_config(statement: &protobuf::SelectStmt) -> Option<&str> {
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = statement.target_list.as_slice() else { return None };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_ref().and_then(|v| v.node.as_ref()) else { return None };
    let called = call.funcname.last().and_then(word) == Some("set_config") && statement.from_clause.is_empty();
    let mut args = call.args.iter().map(word);
    (called && args.next()? == Some("search_path")).then(|| args.next().flatten()).flatten()
}

/// The string in a node: a name, a string constant, a keyword of a type.
pub fn word(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(s) => Some(&s.sval),
        NodeEnum::AConst(c) => match c.val.as_ref()? {
            a_const::Val::Sval(s) => Some(&s.sval),
            a_const::Val::Boolval(b) => Some(if b.boolval { "true" } else { "false" }),
            _ => None,
        },
        NodeEnum::Boolean(b) => Some(if b.boolval { "true" } else { "false" }),
        NodeEnum::TypeName(t) => t.names.last().and_then(word),
        _ => None,
    }
}

/// The strings in a list of nodes.
pub fn words(nodes: &[Node]) -> Vec<String> {
    nodes.iter().filter_map(word).map(str::to_owned).collect()
}

/// The value of the option with this name.
pub fn option<'a>(options: &'a [Node], name: &str) -> Option<&'a Node> {
    options.iter().find_map(|o| match &o.node {
        Some(NodeEnum::DefElem(d)) if d.defname == name => d.arg.as_deref(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of_last(sql: &str) -> Vec<String> {
        let files = Files::text("a.sql", sql);
        let statements = read(&files, &Policy::default()).expect("reads");
        statements.last().expect("a statement").settings.path.clone()
    }

    #[test]
    fn the_search_path_follows_the_file() {
        assert_eq!(path_of_last("create table t()"), ["public"]);
        assert_eq!(path_of_last("set search_path to a, \"B\"; create table t()"), ["a", "B"]);
        assert_eq!(path_of_last("set search_path = a; reset search_path; create table t()"), ["public"]);
        assert!(path_of_last("select pg_catalog.set_config('search_path', '', false); create table t()").is_empty());
        assert_eq!(path_of_last("select set_config('search_path', 'a, \"B\"', false); create table t()"), ["a", "B"]);
    }

    #[test]
    fn every_refusal_is_reported() {
        let files = Files::text("a.sql", "alter system set x = 1;\ncreate table t();\ncopy t from stdin;\n1\n\\.\nload 'x';");
        let problems = read(&files, &Policy::default()).expect_err("refuses");
        let lines: Vec<_> = problems.list.iter().filter_map(|p| p.place.as_ref()).map(|p| files.line_column(p).0).collect();
        assert_eq!(lines, [1, 3, 6]);
    }

    #[test]
    fn old_strings_with_backslashes_are_refused() {
        let off = "set standard_conforming_strings = off;";
        assert!(read(&Files::text("a.sql", &format!("{off} comment on table t is 'plain'")), &Policy::default()).is_ok());
        assert!(read(&Files::text("a.sql", &format!("{off} comment on table t is 'a\\'")), &Policy::default()).is_err());
    }
}
