//! What `plumb plan` is told.

use clap::{Args, ValueEnum};

use super::arguments::{Database, Renames, Wanted};
use crate::plan::Phase;
use crate::statement::{Online, Protect};

/// `plumb plan`.
#[derive(Args, Debug)]
pub struct PlanOptions {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub wanted: Wanted,
    #[command(flatten)]
    pub renames: Renames,
    #[command(flatten)]
    pub output: Output,
    /// Whether tables that hold rows are changed in a longer way that lets others work [default: the configuration's, then auto].
    #[arg(long, value_name = "always|auto|never")]
    pub online: Option<Online>,
    /// What becomes of tables and columns that the files no longer have: none (they are dropped), or quarantine (they are put aside
    /// with their rows, and `plumb purge` drops them later) [default: the configuration's, then none].
    #[arg(long, value_name = "quarantine|none")]
    pub protect: Option<Protect>,
    /// Plan the way back: from where the plan leads to what the live database is now. It can be applied when the plan has been.
    #[arg(long)]
    pub reverse: bool,
    /// Only the steps of this phase and of those before it: expand (what code that runs now survives), migrate, or contract (all).
    /// The rest is named and left as it is.
    #[arg(long, value_name = "expand|migrate|contract")]
    pub phase: Option<Phase>,
    /// Do not prove the plan.
    #[arg(long)]
    pub no_prove: bool,
    /// Exit 0 even when there are differences.
    #[arg(long)]
    pub exit_zero: bool,
}

/// `plumb rollback`.
#[derive(Args, Debug)]
pub struct RollbackOptions {
    #[command(flatten)]
    pub database: Database,
    /// Where scratch databases are made: auto (a private server of this machine), target (the live server), or a URL.
    #[arg(long, value_name = "auto|target|URL")]
    pub shadow: Option<String>,
    #[command(flatten)]
    pub output: Output,
    /// Whether tables that hold rows are changed in a longer way that lets others work [default: the configuration's, then auto].
    #[arg(long, value_name = "always|auto|never")]
    pub online: Option<Online>,
    /// What becomes of tables and columns that the files no longer have: none (they are dropped), or quarantine (they are put aside
    /// with their rows, and `plumb purge` drops them later) [default: the configuration's, then none].
    #[arg(long, value_name = "quarantine|none")]
    pub protect: Option<Protect>,
    /// Do not prove the plan.
    #[arg(long)]
    pub no_prove: bool,
    /// Exit 0 even when there are differences.
    #[arg(long)]
    pub exit_zero: bool,
}

/// Where a plan goes.
#[derive(Args, Debug)]
pub struct Output {
    /// Where to write the plan [default: plans/ID.json; `-` writes nothing].
    #[arg(long, value_name = "FILE")]
    pub out: Option<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
    /// Also write the plan to this file, in the form that its ending names: .md for a pull request, .html for a browser, .sql
    /// for psql, and .json, .txt, .svg, .dot, .mmd. May be given several times.
    #[arg(long, value_name = "FILE", value_parser = super::report::parse)]
    pub report: Vec<super::report::Report>,
}

/// The forms of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For a person.
    Text,
    /// For psql.
    Sql,
    /// The document.
    Json,
    /// Its hazards for code hosts, as SARIF.
    Sarif,
    /// Its hazards for test reports, as JUnit XML.
    Junit,
    /// For a comment on a pull request.
    Markdown,
    /// For a browser: one file with everything in it.
    Html,
}
