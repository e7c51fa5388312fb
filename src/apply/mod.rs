//! Running a plan against a database.

pub mod assertion;
pub mod batches;
pub mod detaching;
mod harmless;
pub mod ledger;
mod patience;
pub mod preflight;
pub mod quarantine;
pub mod resume;
pub mod row_checks;
pub mod run;
pub mod standbys;
pub mod time_limit;
pub mod watch;
