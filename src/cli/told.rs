//! The expressions that the files give in directives, after a plan is made: those that it does nothing with are noted, and one that
//! the server refuses on the copy is an error at its line.

use super::failure::Failure;
use super::plan::Planned;
use super::side::Side;
use crate::apply::run::{ASSERTED, StepFailed};
use crate::catalog::Id;
use crate::source::directive::Directive;
use crate::source::told::about;
use crate::source::{Problem, Problems};
use crate::sql::ident;

/// Directives of a side with the columns that they are about.
fn told(side: &Side) -> impl Iterator<Item = (&Directive, Id, &'static str)> {
    let all = side.places.iter().flat_map(|(_, loaded)| &loaded.directives);
    all.filter_map(|d| about(d).map(|(id, field, _)| (d, id, field)))
}

/// One line for each directive that the plan does nothing with.
pub fn notes(planned: &Planned) -> Vec<String> {
    let Planned { wanted, plan, changes, filled, .. } = planned;
    let pending = |id: &Id| plan.pending.iter().any(|p| p.object == *id || p.object.name() == &id.name()[..id.name().len() - 1]);
    let idle = told(wanted).filter(|(_, id, ..)| !pending(id)).filter_map(|(directive, id, field)| {
        let table = id.table_sql();
        let why = match field {
            _ if wanted.catalog.get(&id).is_none() => format!("{id} is not there in the end"),
            "using" | "exchange" if changes.alters(&id, "type") || changes.alters(&id, "collation") || remade(planned, &id) => {
                return None;
            }
            "using" | "exchange" => format!("the type of {id} does not change"),
            _ if filled.contains(&(table.clone(), ident(id.base()))) => return None,
            _ => format!("no row of {table} needs a value from it"),
        };
        let place = wanted.line(&directive.place).map_or(String::new(), |s| format!("{}:{}: ", s.file, s.line));
        Some(format!("{place}nothing is done with -- plumb: {field}, since {why}: it may go"))
    });
    idle.collect()
}

/// Whether the type of a column is made anew under its name, so that the column moves over to it.
fn remade(planned: &Planned, column: &Id) -> bool {
    let used = planned.sides.desired.uses(column).iter().map(|(id, _)| id);
    used.filter_map(|id| planned.changes.list.get(id)).any(|c| c.remade)
}

/// The error of a step in which the expression of a directive stands.
pub fn refused(wanted: &Side, failed: &StepFailed) -> Option<Failure> {
    let (files, loaded) = wanted.places.as_ref()?;
    if failed.code == ASSERTED {
        let directive = loaded.directives.iter().find(|d| d.assertion() == Some(failed.sql.as_str()))?;
        let (message, help) = (
            failed.message.clone(),
            "this was tried on a copy of the live schema, as it is before the first step that changes the object. Tables, functions and types in it are written with their schemas",
        );
        let label = format!("the server does not take this before step {} ({})", failed.step, failed.object);
        let problem = Problem::at("directive::expression", directive.place.clone(), message, label).help(help);
        return Some(Problems::new(files, vec![problem]).into());
    }
    let words = |text: &str| text.to_owned();
    // What has no expression has no text either.
    let given = |id: &Id, field: &str| wanted.catalog.get(id)?.detail.get(field)?.as_str().map(words);
    let (directive, id, _) = told(wanted).find(|(_, id, field)| given(id, field).is_some_and(|e| failed.sql.contains(&e)))?;
    let mut lines = failed.message.lines();
    let message = lines.next().unwrap_or_default().to_owned();
    let more: Vec<&str> = lines.collect();
    let help = format!(
        "{}this was tried on a copy of the live schema: {}. Functions and types in it are written with their schemas",
        more.iter().map(|line| format!("{}\n", line.trim_start_matches("Hint: "))).collect::<String>(),
        failed.sql
    );
    let label = format!("the server does not take this for {id}");
    let problem = Problem::at("directive::expression", directive.place.clone(), message, label).help(help);
    Some(Problems::new(files, vec![problem]).into())
}
