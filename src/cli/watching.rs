//! `plumb watch`: the log of DDL on the live database, from which `plumb drift` tells where a difference comes from.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::collections::BTreeMap;

use super::apply::{asked, take_lock};
use super::arguments::Database;
use super::failure::Failure;
use super::preflight::writable;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::ledger::{LedgerError, Presence, presence};
use crate::apply::watch::{self, Noted};
use crate::catalog::Id;
use crate::exit_code::{DONE, REFUSED};
use crate::pg::{self, Session, lock};
use crate::plan::{Plan, differences_of, text};

/// `plumb watch`.
#[derive(Args, Debug)]
pub struct WatchOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: WatchCommand,
}

/// What to do with the log.
#[derive(Subcommand, Debug)]
pub enum WatchCommand {
    /// Note every DDL command from now on: tag, object, role, client, time, and the statement without its constants. It takes a superuser.
    Install {
        #[command(flatten)]
        database: Database,
    },
    /// Note nothing any more, and forget what was noted.
    Remove {
        #[command(flatten)]
        database: Database,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Tell what was noted.
    Log {
        #[command(flatten)]
        database: Database,
        /// What to print.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        format: LogFormat,
        /// How many commands, the newest ones.
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: u32,
    },
}

/// The forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
}

impl WatchCommand {
    /// The live database.
    pub fn database(&self) -> &Database {
        match self {
            WatchCommand::Install { database } | WatchCommand::Remove { database, .. } | WatchCommand::Log { database, .. } => {
                database
            }
        }
    }
}

/// The version of the JSON document's form; 0 until it is declared stable.
const FORMAT: u32 = 0;

#[derive(Serialize)]
struct Document<'a> {
    log: u32,
    commands: &'a [Noted],
}

/// The command.
pub async fn run(options: &WatchOptions, workspace: &Workspace) -> Outcome {
    let Some(target) = side::target(workspace, options.command.database())? else {
        return Err(Failure::new("watch::snapshot", "a snapshot is no database in which anything happens").help("give --db URL"));
    };
    let session = pg::connect(&target).await?;
    let outcome = match &options.command {
        WatchCommand::Install { .. } => changed(&session, workspace, true).await,
        WatchCommand::Remove { yes, .. } => {
            workspace.say(&format!("What was noted on {target} is forgotten.\n"))?;
            if !yes && !asked(workspace).await? { Ok(REFUSED) } else { changed(&session, workspace, false).await }
        }
        WatchCommand::Log { format, last, .. } => told(&session, *format, i64::from(*last), workspace).await,
    };
    session.close().await;
    outcome
}

fn refused(error: &tokio_postgres::Error) -> Failure {
    let failure = Failure::from_server("watch::refused", error);
    match error.code().map(|c| c.code()) {
        Some("42501") => failure.help("event triggers belong to superusers (on managed services to their role for that): connect as one, for this command only"),
        Some("55P03") => failure.help("somebody changes event triggers just now: try again"),
        _ => failure,
    }
}

async fn changed(session: &Session, workspace: &Workspace, install: bool) -> Outcome {
    let name = session.target.to_string();
    ledger(session, install).await?;
    writable(session, &name).await?;
    take_lock(session).await?;
    let work = async {
        let there = watch::installed(&session.client).await?;
        match (install, there) {
            (true, true) => Ok(format!("{name} notes its DDL commands already.\n")),
            (true, false) => {
                watch::install(&session.client).await.map(|()| format!("{name} notes its DDL commands from now on.\n"))
            }
            (false, _) => watch::remove(&session.client).await.map(|()| format!("{name} notes no DDL commands any more.\n")),
        }
    };
    let done = work.await;
    lock::unlock(&session.client).await.ok();
    workspace.say(&done.map_err(|e| refused(&e))?)?;
    Ok(DONE)
}

