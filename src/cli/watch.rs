//! A second session beside a run: it sees whom the first one waits for, and says in the ledger that the run is at work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::reading::{Read, Reading};
use crate::apply::ledger::Record;
use crate::pg::{self, Blocker, Building, Session, blockers, building, sync_scans};
use crate::plan::PlanStep;

/// How often it is said that a run is at work.
const RENEWING: Duration = Duration::from_secs(10);

/// Looks from a second session at whom the first one waits for; that one is made when it is first needed.
pub struct Watch {
    pid: i32,
    session: Option<Session>,
    /// Whom it waits for, or waited for when it was last seen waiting.
    pub seen: Vec<Blocker>,
    /// How long the group has waited for locks so far, all waits together.
    pub waited: Duration,
    /// When it was last looked.
    looked: Instant,
    /// Sessions that were ended, or could not be.
    ended: BTreeSet<i32>,
    /// When it was last said that this run is at work.
    renewed: Instant,
    /// How far the running step is with what it reads.
    reading: Reading,
}

impl Watch {
    /// Of the session with this process id.
    pub fn new(pid: i32) -> Watch {
        let (seen, waited, ended, now) = (Vec::new(), Duration::ZERO, BTreeSet::new(), Instant::now());
        Watch { pid, session: None, seen, waited, looked: now, ended, renewed: now, reading: Reading::default() }
    }

    /// A new try.
    pub fn anew(&mut self) {
        self.seen.clear();
        self.reading = Reading::default();
        (self.waited, self.looked) = (Duration::ZERO, Instant::now());
    }

    /// Looks once; whether it waits.
    pub async fn look(&mut self, of: &Session, record: Option<&Record>) -> bool {
        if self.session.is_none() {
            self.session = pg::connect(&of.target).await.ok();
        }
        let Some(session) = &self.session else { return false };
        if let Some(record) = record.filter(|_| self.renewed.elapsed() > RENEWING) {
            record.renew(&session.client).await.ok();
            self.renewed = Instant::now();
        }
        let since = self.looked.elapsed();
        self.looked = Instant::now();
        if let Ok(found) = blockers(&session.client, self.pid).await
            && !found.is_empty()
        {
            self.waited += since;
            self.seen = found;
            return true;
        }
        false
    }

    /// How far it is with an index that it builds.
    pub async fn building(&self) -> Option<Building> {
        building(&self.session.as_ref()?.client, self.pid).await.ok()?
    }

    /// How far a step is with the table that it reads; none where the server does not note that.
    pub async fn reading(&mut self, step: &PlanStep) -> Option<Read> {
        let client = &self.session.as_ref().filter(|_| !step.scans.is_empty())?.client;
        if self.reading.is_due(step.id) {
            // The validation of a foreign key reads the table that it refers to as well, or that one's index: only the lock is sure.
            let read: BTreeSet<&String> = step.scans.iter().chain(step.locks.iter().map(|lock| &lock.relation)).collect();
            match sync_scans(client, &read).await {
                Ok(found) => self.reading.seen(&found),
                Err(e) => {
                    tracing::info!("the server does not tell where scans are: {e}");
                    self.reading.refused();
                }
            }
        }
        self.reading.read()
    }

    /// Ends the sessions that are idle in a transaction and in the way; what is to be said of it.
    pub async fn end_idle(&mut self) -> Vec<String> {
        let Some(session) = &self.session else { return Vec::new() };
        let mut told = Vec::new();
        for blocker in self.seen.iter().filter(|b| b.is_idle()) {
            if self.ended.insert(blocker.pid) {
                told.push(match pg::end_session(&session.client, blocker.pid).await {
                    Ok(()) => format!("ended {blocker}: it held a lock that this step needs (--terminate-blockers idle)"),
                    Err(e) => format!("{blocker} cannot be ended: {}", e.as_db_error().map_or("", |e| e.message())),
                });
            }
        }
        told
    }

    /// Whom we wait for, or waited for when we were last looking.
    pub fn whom(&self) -> String {
        let all: Vec<String> = self.seen.iter().take(3).map(ToString::to_string).collect();
        if all.is_empty() { "a lock".to_owned() } else { all.join(" and ") }
    }
}
