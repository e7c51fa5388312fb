//! `plumb history`: what the ledger has.

use serde::Serialize;

use super::arguments::{HistoryFormat, HistoryOptions};
use super::failure::{self, Failure};
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::ledger::{Entry, LedgerError, Presence, entries, presence};
use crate::exit_code::DONE;
use crate::pg::{self, Session};
use crate::plan::text::{one_line, time};
use crate::plan::{count, short, thousands};

/// The version of the JSON document's form; 0 until it is declared stable.
const FORMAT: u32 = 0;

#[derive(Serialize)]
struct Document<'a> {
    history: u32,
    runs: &'a [Entry],
}

/// The command.
pub async fn run(options: &HistoryOptions, workspace: &Workspace) -> Outcome {
    let Some(target) = side::target(workspace, &options.database)? else {
        return Err(Failure::new("history::snapshot", "a snapshot has no ledger").help("give --db URL"));
    };
    let session = pg::connect(&target).await?;
    let found = found(&session, i64::from(options.last)).await;
    session.close().await;
    let found = found?;
    let text = match options.format {
        HistoryFormat::Json => {
            let document = Document { history: FORMAT, runs: &found };
            serde_json::to_string_pretty(&document).map_err(|e| Failure::new("system::output", e.to_string()))? + "\n"
        }
        HistoryFormat::Text if found.is_empty() => format!("Nothing was applied to {target} yet.\n"),
        HistoryFormat::Text => found.iter().map(told).collect(),
    };
    failure::print(&text)?;
    Ok(DONE)
}

async fn found(session: &Session, most: i64) -> Result<Vec<Entry>, LedgerError> {
    match presence(&session.client).await? {
        Presence::Here(_) => entries(&session.client, most).await,
        Presence::Closed(owner) => Err(LedgerError::Closed { role: session.user.clone(), owner }),
        Presence::Absent | Presence::Taken => Ok(Vec::new()),
    }
}

/// A run in two lines, and a third one for what went wrong.
fn told(entry: &Entry) -> String {
    let took = entry.seconds.map_or(String::new(), |s| format!(" in {}", time(s)));
    let rows = entry.rows.filter(|n| *n > 0).map_or(String::new(), |n| format!(", {} rows", thousands(n as u64)));
    let outcome = match (entry.outcome.as_deref(), entry.state.as_str()) {
        (None, _) => "runs, or was killed",
        (Some("lost"), _) => "was killed",
        (Some("differs"), _) => "done, with another schema than planned",
        (Some(word), _) => word,
    };
    let steps = format!("{} of {}", entry.steps_done, count(usize::try_from(entry.steps).unwrap_or_default(), "step"));
    let in_all = match entry.steps_done_in_all {
        n if n == entry.steps_done => String::new(),
        n => format!(" ({n} by now)"),
    };
    let at = [entry.os_user.as_deref(), entry.host.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("@");
    let at = if at.is_empty() { at } else { format!(" ({at})") };
    let login = if entry.login == entry.role { String::new() } else { format!(", logged in as {}", entry.login) };
    let mut lines = vec![
        format!("{}  {}  {outcome}: {steps}{in_all}{took}{rows}", entry.started, short(&entry.plan)),
        format!("{:25}by {}{login}{at}, plumb {}", "", entry.role, entry.plumb),
    ];
    lines.extend(entry.ci.iter().map(|page| format!("{:25}{page}", "")));
    lines.extend(entry.message.iter().map(|message| format!("{:25}{message}", "")));
    lines.iter().map(|line| one_line(line) + "\n").collect()
}
