//! Commands and flags, each stated once; clap makes parser and help of them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;

pub use super::apply_options::ApplyOptions;
pub use super::approve::ApproveOptions;
pub use super::drift_options::{DriftOptions, ReportFormat};
pub use super::plan_options::{Output, PlanFormat, PlanOptions, RollbackOptions};
pub use super::purge_options::{PurgeFormat, PurgeOptions};
pub use super::watching::WatchOptions;

/// Your PostgreSQL schema, true to its source.
#[derive(Parser, Debug)]
#[command(name = "plumb", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration [default: plumb.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say what is done and where the time goes; twice for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only the result and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

const EXIT_CODES: &str = "Exit codes: 0 nothing to do or done, 1 error, 2 differences found, 3 refused or busy, 4 applied in part, \
130 interrupted before anything was applied.";

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show what has to change, proven on a copy; exit 2 when something does.
    Plan(PlanOptions),
    /// Run a plan.
    Apply(ApplyOptions),
    /// Sign a plan, so that it may be applied where that needs approval.
    Approve(ApproveOptions),
    /// Compare the live database with the files; exit 2 when they differ.
    Drift(DriftOptions),
    /// Compare any two: database, directory, file, snapshot.
    Diff(DiffOptions),
    /// Write a live database as declarative SQL.
    Dump(DumpOptions),
    /// Write the catalog of a live database as JSON.
    Snapshot(SnapshotOptions),
    /// Load the files into the shadow and report every error and what is seldom meant; exit 1 when there is an error.
    Check(CheckOptions),
    /// Prove a stored plan again.
    Prove(ProveOptions),
    /// Draw what comes before what in a plan.
    Graph(GraphOptions),
    /// Say of one step of a plan why it is there, and why it is where it is.
    Explain(ExplainOptions),
    /// Tell what was applied, when, by whom, and how it ended.
    History(HistoryOptions),
    /// Plan back to the schema before the plan that was applied last; exit 2 when there is something to do.
    Rollback(RollbackOptions),
    /// Note who changes what in a live database, so that drift can say where a difference comes from.
    Watch(WatchOptions),
    /// List what was put aside instead of being dropped, or drop what has been there for long.
    Purge(PurgeOptions),
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// The live database.
#[derive(Args, Debug, Clone, Default)]
pub struct Database {
    /// The live database: a URL, a keyword string, or a snapshot file [default: the environment's, then DATABASE_URL, then PG*].
    #[arg(long, value_name = "URL|SNAPSHOT")]
    pub db: Option<String>,
    /// The environment of the configuration.
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
}

/// The wanted schema.
#[derive(Args, Debug, Clone, Default)]
pub struct Wanted {
    /// The wanted schema [default: the configuration's, then schema/].
    #[arg(long, value_name = "DIR|FILE|SNAPSHOT|URL")]
    pub schema: Option<String>,
    /// Where scratch databases are made: auto (a private server of this machine), target (the live server), or a URL.
    #[arg(long, value_name = "auto|target|URL")]
    pub shadow: Option<String>,
    /// The schemas that may be touched, instead of those that the files create or put objects in; `*` for all.
    #[arg(long, value_name = "SCHEMA", value_delimiter = ',')]
    pub scope: Vec<String>,
}

/// What is called otherwise.
#[derive(Args, Debug, Clone, Default)]
pub struct Renames {
    /// What has another name in the wanted schema, so that it is renamed and not dropped: users=people, public.users.mail=email.
    /// May be given several times.
    #[arg(long, value_name = "OLD=NEW")]
    pub rename: Vec<String>,
}

/// `plumb history`.
#[derive(Args, Debug)]
pub struct HistoryOptions {
    #[command(flatten)]
    pub database: Database,
    /// What to print.
    #[arg(long, value_enum, default_value_t = HistoryFormat::Text)]
    pub format: HistoryFormat,
    /// How many runs, the newest ones.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub last: u32,
}

/// The forms of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
}

