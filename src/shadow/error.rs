//! What can go wrong around a shadow.

use crate::pg::{ConnectError, TargetError};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no shadow, or no scratch database in it.
#[derive(Debug, Error)]
pub enum ShadowError {
    /// No server binaries of the wanted major version, and none could be fetched.
    #[error("no PostgreSQL {major} server programs are found on this machine, and they cannot be downloaded: {reason}")]
    NoServer {
        /// The major version of the target.
        major: u32,
        /// Why the download failed.
        reason: String,
    },
    /// `initdb` failed (manual: initdb).
    #[error("initdb of {} failed: {reason}", binaries.display())]
    Initdb {
        /// The directory of the server programs.
        binaries: PathBuf,
        /// What initdb said.
        reason: String,
    },
    /// The private server does not start (manual: 19.3 "Starting the Database Server").
    #[error("the private PostgreSQL server from {} does not start: {reason}", binaries.display())]
    Start {
        /// The directory of the server programs.
        binaries: PathBuf,
        /// The end of its log.
        reason: String,
    },
    /// A directory or file of plumb's own cannot be made, read or changed.
    #[error("{}: {reason}", path.display())]
    File {
        /// What was touched.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// `--shadow target` without a live target.
    #[error("--shadow target needs a live database, and --db names none")]
    NoTarget,
    /// The connection string of `--shadow URL` is wrong.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The shadow's server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The given shadow server is of another major version than the target (manual: 19.6 "Upgrading a PostgreSQL Cluster").
    #[error("the shadow server is PostgreSQL {found} and the target is PostgreSQL {wanted}")]
    OtherVersion {
        /// Major version of the target.
        wanted: u32,
        /// Major version of the given server.
        found: u32,
    },
    /// The role plumb connects as lacks a right (manual: 22.2 "Role Attributes").
    #[error("role `{role}` lacks {right}, which is needed to {purpose} on {place}")]
    MissingRight {
        /// The role.
        role: String,
        /// The attribute it lacks.
        right: &'static str,
        /// What for.
        purpose: String,
        /// Which server.
        place: String,
    },
    /// A statement of plumb's own failed on the shadow's server.
    #[error("cannot {doing}: {}", words(source))]
    Sql {
        /// What plumb was about to do.
        doing: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
}

/// The server's own words where it said any.
fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |server| server.message().to_owned())
}

impl ShadowError {
    pub(super) fn file(path: &Path, error: &std::io::Error) -> ShadowError {
        ShadowError::File { path: path.to_owned(), reason: error.to_string() }
    }

    /// Wraps a server error with what was being done.
    pub(super) fn sql(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> ShadowError {
        let doing = doing.into();
        move |source| ShadowError::Sql { doing, source }
    }

    /// The stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            ShadowError::NoServer { .. } => "shadow::no_server",
            ShadowError::Initdb { .. } => "shadow::initdb",
            ShadowError::Start { .. } => "shadow::start",
            ShadowError::File { .. } => "shadow::file",
            ShadowError::NoTarget => "shadow::no_target",
            ShadowError::Target(error) => error.code(),
            ShadowError::Connect(error) => error.code(),
            ShadowError::OtherVersion { .. } => "shadow::other_version",
            ShadowError::MissingRight { .. } => "shadow::missing_right",
            ShadowError::Sql { .. } => "shadow::sql",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            ShadowError::NoServer { major, .. } => format!(
                "three ways out: install the server programs of PostgreSQL {major} (Debian: apt-get install postgresql-{major}; \
                 or name their folder in PLUMB_PG_BIN); give a server in which scratch databases may be made (--shadow URL); \
                 or allow them on the target's own server (--shadow target)"
            ),
            ShadowError::Initdb { .. } => {
                "the user that plumb runs as (nobody, when plumb is root) must have an entry in /etc/passwd and read the programs; \
                 another folder of programs can be named in PLUMB_PG_BIN"
                    .to_owned()
            }
            ShadowError::Start { .. } => "see the server's words above; another folder of programs can be named in PLUMB_PG_BIN".to_owned(),
            ShadowError::File { .. } => "PLUMB_CACHE names plumb's cache folder, TMPDIR the folder of private servers".to_owned(),
            ShadowError::NoTarget => "give --db, or use --shadow auto".to_owned(),
            ShadowError::Target(error) => error.help(),
            ShadowError::Connect(error) => error.help(),
            ShadowError::OtherVersion { wanted, .. } => {
                format!("give a PostgreSQL {wanted} server in --shadow, since versions differ in what they accept and in how they print it")
            }
            ShadowError::MissingRight { role, right, .. } => {
                format!("ALTER ROLE {} {right}; or use --shadow auto, which needs no right on any server", crate::sql::ident(role))
            }
            ShadowError::Sql { .. } => "the shadow's server refused a statement of plumb's own".to_owned(),
        }
    }
}
