//! The server's errors -> problems at the user's lines, with what to do about them.

use super::advice::{self, Known};
use super::files::{Files, Place};
use super::lexer;
use super::name::{Class, Name};
use super::policy::Policy;
use super::problem::{Problem, Problems};
use super::read::Statement;
use super::run::{Failure, ServerError};
use super::unknown::{self, Unknown};
use pg_query::NodeEnum;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// (SQLSTATE, how the message begins, code, words under the underlined text)
const CODES: &[(&str, &str, &str, &str)] = &[
    ("42704", "type ", "source::unknown_type", "no type of this name in any schema on the search path"),
    ("42704", "role ", "source::unknown_role", "no role of this name"),
    ("42P01", "", "source::unknown_table", "no table or view of this name in any schema on the search path"),
    ("42883", "function ", "source::unknown_function", "no function of this name that takes these arguments"),
    ("42883", "procedure ", "source::unknown_function", "no procedure of this name that takes these arguments"),
    ("42703", "", "source::unknown_column", "no column of this name"),
    ("3F000", "", "source::unknown_schema", "no schema of this name"),
    ("57014", "", "source::timeout", "it does not come to an end"),
    ("58P01", "could not open extension control file", "source::missing_extension", "the shadow server does not have it"),
    ("0A000", "extension ", "source::missing_extension", "the shadow server does not have it"),
    ("42P07", "", "source::duplicate", "there is one of this name already"),
    ("42710", "", "source::duplicate", "there is one of this name already"),
    ("42723", "", "source::duplicate", "there is one of this name already"),
    ("42701", "", "source::duplicate", "there is one of this name already"),
    ("42P06", "", "source::duplicate", "there is one of this name already"),
];

/// All failures: the causes first, then what only follows from them.
pub async fn report(
    client: &Client,
    files: &Files,
    statements: &[Statement],
    policy: &Policy,
    failures: Vec<Failure>,
) -> Problems {
    let known = Known::read(client, statements).await;
    let failing: BTreeSet<usize> = failures.iter().map(|f| f.item.statement).collect();
    let failed = Failed::new(statements, &failing);
    // a script drops and renames on its way: what is there at its end says nothing about its middle
    let mut unknown = if policy.script { BTreeMap::new() } else { unknown::find(client, statements, &failing).await };
    unknown.values_mut().for_each(|list| list.retain(|u| !failed.brings(&u.base)));
    let mut sheet = Sheet::new(&unknown);
    for failure in &failures {
        let (i, statement) = (failure.item.statement, &statements[failure.item.statement]);
        let problem = problem(failure, statement, &known);
        let cause = unknown.get(&i).and_then(|list| list.iter().find(|u| is_about(u, &problem, &failure.error)));
        let follows = || missing(&failure.error).is_some_and(|m| failed.makes(base(m)) || failed.brings(base(m)));
        match cause {
            Some(u) => sheet.said(u, problem),
            None if follows() => drop(sheet.following.entry(i).or_insert(problem)),
            None => {
                let help = help(problem.code, &failure.error, statement, &known);
                sheet.alone(i, Problem { help, ..problem });
            }
        }
    }
    sheet.problems(files, &known, &failed)
}

/// What the failing statements would have made.
struct Failed<'a> {
    names: BTreeSet<&'a str>,
    extensions: BTreeSet<&'a str>,
}

impl<'a> Failed<'a> {
    fn new(statements: &'a [Statement], failing: &BTreeSet<usize>) -> Failed<'a> {
        let all = || failing.iter().flat_map(|i| &statements[*i].hints.defines).map(|d| &d.name);
        let extensions = all().filter(|n| n.class == Class::Extension).map(Name::base).collect();
        Failed { names: all().map(Name::base).collect(), extensions }
    }

    fn makes(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether the name comes with an extension that is in the files and could not be created.
    fn brings(&self, name: &str) -> bool {
        advice::provider(name).is_some_and(|e| self.extensions.contains(e))
    }
}

/// The errors, put together: what is wrong with a name is one error, however often it is named.
struct Sheet<'a> {
    named: BTreeMap<&'a Name, (Vec<&'a Unknown>, Vec<Problem>)>,
    alone: Vec<Problem>,
    explained: BTreeSet<usize>,
    following: BTreeMap<usize, Problem>,
}

