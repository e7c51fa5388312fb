//! Flags of `plumb apply`, each stated once.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

use super::arguments::{Database, Renames, Wanted};
use crate::config::duration;
use crate::statement::{Online, Protect};

/// `plumb apply`.
#[derive(Args, Debug)]
pub struct ApplyOptions {
    /// The plan; without one, a plan is made and applied.
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub wanted: Wanted,
    #[command(flatten)]
    pub renames: Renames,
    /// A hazard to allow, by its code; `all` for every one, `unproven` for a plan that was not proven.
    #[arg(long, value_name = "CODE")]
    pub allow: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// How long a statement waits for a lock before it gives way and tries again [default: the configuration's, then 2s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub lock_timeout: Option<Duration>,
    /// Without a plan: whether tables that hold rows are changed in a longer way that lets others work [default: the configuration's, then auto].
    #[arg(long, value_name = "always|auto|never")]
    pub online: Option<Online>,
    /// Without a plan: what becomes of tables and columns that the files no longer have: none (they are dropped), or quarantine (they
    /// are put aside with their rows, and `plumb purge` drops them later) [default: the configuration's, then none].
    #[arg(long, value_name = "quarantine|none")]
    pub protect: Option<Protect>,
    /// How long it goes on trying while somebody else holds a lock.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
    pub wait: Duration,
    /// End sessions that hold a lock which a step needs: those that are idle in a transaction. It takes the right to
    /// (pg_signal_backend, or the same role).
    #[arg(long, value_enum, value_name = "WHICH")]
    pub terminate_blockers: Option<Blockers>,
    /// Go on with the plan that was broken off, taken from the ledger.
    #[arg(long, conflicts_with_all = ["plan", "abandon", "no_ledger"])]
    pub resume: bool,
    /// Close a plan that was broken off as it stands, so that another one can be applied.
    #[arg(long, conflicts_with = "no_ledger")]
    pub abandon: bool,
    /// Look at everything, run the plan on a copy of the live schema as it is now, and apply nothing.
    #[arg(long, conflicts_with = "abandon")]
    pub dry_run: bool,
    /// Tell what happens in lines of JSON, for machines: to a file, or to standard output for -; what people are told goes to
    /// standard error then.
    #[arg(long, value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// Record nothing in the database; a plan that is broken off then cannot be gone on with.
    #[arg(long)]
    pub no_ledger: bool,
}

impl ApplyOptions {
    /// Whether what this code stands for is allowed, by itself or with everything.
    pub fn allows(&self, code: &str) -> bool {
        self.allow.iter().any(|a| a == code || a == "all")
    }
}

/// Sessions that may be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Blockers {
    /// Those that are idle in a transaction.
    Idle,
}
