//! Procedures: `pg_proc` with `prokind = 'p'`.

use super::function::{FIELDS, create, query};
use super::{BASE, Kind, Renaming, Space};
use crate::statement::Statement;

/// The kind.
pub static KIND: Kind = Kind {
    class: "procedure",
    present: "'p' = ANY (look.routines)",
    query: Some(|_| query("'p'")),
    check: super::function::KIND.check,
    fields: FIELDS,
    create: |_, o| create(o),
    alter: |_, _, new, _| create(new),
    drop: |_, o| vec![Statement::new(format!("DROP PROCEDURE {}", o.id.sql()))],
    spaces: &[Space::Routine],
    only_definition: true,
    effects: super::function::effects,
    renaming: Renaming::Whole("PROCEDURE", None),
    ..BASE
};
