//! Statistics: the server forgets those of a column with its type, and has none of an index's expressions until it is told to look.

use super::Context;
use super::relation::is_partitioned;
use crate::catalog::{Dependency, Id, Object};
use crate::sql::ident;
use crate::statement::{LockMode, Statement};

/// `ANALYZE` of one column of its table and of the tables that inherit it.
pub fn column(context: &Context, column: &Object) -> Statement {
    let name = ident(column.id.base());
    let tables = heirs(context, &column.id);
    let list: Vec<String> = tables.iter().map(|table| format!("{table} ({name})")).collect();
    analyze(&list, &tables)
}

/// `ANALYZE` of a table with the expressions of its indexes.
pub fn table(table: &str) -> Statement {
    analyze(&[table.to_owned()], &[table.to_owned()])
}

fn analyze(list: &[String], tables: &[String]) -> Statement {
    let statement = Statement::new(format!("ANALYZE {}", list.join(", "))).own().late();
    tables.iter().fold(statement, |s, table| s.lock(table, LockMode::ShareUpdateExclusive)).partitions()
}

/// The table of a column and those that have it from there, less those that lose it or go. Partitions are looked at with the
/// partitioned table.
fn heirs(context: &Context, column: &Id) -> Vec<String> {
    let (mut todo, mut tables) = (vec![column], Vec::new());
    while let Some(column) = todo.pop() {
        if context.desired.contains(column) {
            tables.push(column.table_sql());
        }
        let partitioned =
            context.live.get(column).and_then(|c| c.parent.as_ref()).is_some_and(|t| is_partitioned(context.live, t));
        let under = context.live.used_by(column).iter().filter(|(_, d)| *d == Dependency::Inherited && !partitioned);
        todo.extend(under.map(|(id, _)| id));
    }
    tables.sort();
    tables.dedup();
    tables
}
