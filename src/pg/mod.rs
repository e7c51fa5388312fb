//! Reaching a PostgreSQL server the way libpq does: where it is, who we are, how the line is secured, what the session is
//! pinned to, the advisory lock that keeps two plumbs apart, who holds a lock that is waited for, and how far a scan is.
//!
//! tokio-postgres speaks the protocol; everything a DBA expects of a connection string around it (`.pgpass`, service files,
//! `verify-full`, several hosts, keys of other tools) is read here, because tokio-postgres does not know it.
//! Manual: chapter 34.1 "Database Connection Control Functions" and its neighbours.
//!
//! Imports only [`crate::sql`].

mod blockers;
mod building;
mod connect;
mod environment;
mod error;
mod keyword;
pub mod lock;
mod passfile;
mod pooler;
mod secret;
mod service;
mod session;
pub mod settings;
mod silence;
mod sync_scan;
mod target;
mod tls;
#[cfg(test)]
mod tls_tests;
mod url;
mod verify;
mod version;

pub use blockers::{Blocker, blockers, end_session};
pub use building::{Building, building};
pub use connect::connect;
pub use environment::Environment;
pub use error::{ConnectError, Place, TargetError};
pub use session::{Canceller, Session};
pub use sync_scan::{SyncScan, sync_scans};
pub use target::Target;
pub use tls::SslMode;
pub use version::Version;
