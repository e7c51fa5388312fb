//! Running a plan against a database.

mod harmless;
pub mod row_checks;
pub mod run;
