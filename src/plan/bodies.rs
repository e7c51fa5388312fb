//! Bodies of routines that stay, and the steps that take away what they name.
//!
//! A name without a schema is the object that goes when the routine's own search path leads there, or, where it sets none, when
//! no other object of that name stays. A column without its table is one of the table that goes without it when the statement
//! names that table and no other one that has such a column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use super::build::Context;
use crate::body::{Body, Names, Relation, Signature, read};
use crate::catalog::{Id, Object};
use crate::hazard::{self, Line};
use crate::order::{Op, Step};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Relation,
    Column,
    Routine,
    Type,
}

/// What a body can name, by class.
const SORTS: &[(&str, Sort)] = &[
    ("table", Sort::Relation),
    ("view", Sort::Relation),
    ("materialized view", Sort::Relation),
    ("sequence", Sort::Relation),
    ("column", Sort::Column),
    ("function", Sort::Routine),
    ("procedure", Sort::Routine),
    ("aggregate", Sort::Routine),
    ("enum", Sort::Type),
    ("domain", Sort::Type),
    ("composite type", Sort::Type),
    ("range type", Sort::Type),
];

fn sort(id: &Id) -> Option<Sort> {
    SORTS.iter().find(|(class, _)| *class == id.class()).map(|(_, sort)| *sort)
}

/// Something that goes for good, and the step in which it does.
struct Gone<'a> {
    id: &'a Id,
    sort: Sort,
    step: usize,
}

/// A routine that stays, with what is known of how its names are resolved.
struct Routine<'a> {
    object: &'a Object,
    path: Option<Vec<String>>,
    arguments: Vec<String>,
    body: Body,
}

/// The schemas in which a name of a sort stays.
type Stays<'a> = HashMap<(Sort, &'a str), BTreeSet<&'a str>>;

/// For each step the bodies that name what it takes away, and with the first one those that nobody can read.
pub fn bodies(context: &Context, steps: &[Step]) -> BTreeMap<usize, Vec<hazard::Body>> {
    let mut found: BTreeMap<usize, Vec<hazard::Body>> = BTreeMap::new();
    let mut stays: Stays = HashMap::new();
    for id in context.desired.objects().map(|o| &o.id) {
        if let Some(sort) = sort(id).filter(|s| *s != Sort::Column) {
            stays.entry((sort, id.base())).or_default().insert(id.first());
        }
    }
    let gone = gone(context, steps, &stays);
    let Some(first) = gone.iter().map(|g| g.step).min() else { return found };
    for object in routines(context) {
        let text = object.text("definition");
        let lower = text.to_lowercase();
        let builds = lower.contains("execute");
        if !builds && !gone.iter().any(|g| lower.contains(&g.id.base().to_lowercase())) {
            continue;
        }
        let Some(routine) = routine(object) else { continue };
        for gone in &gone {
            let named = routine.body.queries.iter().find_map(|q| named(context, &stays, &routine, gone, q));
            if let Some(at) = named {
                let message = format!("{} names {}, which goes", object.id, gone.id);
                found.entry(gone.step).or_default().push(body(&routine, true, message, &at));
            }
        }
        if let Some(at) = routine.body.dynamic.first() {
            let message = format!("{} builds SQL while it runs: whether that names what goes cannot be read", object.id);
            found.entry(first).or_default().push(body(&routine, false, message, at));
        } else if routine.body.unread {
            let message = format!("the body of {} cannot be read: whether it names what goes is not known", object.id);
            found.entry(first).or_default().push(body(&routine, false, message, &(0..0)));
        }
    }
    found
}

fn gone<'a>(context: &Context, steps: &'a [Step], stays: &Stays) -> Vec<Gone<'a>> {
    let mut gone = Vec::new();
    for (step, s) in steps.iter().enumerate() {
        // What it was called is a name that goes.
        let old = s.renamed.as_ref().filter(|_| s.node.op == Op::Rename).map(|(from, _)| from);
        let old = old.filter(|from| !context.desired.contains(from));
        if let Some((id, sort)) = old.and_then(|from| Some((from, sort(from)?))) {
            gone.push(Gone { id, sort, step });
        }
        for node in std::iter::once(&s.node).chain(&s.with).filter(|n| n.op == Op::Drop && !context.desired.contains(&n.id)) {
            let Some(sort) = sort(&node.id) else { continue };
            // A table that becomes a view, a routine with other arguments: the name stays.
            let name_stays = stays.get(&(sort, node.id.base())).is_some_and(|schemas| schemas.contains(node.id.first()));
            let table = context.live.get(&node.id).and_then(|o| o.parent.as_ref());
            let with_table = sort == Sort::Column && table.is_none_or(|t| !context.desired.contains(t));
            if !name_stays && !with_table {
                gone.push(Gone { id: &node.id, sort, step });
            }
        }
    }
    gone
}

/// Those that stand after the plan: as they are wanted, and outside of its scope as they are.
fn routines<'a>(context: &'a Context) -> impl Iterator<Item = &'a Object> {
    let is_routine = |o: &&Object| matches!(o.id.class(), "function" | "procedure");
    let outside = context.whole.objects().filter(|o| !context.live.contains(&o.id) && !context.desired.contains(&o.id));
    context.desired.objects().chain(outside).filter(is_routine)
}

