//! The order in which statements are sent: the files' order, with what a statement needs pulled before it.
//!
//! Only a hint. The server decides; what fails for a missing object is tried again by [`super::run`].

use super::files::Files;
use super::name::{Class, Name};
use super::policy::Policy;
use super::problem::{Problem, Problems};
use super::read::Statement;
use super::screen::Action;
use super::walk::Mention;
use std::collections::{BTreeMap, HashMap};

/// The phases in which actions run; what shares a phase keeps its order.
const PHASES: &[(Action, u8)] = &[
    (Action::Extension, 0),
    (Action::Define, 1),
    (Action::Data, 1),
    (Action::Comment, 2),
    (Action::Owner, 3),
    (Action::Grant, 4),
];

/// The phase of an action; none if it is not run.
pub fn phase(action: Action) -> Option<u8> {
    PHASES.iter().find(|(a, _)| *a == action).map(|(_, p)| *p)
}

/// Something is dropped, renamed or moved on the way: then only the order of the files makes sense.
pub fn is_script(statements: &[Statement], policy: &Policy) -> bool {
    policy.script || statements.iter().any(|s| s.hints.undoes)
}

/// Indexes of the statements to run, by phase and in order.
pub fn order(statements: &[Statement], policy: &Policy) -> Vec<usize> {
    let runs = |i: &usize| phase(statements[*i].action).is_some();
    if policy.script {
        return (0..statements.len()).filter(runs).collect();
    }
    let mut order: Vec<usize> = if is_script(statements, policy) { (0..statements.len()).collect() } else { pulled(statements) };
    order.retain(runs);
    // what an extension needs was pulled before it; a stable sort must not tear them apart
    let mut phases: HashMap<usize, u8> = order.iter().filter_map(|i| Some((*i, phase(statements[*i].action)?))).collect();
    let definers = Definers::new(statements);
    for i in order.iter().filter(|i| statements[**i].action == Action::Extension) {
        for needed in definers.needed(&statements[*i]) {
            phases.insert(needed, 0);
        }
    }
    order.sort_by_key(|i| phases.get(i));
    order
}

/// Which statements define a name.
struct Definers {
    by_name: HashMap<(Class, Vec<String>), Vec<usize>>,
}

impl Definers {
    fn new(statements: &[Statement]) -> Definers {
        let mut by_name: HashMap<(Class, Vec<String>), Vec<usize>> = HashMap::new();
        for (i, s) in statements.iter().enumerate().filter(|(_, s)| phase(s.action).is_some()) {
            for d in &s.hints.defines {
                let list = by_name.entry((d.name.class, d.name.parts.clone())).or_default();
                // overloaded routines are all needed; of anything else the first definition counts
                if list.is_empty() || d.name.class == Class::Routine {
                    list.push(i);
                }
            }
        }
        Definers { by_name }
    }