impl<'a> Sheet<'a> {
    fn new(unknown: &'a BTreeMap<usize, Vec<Unknown>>) -> Sheet<'a> {
        let mut named: BTreeMap<&Name, (Vec<&Unknown>, Vec<Problem>)> = BTreeMap::new();
        for u in unknown.values().flatten() {
            named.entry(&u.name).or_default().0.push(u);
        }
        let explained = unknown.iter().filter(|(_, list)| !list.is_empty()).map(|(i, _)| *i).collect();
        Sheet { named, alone: Vec::new(), explained, following: BTreeMap::new() }
    }

    fn said(&mut self, unknown: &'a Unknown, mut problem: Problem) {
        problem.place = Some(unknown.place.clone());
        self.named.entry(&unknown.name).or_default().1.push(problem);
    }

    fn alone(&mut self, statement: usize, problem: Problem) {
        self.explained.insert(statement);
        self.alone.push(problem);
    }

    fn problems(mut self, files: &Files, known: &Known, failed: &Failed<'_>) -> Problems {
        let extension = failed.extensions.first().copied();
        let named = self.named.into_iter().map(|(name, (places, said))| no_such(name, places, &said, files, known, extension));
        let list: Vec<Problem> = named.chain(self.alone).collect();
        self.following.retain(|i, _| !self.explained.contains(i));
        let following: Vec<Problem> = self.following.into_values().collect();
        // a circle of statements that wait for each other has no cause: then all are shown
        if list.is_empty() {
            return Problems::new(files, following);
        }
        Problems { following: Problems::new(files, following).list, ..Problems::new(files, list) }
    }
}

/// Where else a name stands.
fn also_named(places: &[&Unknown], files: &Files) -> Option<String> {
    let shown = places.iter().take(LISTED).map(|u| {
        let (line, _) = files.line_column(&u.place);
        format!("{}:{line}", files.0.get(u.place.file).map_or("", |f| f.path.as_str()))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match places.len() {
        0 => None,
        n if n > LISTED => Some(format!("also named in {shown} and {} more places", n - LISTED)),
        _ => Some(format!("also named in {shown}")),
    }
}

/// Whether the server's error is about this name.
fn is_about(unknown: &Unknown, problem: &Problem, error: &ServerError) -> bool {
    let code = error.code.as_str();
    // "no schema has been selected to create in" names none
    let Some(name) = missing(error).filter(|_| code != "42703") else {
        return code == "3F000" && unknown.name.class == Class::Schema;
    };
    let class = match unknown.name.class {
        Class::Relation => code == "42P01",
        Class::Type => code == "42704",
        Class::Routine => code == "42883",
        _ => true,
    };
    problem.place.as_ref() == Some(&unknown.place)
        || class && base(name) == unknown.base
        || unknown.name.class == Class::Schema && name == unknown.name.base()
}

/// The last part of a name as the server writes it.
fn base(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// (class, code, what it is called, words under the underlined text) of names that nobody has.
const NO_SUCH: &[(Class, &str, &str, &str)] = &[
    (Class::Relation, "source::unknown_table", "relation", "no table or view of this name"),
    (Class::Type, "source::unknown_type", "type", "no type of this name"),
    (Class::Routine, "source::unknown_function", "function", "no function of this name"),
    (Class::Schema, "source::unknown_schema", "schema", "no schema of this name"),
];

/// Places of a name that are listed; of the others there is a count.
const LISTED: usize = 5;

/// A name that nobody has: shown at its first place, in the server's words if it was asked there.
fn no_such(
    name: &Name,
    mut places: Vec<&Unknown>,
    said: &[Problem],
    files: &Files,
    known: &Known,
    extension: Option<&str>,
) -> Problem {
    places.sort_by_key(|u| (u.place.file, u.place.span.start));
    let first = places[0].place.clone();
    let (_, code, kind, label) = NO_SUCH.iter().find(|n| n.0 == name.class).unwrap_or(&NO_SUCH[0]);
    let here = |p: &&Problem| p.code == *code && p.place.as_ref() == Some(&first) && name.class != Class::Schema;
    let theirs = said.iter().find(here).map(|p| p.message.clone());
    let shown = match name.class {
        Class::Routine => name.parts.join("."),
        _ => format!("\"{}\"", name.parts.join(".")),
    };
    let path = if name.class != Class::Schema && name.parts.len() == 1 { " in any schema on the search path" } else { "" };
    let message = theirs.unwrap_or_else(|| format!("{kind} {shown} does not exist"));
    let mut p = Problem::at(code, first, message, format!("{label}{path}"));
    let perhaps = || extension.map(|e| format!("if it comes with the extension {e}: that could not be created"));
    let bring = |class| if class == Class::Type || class == Class::Routine { perhaps() } else { None };
    let advice = known.missing(name.class, name.base()).or_else(|| bring(name.class));
    let also = also_named(&places[1..], files);
    p.help = [advice, also].into_iter().flatten().reduce(|a, b| format!("{a}\n{b}"));
    p
}

/// The name that the message says is missing, without quotes.
fn missing(error: &ServerError) -> Option<&str> {
    if !["42704", "42P01", "42883", "42703", "3F000"].contains(&error.code.as_str()) {
        return None;
    }
    let m = error.message.as_str();
    if let Some(call) = m.strip_prefix("function ").or_else(|| m.strip_prefix("procedure ")) {
        return call.split('(').next();
    }
    let mut quoted = m.split('"');
    match (quoted.next(), quoted.next()) {
        (_, Some(name)) => Some(name),
        // column t.c does not exist; type s.t does not exist
        _ => m.strip_prefix("column ").or_else(|| m.strip_prefix("type ")).and_then(|rest| rest.split(' ').next()),
    }
}

fn problem(failure: &Failure, statement: &Statement, known: &Known) -> Problem {
    let error = &failure.error;
    let fits = |c: &&(&str, &str, &str, &str)| c.0 == error.code && error.message.starts_with(c.1);
    let unavailable = error.code != "0A000" || error.message.contains("is not available");
    let (code, label) = match CODES.iter().find(fits).filter(|_| unavailable) {
        Some((_, _, code, label)) => (*code, (*label).to_owned()),
        None => ("source::statement", error.detail.clone().unwrap_or_else(|| "the server does not take this".to_owned())),
    };
    let mut p = Problem::at(code, place(failure, statement), error.message.clone(), label);
    if code == "source::duplicate" {
        p.also.extend(known.elsewhere(statement));
    }
    p
}

/// Where the server points, else the name in the statement that the message is about, else what the statement defines.
fn place(failure: &Failure, statement: &Statement) -> Place {
    let file = statement.place.file;
    let within = |(start, end)| Place::new(file, statement.place.span.start + start..statement.place.span.start + end);
    let token = |at: usize| within((at, lexer::dotted(&statement.sql, at)));
    if let Some(at) = failure.error.at.filter(|at| !failure.item.made && *at < statement.sql.len()) {
        return token(at);
    }
    let named = missing(&failure.error).map(super::walk::identifiers).filter(|n| !n.is_empty());
    let mentioned = |n: &Vec<String>| statement.hints.requires.iter().find(|m| m.at.is_some() && ends_alike(&m.name.parts, n));
    let mention = named.as_ref().and_then(mentioned).and_then(|m| m.at).filter(|at| *at < statement.sql.len());
    let written = || named.as_ref().and_then(|n| unknown::occurrence(&statement.sql, n));
    match (mention.map(token).or_else(|| written().map(within)), statement.hints.defines.first()) {
        (Some(place), _) => place,
        (_, Some(defined)) if failure.item.made || statement.hints.creates => defined.place.clone(),
        _ => first_line(statement),
    }
}

fn ends_alike(a: &[String], b: &[String]) -> bool {
    a.ends_with(b) || b.ends_with(a)
}

fn first_line(statement: &Statement) -> Place {
    let length = statement.sql.find('\n').unwrap_or(statement.sql.len());
    let start = statement.place.span.start;
    Place::new(statement.place.file, start..start + statement.sql[..length].trim_end().len())
}

fn help(code: &str, error: &ServerError, statement: &Statement, known: &Known) -> Option<String> {
    match (code, missing(error).map(base)) {
        ("source::missing_extension", _) => Some(advice::NO_EXTENSION.to_owned()),
        ("source::unknown_type", Some(base)) => known.missing(Class::Type, base),
        ("source::unknown_function", Some(base)) => known.missing(Class::Routine, base),
        ("source::unknown_table", Some(base)) => known.missing(Class::Relation, base),
        ("source::unknown_column", Some(base)) => known.missing(Class::Column, base),
        ("source::unknown_schema", Some(base)) => known.missing(Class::Schema, base),
        ("source::statement", Some(base)) => known.provided(base),
        _ if error.code == "42501" && statement.superuser => Some(
            "only a superuser may do this: set allow_superuser = true under [screen] in plumb.toml if you trust the files"
                .to_owned(),
        ),
        _ if error.code == "42501" && matches!(statement.node, NodeEnum::CreateExtensionStmt(_)) => {
            Some("add the extension to the list of extensions that plumb may create as superuser, in plumb.toml".to_owned())
        }
        _ => advice::heir(&statement.node, &error.message),
    }
    .or_else(|| error.hint.clone())
}
