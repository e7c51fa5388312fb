//! What directives say of columns, as details of the wanted catalog: the expressions of a type change and of values for rows that
//! stand. They are no part of a definition, so that nothing compares them.

use serde_json::Value;

use super::directive::{Directive, Order};
use super::expression::{self, Expression};
use super::name::Class;
use crate::catalog::{Catalog, Id, Object};

/// The column that a directive is about, what it is called there, and its expression, if it has one.
pub fn about(directive: &Directive) -> Option<(Id, &'static str, Option<&str>)> {
    let (field, text) = match &directive.order {
        Order::Using(text) => ("using", Some(text.as_str())),
        Order::Backfill(text) => ("backfill", Some(text.as_str())),
        Order::Exchange => ("exchange", None),
        _ => return None,
    };
    let column = directive.names.first().filter(|n| n.class == Class::Column)?;
    Some((Id::new("column", column.parts.iter().map(String::as_str)), field, text))
}

/// Tells the columns of a catalog what the files say of them.
pub fn tell(catalog: &mut Catalog, directives: &[Directive]) {
    for directive in directives {
        let Some((id, field, text)) = about(directive) else { continue };
        let Some(mut column) = catalog.get(&id).cloned() else { continue };
        let Some(text) = text else {
            column.detail.insert(field.to_owned(), true.into());
            catalog.put([column]);
            continue;
        };
        let Expression { text, reads, calls } = expression::read(text, |class, name| schema(catalog, directive, class, name));
        column.detail.insert(field.to_owned(), text.into());
        add(&mut column, "reads", reads);
        add(&mut column, "calls", calls);
        catalog.put([column]);
    }
}

fn add(column: &mut Object, field: &str, names: Vec<String>) {
    let list = column.detail.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.extend(names.into_iter().map(Value::from));
    }
}

/// The schema in which a name without one is found where the directive stands; none for the server's own names.
fn schema(catalog: &Catalog, directive: &Directive, class: Class, name: &str) -> Option<String> {
    let classes: &[&str] = match class {
        Class::Routine => &["function"],
        _ => &["enum", "domain", "composite type", "range type", "table"],
    };
    let named = |schema: &str| {
        let is = |o: &&Object| {
            classes.contains(&o.id.class()) && o.id.name().len() == 2 && o.id.first() == schema && o.id.base() == name
        };
        catalog.objects().find(is).is_some()
    };
    directive.path.iter().find(|schema| named(schema)).cloned()
}
