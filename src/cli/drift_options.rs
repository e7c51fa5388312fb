//! What `plumb drift` is told.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

use super::arguments::{Database, Renames, Wanted};

/// `plumb drift`.
#[derive(Args, Debug)]
pub struct DriftOptions {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub wanted: Wanted,
    #[command(flatten)]
    pub renames: Renames,
    /// What to print.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// The file of accepted drift [default: the configuration's `accepted`].
    #[arg(long, value_name = "FILE")]
    pub accepted: Option<PathBuf>,
    /// Compare with what was applied last, as the ledger has it, instead of the files.
    #[arg(long, conflicts_with = "schema")]
    pub applied: bool,
    /// Exit 0 even when there are differences.
    #[arg(long)]
    pub exit_zero: bool,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
    /// For code hosts.
    Sarif,
    /// For test reports.
    Junit,
    /// For an issue or a chat.
    Markdown,
    /// For Prometheus, as a text file.
    Prometheus,
    /// Entries for the file of accepted drift, to be given a reason, an author and a last day.
    Accept,
}