fn routine(object: &Object) -> Option<Routine<'_>> {
    let arguments: Vec<String> = object.definition.get("arguments").and_then(|a| serde_json::from_value(a.clone()).ok())?;
    let result = object.definition.get("result").and_then(|r| r.as_str());
    let body = read(object.text("definition"), Signature { arguments: &arguments, result })?;
    let settings = object.detail.get("settings").and_then(|s| s.as_array().cloned()).unwrap_or_default();
    let path = settings.iter().find_map(|s| s.as_str()?.strip_prefix("search_path="));
    let unquote = |s: &str| match s.trim().strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => s.trim().to_owned(),
    };
    let path = path.map(|p| p.split(',').map(unquote).collect());
    let arguments = arguments.iter().filter_map(|a| a.split_once(' ').map(|(_, name)| name.to_owned())).collect();
    Some(Routine { object, path, arguments, body })
}

fn body(routine: &Routine, names: bool, message: String, at: &Range<usize>) -> hazard::Body {
    let (line, text, start) = routine.body.line(at.start);
    let end = text.len();
    let (from, to) = (at.start.saturating_sub(start).min(end), at.end.saturating_sub(start).min(end));
    let at = Line { of: routine.object.id.clone(), file: None, line, text: text.to_owned(), from, to };
    hazard::Body { names, message, at }
}

/// Whether a written name is `schema.base`.
fn is(parts: &[String], sort: Sort, schema: &str, base: &str, path: Option<&[String]>, stays: &Stays) -> bool {
    match parts {
        [written] if written == base => {
            let others = stays.get(&(sort, base));
            let stays_in = |s: &String| others.is_some_and(|o| o.contains(s.as_str()));
            match path {
                Some(path) => path.iter().find(|s| *s == schema || stays_in(s)).is_some_and(|s| s == schema),
                None => others.is_none_or(|o| sort == Sort::Relation && o.len() == 1 && o.contains(schema)),
            }
        }
        [.., in_schema, written] => in_schema == schema && written == base,
        _ => false,
    }
}

/// Where a query names what goes.
fn named(context: &Context, stays: &Stays, routine: &Routine, gone: &Gone, query: &Names) -> Option<Range<usize>> {
    let (schema, base) = (gone.id.first(), gone.id.base());
    let path = routine.path.as_deref();
    let own = |parts: &[String]| parts.len() == 1 && routine.body.queries.iter().any(|q| q.own.contains(&parts[0]));
    let fits = |parts: &[String], sort| is(parts, sort, schema, base, path, stays);
    let among = |list: &[(Vec<String>, Range<usize>)], sort| list.iter().find(|(p, _)| fits(p, sort)).map(|(_, at)| at.clone());
    match gone.sort {
        Sort::Relation => {
            let relation = query.relations.iter().find(|r| !own(&r.parts) && fits(&r.parts, Sort::Relation));
            relation.map(|r| r.at.clone()).or_else(|| among(&query.types, Sort::Relation))
        }
        Sort::Routine => among(&query.routines, Sort::Routine),
        Sort::Type => among(&query.types, Sort::Type),
        Sort::Column => column(context, stays, routine, gone, query),
    }
}

fn column(context: &Context, stays: &Stays, routine: &Routine, gone: &Gone, query: &Names) -> Option<Range<usize>> {
    let [schema, table, column] = gone.id.name() else { return None };
    let of_table = |parts: &[String]| is(parts, Sort::Relation, schema, table, routine.path.as_deref(), stays);
    let (its, others): (Vec<&Relation>, Vec<&Relation>) = query.relations.iter().partition(|r| of_table(&r.parts));
    let called = |r: &Relation, name: &String| r.alias.as_ref().or(r.parts.last()) == Some(name);
    // Its row may be an argument, or what a trigger is about.
    let id = Id::new("table", [schema, table]);
    let row = routine.object.id.args().iter().any(|a| a.trim_end_matches("[]") == id.sql());
    let triggered = || {
        let users = context.whole.used_by(&routine.object.id).iter().map(|(user, _)| user);
        users.filter(|u| u.class() == "trigger").any(|u| context.whole.get(u).is_some_and(|t| t.parent.as_ref() == Some(&id)))
    };
    let has_it = |r: &Relation| {
        let schemas = stays.get(&(Sort::Relation, r.parts.last().map_or("", String::as_str)));
        let in_schema = |s: &&&str| match r.parts.as_slice() {
            [written, _] => written == **s,
            _ => true,
        };
        let name = |s: &str| Id::new("column", [s, r.parts.last().map_or("", String::as_str), column.as_str()]);
        schemas.into_iter().flatten().filter(in_schema).any(|s| context.desired.contains(&name(s)))
    };
    let fits = |parts: &[String]| match parts {
        [name] => name == column && !its.is_empty() && !routine.arguments.contains(name) && !others.iter().any(|r| has_it(r)),
        [.., name] if name != column => false,
        [of, _] if its.iter().any(|r| called(r, of)) => true,
        [of, _] if others.iter().any(|r| called(r, of)) => false,
        [of, _] if of == "new" || of == "old" => triggered(),
        [of, _] => row && routine.arguments.contains(of) || query.relations.is_empty() && of_table(std::slice::from_ref(of)),
        [written @ .., _] => of_table(written),
        [] => false,
    };
    let found = query.columns.iter().find(|(parts, _)| fits(parts)).map(|(_, at)| at.clone());
    found.or_else(|| query.fields.iter().find(|(name, _)| row && name == column).map(|(_, at)| at.clone()))
}
