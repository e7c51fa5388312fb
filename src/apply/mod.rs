//! Running a plan against a database.

pub mod row_checks;
pub mod run;
