//! What the configuration allows the files to do.

use crate::shadow::STATEMENT_TIMEOUT;
use std::time::Duration;

/// What the files may do beyond plain DDL. The default allows nothing beyond it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `DO` blocks may run while the files are loaded.
    pub allow_do: bool,
    /// Languages, besides the trusted ones, in which functions may be written (`c`, `plpython3u`, ...).
    pub allow_languages: Vec<String>,
    /// Extensions that may be created although they let what the files run reach out of the database (`postgres_fdw`, ...).
    pub allow_extensions: Vec<String>,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// Statements that need a superuser (event triggers, operator classes, ...) may run as one.
    pub allow_superuser: bool,
    /// Extensions that may be created as superuser; empty means every extension the server has.
    pub superuser_extensions: Vec<String>,
    /// The files are a script, such as migrations one after another: the order of the files stays, nothing is tried again.
    pub script: bool,
    /// Statements on rows (`INSERT`, `UPDATE`, `SELECT f()`) run; otherwise they are skipped and counted.
    pub run_data: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            allow_do: false,
            allow_languages: Vec::new(),
            allow_extensions: Vec::new(),
            statement_timeout: STATEMENT_TIMEOUT,
            allow_superuser: false,
            superuser_extensions: Vec::new(),
            script: false,
            run_data: false,
        }
    }
}

impl Policy {
    /// Everything runs in the order of the files, data too: for concatenated migrations that are trusted.
    pub fn trusted_script() -> Policy {
        Policy {
            allow_do: true,
            allow_superuser: true,
            script: true,
            run_data: true,
            // rows take the time that they take
            statement_timeout: Duration::from_secs(3600),
            ..Policy::default()
        }
    }
}