    /// The statements that define what this one requires.
    fn needed(&self, statement: &Statement) -> Vec<usize> {
        let mut all: Vec<usize> = statement.hints.requires.iter().flat_map(|m| self.resolve(m, statement)).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn resolve(&self, mention: &Mention, statement: &Statement) -> &[usize] {
        let parts = &mention.name.parts;
        // the row type of a table is a type too
        let classes: &[Class] = match mention.name.class {
            Class::Type => &[Class::Type, Class::Relation],
            Class::Schema => &[Class::Schema],
            Class::Relation => &[Class::Relation],
            _ => std::slice::from_ref(&mention.name.class),
        };
        for class in classes {
            if parts.len() > 1 || *class == Class::Schema {
                if let Some(found) = self.by_name.get(&(*class, parts.clone())) {
                    return found;
                }
                continue;
            }
            for schema in &statement.settings.path {
                let qualified = vec![schema.clone(), parts[0].clone()];
                if let Some(found) = self.by_name.get(&(*class, qualified)) {
                    return found;
                }
            }
        }
        &[]
    }
}

/// File order, with what each statement needs pulled before it. A cycle is cut where it closes.
fn pulled(statements: &[Statement]) -> Vec<usize> {
    let definers = Definers::new(statements);
    let mut seen = vec![false; statements.len()];
    let mut order = Vec::with_capacity(statements.len());
    for start in 0..statements.len() {
        let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
        let enter = |i: usize, seen: &mut Vec<bool>, stack: &mut Vec<(usize, Vec<usize>)>| {
            if !std::mem::replace(&mut seen[i], true) {
                let mut needed = definers.needed(&statements[i]);
                needed.reverse();
                stack.push((i, needed));
            }
        };
        enter(start, &mut seen, &mut stack);
        while let Some((i, needed)) = stack.last_mut() {
            match needed.pop() {
                Some(next) => enter(next, &mut seen, &mut stack),
                None => {
                    order.push(*i);
                    stack.pop();
                }
            }
        }
    }
    order
}

/// Two statements that create the same object. None if the files are a script.
pub fn duplicates(files: &Files, statements: &[Statement], policy: &Policy) -> Result<(), Problems> {
    if is_script(statements, policy) {
        return Ok(());
    }
    let mut first: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut list = Vec::new();
    let running = |s: &Statement| phase(s.action).is_some() && s.hints.creates;
    for (i, s) in statements.iter().enumerate().filter(|(_, s)| running(s)) {
        let Some(defined) = s.hints.defines.first() else { continue };
        match first.get(&defined.name) {
            None => drop(first.insert(&defined.name, i)),
            Some(before) => list.push(duplicate(&statements[*before], s)),
        }
    }
    if list.is_empty() { Ok(()) } else { Err(Problems::new(files, list)) }
}

fn duplicate(before: &Statement, again: &Statement) -> Problem {
    let defined = &again.hints.defines[0];
    let shown = crate::sql::qualified(&defined.name.parts);
    let shown = if defined.name.class == Class::Routine { format!("{shown}({})", defined.name.args.join(", ")) } else { shown };
    let mut p =
        Problem::at("source::duplicate", defined.place.clone(), format!("{shown} is created twice"), "created again here");
    p.also.push((before.hints.defines[0].place.clone(), "first created here".to_owned()));
    p.help("keep one of them; a change belongs into the first CREATE, or into an ALTER after it")
}

#[cfg(test)]
mod tests {
    use super::super::files::File;
    use super::super::read::read;
    use super::*;

    fn files(texts: &[&str]) -> Files {
        Files(texts.iter().enumerate().map(|(i, t)| File { path: format!("{i}.sql"), text: (*t).to_owned() }).collect())
    }

    fn ordered(texts: &[&str]) -> Vec<String> {
        let statements = read(&files(texts), &Policy::default()).expect("reads");
        order(&statements, &Policy::default()).into_iter().map(|i| statements[i].sql.clone()).collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_the_rest_stays() {
        let (a, b) = ("create view v as select f(x) from t", "create table z ()");
        let (t, f) = ("create table t (x s.kind)", "create function f(int) returns int as '' language plpgsql");
        let (k, s) = ("create type s.kind as enum ('a')", "create schema s");
        let text = [a, b, t, f, k, s].join(";\n");
        assert_eq!(ordered(&[&text]), [s, k, t, f, a, b]);
    }

    #[test]
    fn phases_are_kept_and_extensions_bring_their_schema() {
        let (g, c, o) = ("grant select on t to x", "comment on table t is 'x'", "alter table t owner to x");
        let (t, e, s) = ("create table t (a citext)", "create extension citext schema e", "create schema e");
        let text = [g, o, c, t, e, s].join(";\n");
        assert_eq!(ordered(&[&text]), [s, e, t, c, o, g]);
    }

    #[test]
    fn cycles_and_scripts_keep_the_order_of_the_files() {
        let (a, b) = ("create table a (b int references b)", "create table b (a int references a)");
        assert_eq!(ordered(&[a, b]), [b, a]);
        let (v, d, t) = ("create view v as select from t", "drop table if exists t", "create table t ()");
        assert_eq!(ordered(&[&[v, d, t].join(";")]), [v, d, t]);
    }

    fn twice(texts: &[&str]) -> usize {
        let files = files(texts);
        let statements = read(&files, &Policy::default()).expect("reads");
        duplicates(&files, &statements, &Policy::default()).map_or_else(|p| p.list.len(), |()| 0)
    }

    #[test]
    fn duplicates_are_found_across_files() {
        assert_eq!(twice(&["create table t ()", "create table public.t ()"]), 1);
        assert_eq!(twice(&["create table t ()", "create table if not exists t ()"]), 0);
        assert_eq!(twice(&["create table t (); drop table t;", "create table t ()"]), 0);
        let f = "create function f(int) returns int as '' language sql";
        assert_eq!(twice(&[f, &f.replace("int)", "text)")]), 0);
        assert_eq!(twice(&[f, &f.replace("int)", "a integer)")]), 1);
        assert_eq!(twice(&["create policy p on t", "create policy p on u"]), 0);
    }
}