/// The log lies beside the ledger and belongs to the same role: a superuser that made a ledger for it would keep deployments out.
async fn ledger(session: &Session, install: bool) -> Result<(), Failure> {
    match presence(&session.client).await? {
        Presence::Here(_) => Ok(()),
        Presence::Closed(owner) => Err(LedgerError::Closed { role: session.user.clone(), owner }.into()),
        Presence::Absent | Presence::Taken if install => {
            Err(Failure::new("watch::no_ledger", "this database has no ledger yet, beside which the log would lie")
                .help("apply a plan first, as the role that deploys: the ledger is made then, and belongs to it")
                .exit(REFUSED))
        }
        Presence::Absent | Presence::Taken => Ok(()),
    }
}

/// Whether there is a log that may be read.
async fn noting(session: &Session) -> Result<bool, Failure> {
    let readable = matches!(presence(&session.client).await?, Presence::Here(_));
    Ok(readable && watch::installed(&session.client).await.map_err(|e| refused(&e))?)
}

async fn told(session: &Session, format: LogFormat, most: i64, workspace: &Workspace) -> Outcome {
    let there = noting(session).await?;
    let noted = if there { watch::newest(&session.client, most).await.map_err(|e| refused(&e))? } else { Vec::new() };
    let line = |noted: &Noted| {
        let object = noted.object.as_ref().unwrap_or(&noted.class);
        let query = noted.query.as_ref().map_or(String::new(), |q| format!("    {}\n", text::one_line(q)));
        text::one_line(&format!("{}  {} {object} {}", noted.at, noted.tag, noted.who())) + "\n" + &query
    };
    let text = match format {
        LogFormat::Json => {
            let document = Document { log: FORMAT, commands: &noted };
            serde_json::to_string_pretty(&document).map_err(|e| Failure::new("system::output", e.to_string()))? + "\n"
        }
        LogFormat::Text if !there => format!("{} notes no DDL commands: `plumb watch install` makes it.\n", session.target),
        LogFormat::Text if noted.is_empty() => "Nothing has happened since.\n".to_owned(),
        LogFormat::Text => noted.iter().map(line).collect(),
    };
    workspace.say(&text)?;
    Ok(DONE)
}

/// Where the differences of a plan come from, as far as the log knows, by the objects' names. Without a log nothing is known.
pub async fn origins(session: &Session, plan: &Plan) -> BTreeMap<String, String> {
    if !noting(session).await.unwrap_or(false) {
        return BTreeMap::new();
    }
    let objects = differences_of(plan);
    let names: Vec<(&Id, Vec<String>)> = objects.iter().map(|id| (id, names(id))).collect();
    let all: Vec<&str> = names.iter().flat_map(|(_, n)| n.iter().map(String::as_str)).collect();
    let latest = match watch::latest(&session.client, &all).await {
        Ok(latest) => latest,
        Err(error) => {
            tracing::info!("the log of DDL cannot be read: {error}");
            return BTreeMap::new();
        }
    };
    let rights = watch::rights(&session.client).await.unwrap_or_else(|error| {
        tracing::info!("the log of commands about rights cannot be read: {error}");
        Vec::new()
    });
    let of = |id: &Id, names: &[String]| {
        if RIGHTS.contains(&id.class()) {
            let object = id.of().unwrap_or(id);
            return match rights.iter().find(|rights| rights.are_on(object)) {
                Some(rights) => Some(rights.noted.words()),
                None => Some(format!("the last command about rights is {}", rights.first()?.noted.words())),
            };
        }
        // An object of its own is noted by its own name, a part of a table by the table's.
        names.iter().find_map(|name| latest.get(name)).map(Noted::words)
    };
    names.iter().filter_map(|(id, names)| Some((id.to_string(), of(id, names)?))).collect()
}

/// Kinds of which the server does not say what was changed.
const RIGHTS: &[&str] = &["grant", "default privileges"];

/// The names that the server may have noted an object by.
fn names(id: &Id) -> Vec<String> {
    let object = id.of().unwrap_or(id);
    // The server writes the types of arguments without spaces between them.
    let own = if object.args().is_empty() { object.sql() } else { object.sql().replace(", ", ",") };
    let mut names = vec![own];
    if let Some((_, table)) = object.name().split_last().filter(|(_, table)| table.len() == 2) {
        names.push(format!("{} on {}", crate::sql::ident(object.base()), crate::sql::qualified(table)));
        names.push(crate::sql::qualified(table));
    }
    names
}
