//! A new partition that takes its columns over from its table by LIKE. Before 16 the server compares what computed columns say as
//! text when it attaches a partition, and a text that was read once more is not always the same (`IN` over `varchar`).

use super::Context;
use super::column::{Column, compression_word, on_column};
use crate::catalog::{Catalog, Id, Object};
use crate::statement::Statement;

/// The table whose columns a partition that is made takes over.
pub fn columns_from(desired: &Catalog, table: &Id) -> Option<Id> {
    let computed = |c: &Object| c.id.class() == "column" && c.flag("inherited") && c.definition.contains_key("generated");
    let mut parents = desired.uses(&table.as_class("partition")).iter().map(|(id, _)| id);
    let parent = parents.find(|id| id.class() == "table" && *id != table)?;
    (desired.server < 160_000 && desired.children(table).any(computed)).then(|| parent.clone())
}

/// The same for a CREATE TABLE that makes all columns.
pub fn source(context: &Context, table: &Id) -> Option<Id> {
    let column = |c: &&Object| c.id.class() == "column";
    let whole = context.desired.children(table).filter(column).all(|c| context.absorbed.contains(&c.id));
    columns_from(context.desired, table).filter(|_| whole)
}

/// What LIKE does not take over: defaults, identity, compression, a NOT NULL of the partition's own.
pub fn rest(context: &Context, table: &Id, from: &Id) -> Vec<Statement> {
    let columns = context.desired.children(table).filter(|c| c.id.class() == "column");
    columns.flat_map(|column| of_column(context, column, from)).collect()
}

fn of_column(context: &Context, column: &Object, from: &Id) -> Vec<Statement> {
    let own: Column = column.read();
    let theirs = Id::new("column", from.name().iter().cloned().chain([column.id.base().to_owned()]));
    let default = context.desired.get(&column.id.as_class("default")).filter(|d| context.absorbed.contains(&d.id));
    let not_null = own.not_null && !context.desired.get(&theirs).is_some_and(|c| c.flag("not_null"));
    let actions = [
        not_null.then(|| "SET NOT NULL".to_owned()),
        default.map(|d| format!("SET DEFAULT {}", d.text("expression"))),
        own.identity.map(|i| format!("ADD {}", i.clause())),
        own.compression.map(|c| format!("SET COMPRESSION {}", compression_word(&c))),
    ];
    actions.into_iter().flatten().map(|action| on_column(column, &action)).collect()
}
