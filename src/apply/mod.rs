//! Running a plan against a database.

mod harmless;
pub mod ledger;
pub mod resume;
pub mod row_checks;
pub mod run;
