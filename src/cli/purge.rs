//! `plumb purge`: what was put aside instead of being dropped, how long ago, and dropping it.

use serde::Serialize;
use std::io::IsTerminal;
use std::time::Duration;

use super::apply::{asked, take_lock};
use super::arguments::{PurgeFormat, PurgeOptions};
use super::failure::{self, Failure};
use super::ledger::{standing, stands_in_the_way};
use super::preflight::writable;
use super::workspace::Workspace;
use super::{Outcome, side};
use crate::apply::quarantine::{Quarantined, Stays, drop_one, now, quarantined};
use crate::exit_code::{DONE, ERROR, IN_PART, REFUSED};
use crate::kind::quarantine::SCHEMA;
use crate::pg::{self, Session, lock};
use crate::plan::sql::LOCK_TIMEOUT;
use crate::plan::text::one_line;
use crate::plan::{count, size};
use crate::sql::ident;

/// The version of the JSON document's form; 0 until it is declared stable.
const FORMAT: u32 = 0;
/// The SQLSTATE of what something else rests on.
const RESTED_ON: &str = "2BP01";
/// The SQLSTATE of what is not there.
const NOT_THERE: [&str; 4] = ["42P01", "42703", "42704", "42883"];

#[derive(Serialize)]
struct Document<'a> {
    quarantine: u32,
    objects: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    class: &'a str,
    name: &'a str,
    was: Option<&'a str>,
    since: Option<&'a str>,
    plan: Option<&'a str>,
    age_seconds: Option<i64>,
    bytes: Option<i64>,
    drop: &'a str,
    /// Whether it was dropped.
    dropped: bool,
}

/// The command.
pub async fn run(options: &PurgeOptions, workspace: &Workspace) -> Outcome {
    let Some(target) = side::target(workspace, &options.database)? else {
        return Err(
            Failure::new("purge::snapshot", "a snapshot is no database that anything can be dropped in").help("give --db URL")
        );
    };
    let session = pg::connect(&target).await?;
    let outcome = match options.older_than {
        None => listed(&session, options, workspace, &target.to_string()).await,
        Some(age) => {
            writable(&session, &target.to_string()).await?;
            take_lock(&session).await?;
            let purged = purged(&session, options, workspace, age, &target.to_string()).await;
            lock::unlock(&session.client).await.ok();
            purged
        }
    };
    session.close().await;
    outcome
}

/// All that was put aside, and now in seconds on the server's clock.
async fn found(session: &Session, workspace: &Workspace) -> Result<(Vec<Quarantined>, i64), Failure> {
    let families: Vec<String> = [SCHEMA.to_owned()].into_iter().chain(workspace.config.quarantine_schema.clone()).collect();
    let read = async {
        pg::settings::pin(session).await?;
        Ok((quarantined(&session.client, &families).await?, now(&session.client).await?))
    };
    read.await.map_err(|e| Failure::from_server("purge::server", &e))
}

async fn listed(session: &Session, options: &PurgeOptions, workspace: &Workspace, target: &str) -> Outcome {
    let (all, now) = found(session, workspace).await?;
    failure::print(&match options.format {
        PurgeFormat::Json => json(&all, now, &|_| false)?,
        PurgeFormat::Text if all.is_empty() => format!("Nothing was put aside on {target}.\n"),
        PurgeFormat::Text => {
            let oldest = all.iter().filter_map(|q| age(q, now)).max().unwrap_or(0);
            let how = match oldest / DAY {
                0 => "0d".to_owned(),
                days => format!("{days}d"),
            };
            let mut text = format!("Put aside on {target}: {}.\n{}", count(all.len(), "object"), lines(&all, now));
            text += &format!(
                "To drop what was put aside {} ago or earlier: plumb purge --older-than {how}\n",
                if oldest < DAY { "a moment".to_owned() } else { words(oldest / DAY * DAY) }
            );
            text
        }
    })?;
    Ok(DONE)
}

