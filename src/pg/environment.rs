//! What the process was started with: variables, home, user. Passed in as data, so that reading a target is a pure function
//! of it and the files it names.

use super::keyword::{KEYWORDS, Values};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The surroundings that libpq consults to fill what a connection string leaves out.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables. Empty ones count as not set.
    pub variables: BTreeMap<String, String>,
    /// The home directory, where `.pgpass`, `.pg_service.conf` and `.postgresql/` are.
    pub home: Option<PathBuf>,
    /// The name of the operating system user, which is the default role.
    pub os_user: Option<String>,
    /// Directories in which a server's unix socket is looked for when no host is given, the preferred one first.
    pub socket_directories: Vec<PathBuf>,
}

impl Environment {
    /// The surroundings of this process. Variables that are not Unicode are left out.
    pub fn current() -> Environment {
        let unicode =
            |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Environment {
            variables: std::env::vars_os().filter_map(unicode).collect(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            os_user: whoami::username().ok(),
            socket_directories: vec![PathBuf::from("/var/run/postgresql"), PathBuf::from("/tmp")],
        }
    }

    /// The variable `name`, unless it is missing or empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the `PG*` variables say, by keyword (manual: 34.15 "Environment Variables").
    pub(super) fn keyword_values(&self) -> Values {
        KEYWORDS.iter().filter_map(|keyword| Some((keyword.name, self.variable(keyword.variable?)?.to_owned()))).collect()
    }

    /// The default directory of the unix socket: the first that holds a socket for `port`, else the first that exists.
    /// libpq has one directory compiled in, which differs between distributions; plumb has to look.
    pub(super) fn socket_directory(&self, port: u16) -> PathBuf {
        let socket = format!(".s.PGSQL.{port}");
        let directories = &self.socket_directories;
        let found = directories.iter().find(|d| d.join(&socket).exists()).or_else(|| directories.iter().find(|d| d.is_dir()));
        found.cloned().unwrap_or_else(|| PathBuf::from("/tmp"))
    }
}
