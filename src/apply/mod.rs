//! Running a plan against a database.

pub mod run;