async fn purged(session: &Session, options: &PurgeOptions, workspace: &Workspace, older: Duration, target: &str) -> Outcome {
    if let Some(open) = standing(session).await? {
        return Err(stands_in_the_way(&open));
    }
    let (all, now) = found(session, workspace).await?;
    let limit = i64::try_from(older.as_secs()).unwrap_or(i64::MAX);
    let (due, stays): (Vec<Quarantined>, Vec<Quarantined>) =
        all.into_iter().partition(|q| age(q, now).is_some_and(|age| age >= limit));
    let text = options.format == PurgeFormat::Text;
    let unknown = stays.iter().filter(|q| q.mark.is_none()).count();
    if text && unknown > 0 {
        let line = format!("{} without a comment that says when it was put aside: it stays.\n", count(unknown, "object"));
        failure::print(&line)?;
    }
    if due.is_empty() {
        failure::print(&match options.format {
            PurgeFormat::Json => json(&[], now, &|_| false)?,
            PurgeFormat::Text if stays.is_empty() => format!("Nothing was put aside on {target}.\n"),
            PurgeFormat::Text => {
                format!(
                    "Nothing on {target} was put aside longer than {} ago: {} stay.\n",
                    words(limit),
                    count(stays.len(), "object")
                )
            }
        })?;
        return Ok(DONE);
    }
    if text {
        failure::print(&format!("To be dropped on {target}, with all that it holds:\n{}", lines(&due, now)))?;
    }
    if !options.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::new("purge::refused", format!("{} would be dropped for good", count(due.len(), "object")))
            .help("if that is meant, add --yes")
            .exit(REFUSED));
    }
    if !options.yes && !asked(workspace).await? {
        return Ok(REFUSED);
    }
    let lock_timeout = options.lock_timeout.or(workspace.config.lock_timeout).unwrap_or(LOCK_TIMEOUT).as_millis();
    let failed = dropped(session, &due, lock_timeout).await;
    emptied(session, &due, lock_timeout).await;
    let stays = |q: &Quarantined| failed.iter().any(|(other, _)| *other == q);
    failure::print(&match options.format {
        PurgeFormat::Json => json(&due, now, &|q| !stays(q))?,
        PurgeFormat::Text => format!("{} dropped.\n", count(due.len() - failed.len(), "object")),
    })?;
    if failed.is_empty() {
        return Ok(DONE);
    }
    let reasons: Vec<String> = failed.iter().map(|(q, why)| format!("{} {}: {}", q.class, q.name, why.message)).collect();
    let exit = if failed.len() == due.len() { ERROR } else { IN_PART };
    Err(Failure::new("purge::stays", format!("{} could not be dropped\n{}", count(failed.len(), "object"), reasons.join("\n")))
        .help("what rests on it, or whoever works with it, is named above; run the same again when that is gone")
        .exit(exit))
}

/// Drops one after another; what others of them rest on comes when those are gone. What stays, and why.
async fn dropped<'q>(session: &Session, due: &'q [Quarantined], lock_timeout: u128) -> Vec<(&'q Quarantined, Stays)> {
    let mut left: Vec<&Quarantined> = due.iter().collect();
    loop {
        let (before, mut failed) = (left.len(), Vec::new());
        for q in left {
            match drop_one(&session.client, &q.drop, lock_timeout).await {
                // It has gone with another one.
                Err(why) if NOT_THERE.contains(&why.code.as_str()) && before < due.len() => {}
                Err(why) => failed.push((q, why)),
                Ok(()) => {}
            }
        }
        let again = failed.len() < before && failed.iter().any(|(_, why)| why.code == RESTED_ON);
        if !again {
            return failed;
        }
        left = failed.into_iter().map(|(q, _)| q).collect();
    }
}

/// Takes away the schemas that are empty now.
async fn emptied(session: &Session, due: &[Quarantined], lock_timeout: u128) {
    let mut schemas: Vec<&str> = due.iter().filter(|q| q.class != "column").map(|q| q.schema.as_str()).collect();
    schemas.dedup();
    for schema in schemas {
        // Where something is left in it, or it is somebody else's, it stays.
        drop_one(&session.client, &format!("DROP SCHEMA {}", ident(schema)), lock_timeout).await.ok();
    }
}

const DAY: i64 = 86_400;

fn age(q: &Quarantined, now: i64) -> Option<i64> {
    q.mark.as_ref().map(|mark| (now - mark.at).max(0))
}

/// `32 days`, `2 hours`, `5 minutes`, `40 seconds`.
fn words(seconds: i64) -> String {
    let units = [(DAY, "day"), (3600, "hour"), (60, "minute")];
    let (each, unit) = units.into_iter().find(|(each, _)| seconds >= *each).unwrap_or((1, "second"));
    count(usize::try_from(seconds / each).unwrap_or_default(), unit)
}

/// One line for each, in columns.
fn lines(all: &[Quarantined], now: i64) -> String {
    let cells = |q: &Quarantined| {
        let mark = q.mark.as_ref();
        let since = age(q, now).map_or_else(|| "nobody knows when".to_owned(), |age| format!("{} ago", words(age)));
        let held = q.bytes.map_or(String::new(), |b| size(u64::try_from(b).unwrap_or_default()));
        let was = mark.map_or(String::new(), |m| format!("was {}", m.was));
        [
            q.class.clone(),
            one_line(&q.name),
            one_line(&was),
            since,
            held,
            mark.map_or(String::new(), |m| format!("plan {}", one_line(&m.plan))),
        ]
    };
    let rows: Vec<[String; 6]> = all.iter().map(cells).collect();
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn json(all: &[Quarantined], now: i64, dropped: &dyn Fn(&Quarantined) -> bool) -> Result<String, Failure> {
    let entry = |q| entry(q, now, dropped(q));
    let document = Document { quarantine: FORMAT, objects: all.iter().map(entry).collect() };
    Ok(serde_json::to_string_pretty(&document).map_err(|e| Failure::new("system::output", e.to_string()))? + "\n")
}

fn entry(q: &Quarantined, now: i64, dropped: bool) -> Entry<'_> {
    let mark = q.mark.as_ref();
    Entry {
        class: &q.class,
        name: &q.name,
        was: mark.map(|m| m.was.as_str()),
        since: mark.map(|m| m.when.as_str()),
        plan: mark.map(|m| m.plan.as_str()),
        age_seconds: age(q, now),
        bytes: q.bytes,
        drop: &q.drop,
        dropped,
    }
}
