//! The ledger: schema `plumb` in the target, which says what was applied, when, by whom, and how it ended.
//!
//! It has to be true whatever moment the client, the server or the line dies. So what a transaction does is recorded in that
//! transaction, and what runs outside of one is recorded as started before, and as done after it.

mod presence;
mod record;
mod standing;
mod unsettled;

pub use presence::{Presence, VERSION, prepare, presence};
pub use record::{Ended, Ran, Record, Who, abandon};
pub use standing::{Applied, Deployment, Entry, document, entries, last_applied, last_run, running, snapshot, unfinished};
pub use unsettled::{settle, unsettled};

/// What is wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The role may not make it.
    #[error("{role} may not make the ledger (schema plumb) in database {database}")]
    NoRight {
        /// The role.
        role: String,
        /// The database.
        database: String,
    },
    /// The role may not use it.
    #[error("{role} may not use the ledger (schema plumb), which belongs to {owner}")]
    Closed {
        /// The role.
        role: String,
        /// The owner of the schema.
        owner: String,
    },
    /// There is another schema of this name.
    #[error("there is a schema plumb in this database that is not plumb's ledger")]
    Taken,
    /// A newer plumb has made it.
    #[error("the ledger has version {0}, this plumb knows version {VERSION}")]
    Newer(i32),
    /// Another run holds the lease.
    #[error("another plumb is at work on this database: run {run} of plan {plan}, pid {pid}")]
    Busy {
        /// Its number in the ledger.
        run: i64,
        /// The id of its plan.
        plan: String,
        /// Its server process.
        pid: i32,
    },
    /// Another run has taken the lease.
    #[error("another plumb has taken over: this one holds the lease no more")]
    Overtaken,
    /// What is recorded cannot be read.
    #[error("the ledger holds {what} that cannot be read: {why}")]
    Unreadable {
        /// What it is.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The server refuses, or the connection is lost.
    #[error("{}", super::run::server_message(.0).0)]
    Server(#[from] tokio_postgres::Error),
}

impl LedgerError {
    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        matches!(self, LedgerError::Server(error) if error.as_db_error().is_none_or(|e| super::run::is_lost(e.code().code())))
    }
}