/// `plumb diff`.
#[derive(Args, Debug)]
pub struct DiffOptions {
    /// What there is: URL, directory, file or snapshot.
    pub from: String,
    /// What is wanted: URL, directory, file or snapshot.
    pub to: String,
    #[command(flatten)]
    pub renames: Renames,
    /// Where scratch databases are made.
    #[arg(long, value_name = "auto|URL")]
    pub shadow: Option<String>,
    /// The schemas to compare; `*` for all.
    #[arg(long, value_name = "SCHEMA", value_delimiter = ',')]
    pub scope: Vec<String>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
    /// Exit 0 even when there are differences.
    #[arg(long)]
    pub exit_zero: bool,
}

/// The forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
    /// The statements that lead from one to the other.
    Sql,
}

/// `plumb dump`.
#[derive(Args, Debug)]
pub struct DumpOptions {
    #[command(flatten)]
    pub database: Database,
    /// A directory (one file per object; it must be new or empty) or a `.sql` file [default: standard output].
    #[arg(long, value_name = "DIR|FILE")]
    pub out: Option<PathBuf>,
    /// Only these schemas.
    #[arg(long, value_name = "SCHEMA", value_delimiter = ',')]
    pub scope: Vec<String>,
}

/// `plumb snapshot`.
#[derive(Args, Debug)]
pub struct SnapshotOptions {
    #[command(flatten)]
    pub database: Database,
    /// The file [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `plumb check`.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// What to look at instead of the files: a live database or a snapshot of one.
    #[arg(long, value_name = "URL|SNAPSHOT", conflicts_with = "schema")]
    pub db: Option<String>,
    #[command(flatten)]
    pub wanted: Wanted,
    /// What to print.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
}

/// The forms of what `plumb check` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
    /// For code hosts.
    Sarif,
    /// For test reports.
    Junit,
    /// Workflow commands: lines of GitHub Actions.
    Github,
}

/// `plumb prove`.
#[derive(Args, Debug)]
pub struct ProveOptions {
    /// The plan. The SQL of its steps may have been edited by hand.
    pub plan: PathBuf,
    /// Where the plan is written with its new id when its SQL was edited or it was not proven before; in its own place if not given.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    /// Where scratch databases are made.
    #[arg(long, value_name = "auto|target|URL")]
    pub shadow: Option<String>,
}

/// `plumb graph`.
#[derive(Args, Debug)]
pub struct GraphOptions {
    /// The plan; without one, a plan is made.
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub wanted: Wanted,
    /// What to print.
    #[arg(long, value_enum, default_value_t = GraphFormat::Dot)]
    pub format: GraphFormat,
}

/// The forms of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// For Markdown of code hosts.
    Mermaid,
    /// A picture.
    Svg,
}

/// `plumb explain`.
#[derive(Args, Debug)]
pub struct ExplainOptions {
    /// The plan.
    pub plan: PathBuf,
    /// The step: its number, or its object's name or a part of it.
    pub step: String,
}

impl Arguments {
    /// Whether to colour what goes to standard output.
    pub fn color(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }

    /// The environment that is named.
    pub fn environment(&self) -> Option<&str> {
        let database = match &self.command {
            Command::Plan(o) => &o.database,
            Command::Apply(o) => &o.database,
            Command::Drift(o) => &o.database,
            Command::Dump(o) => &o.database,
            Command::Snapshot(o) => &o.database,
            Command::Prove(o) => &o.database,
            Command::Graph(o) => &o.database,
            Command::History(o) => &o.database,
            Command::Rollback(o) => &o.database,
            Command::Watch(o) => o.command.database(),
            Command::Purge(o) => &o.database,
            Command::Approve(_) | Command::Diff(_) | Command::Check(_) | Command::Explain(_) | Command::Completions { .. } => {
                return None;
            }
        };
        database.env.as_deref()
    }

    /// Whether differences are no reason for exit code 2.
    pub fn exit_zero(&self) -> bool {
        match &self.command {
            Command::Plan(o) => o.exit_zero,
            Command::Rollback(o) => o.exit_zero,
            Command::Drift(o) => o.exit_zero,
            Command::Diff(o) => o.exit_zero,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
