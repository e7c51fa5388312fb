//! Where and how to connect: the sum of a connection string, a service, the `PG*` variables and libpq's defaults.

use super::environment::Environment;
use super::error::{Place, TargetError};
use super::keyword::{self, KEYWORDS, Use, Values};
use super::passfile::{self, Entry};
use super::secret::Secret;
use super::silence::Patience;
use super::tls::{Tls, choice};
use super::{service, url};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long one host may take to let us in when `connect_timeout` does not say. libpq waits for ever, which for a host that
/// swallows packets means two minutes of silence.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Variables that name a database server; PGPASSWORD and the like only say how to reach one.
const NAMING: &[&str] = &["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"];

/// Where and how to connect. Holds a password perhaps, and shows it nowhere: `Display` gives `app on db.internal`, `Debug` redacts.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) database: String,
    pub(super) user: String,
    password: Option<Secret>,
    passwords: Vec<Entry>,
    pub(super) options: Option<String>,
    pub(super) application_name: String,
    pub(super) timeout: Option<Duration>,
    pub(super) patience: Option<Patience>,
    pub(super) role_wanted: ServerRole,
    pub(super) channel_binding: tokio_postgres::config::ChannelBinding,
    pub(super) tls: Tls,
    /// What was ignored and why, in sentences for the user: parameters of other tools, a `.pgpass` that others may read.
    pub warnings: Vec<String>,
}

/// One host of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host name, address, or directory of the unix socket.
    pub(super) host: String,
    /// The address to use instead of looking the host up (`hostaddr`).
    pub(super) address: Option<IpAddr>,
    /// Port.
    pub(super) port: u16,
    /// The host that `.pgpass` lines name: `localhost` for the default socket directory.
    passfile_host: String,
}

impl Endpoint {
    /// True for a unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (5432, _) => f.write_str(&self.host),
            (port, true) => write!(f, "[{}]:{port}", self.host),
            (port, false) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// What kind of server `target_session_attrs` asks for (manual: 34.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerRole {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

const SERVER_ROLES: &[(&str, ServerRole)] = &[
    ("any", ServerRole::Any),
    ("read-write", ServerRole::ReadWrite),
    ("read-only", ServerRole::ReadOnly),
    ("primary", ServerRole::Primary),
    ("standby", ServerRole::Standby),
    ("prefer-standby", ServerRole::PreferStandby),
];

const CHANNEL_BINDINGS: &[(&str, tokio_postgres::config::ChannelBinding)] = &[
    ("disable", tokio_postgres::config::ChannelBinding::Disable),
    ("prefer", tokio_postgres::config::ChannelBinding::Prefer),
    ("require", tokio_postgres::config::ChannelBinding::Require),
];

impl Target {
    /// Reads a `postgresql://` URL or a libpq keyword string and fills the rest from this process's surroundings, as libpq
    /// does: explicit, then service file, then `PG*` variables, then defaults (manual: 34.1.1 "Connection Strings").
    ///
    /// # Errors
    /// Text that is neither, misspelt parameters, values that cannot be used, a service that is not defined.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        Target::parse_in(text, &Environment::current())
    }

    /// The target that the `PG*` variables name; None when none of them names a host, port, database, role or service
    /// (manual: 34.15 "Environment Variables").
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn from_environment() -> Result<Option<Target>, TargetError> {
        Target::from_environment_in(&Environment::current())
    }

    /// [`Target::parse`] with surroundings given as data.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn parse_in(text: &str, environment: &Environment) -> Result<Target, TargetError> {
        let text = text.trim();
        let mut warnings = Vec::new();
        let explicit = if url::is_url(text) {
            url::parse(text, &mut warnings)?
        } else if text.split('=').next().is_some_and(|key| key.contains("://")) || text.starts_with("jdbc:") {
            return Err(TargetError::malformed("a connection URL starts with postgresql:// or postgres://"));
        } else {
            keyword::parse(text, &mut warnings)?
        };
        assemble(explicit, environment, warnings)
    }

    /// [`Target::from_environment`] with surroundings given as data.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn from_environment_in(environment: &Environment) -> Result<Option<Target>, TargetError> {
        if NAMING.iter().all(|name| environment.variable(name).is_none()) {
            return Ok(None);
        }
        assemble(Values::new(), environment, Vec::new()).map(Some)
    }

    /// A server on a unix socket that lets `user` in without a password, such as a private cluster. Reads nothing from outside.
    pub fn on_socket(directory: &str, port: u16, database: &str, user: &str) -> Target {
        let endpoint = Endpoint { host: directory.to_owned(), address: None, port, passfile_host: directory.to_owned() };
        Target {
            endpoints: vec![endpoint],
            database: database.to_owned(),
            user: user.to_owned(),
            password: None,
            passwords: Vec::new(),
            options: None,
            application_name: "plumb".to_owned(),
            timeout: Some(DEFAULT_TIMEOUT),
            patience: Some(Patience::default()),
            role_wanted: ServerRole::Any,
            channel_binding: tokio_postgres::config::ChannelBinding::Prefer,
            tls: Tls::off(),
            warnings: Vec::new(),
        }
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Host or hosts, each with its port when that is not 5432; for a unix socket the directory.
    pub fn host(&self) -> String {
        self.endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The same server and role, another database. The password is looked up anew when it comes from `.pgpass`.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Target {
        Target { database: name.to_owned(), ..self.clone() }
    }

    /// The same target, whose sessions start with `name` set to `value`, so that RESET returns to it (manual: 20.1.4
    /// "Parameter Interaction via the Shell", `options`).
    #[must_use]
    pub fn with_setting(&self, name: &str, value: &str) -> Target {
        let escaped = value.replace('\\', "\\\\").replace(char::is_whitespace, "\\ ");
        let before = self.options.as_ref().map(|options| format!("{options} ")).unwrap_or_default();
        Target { options: Some(format!("{before}-c {name}={escaped}")), ..self.clone() }
    }

    /// The same on one host alone, whose sessions nobody watches.
    pub(super) fn only(&self, endpoint: &Endpoint) -> Target {
        Target { endpoints: vec![endpoint.clone()], patience: None, ..self.clone() }
    }

    /// The password to send to `endpoint`: the given one, else the one of `.pgpass`.
    pub(super) fn password_for(&self, endpoint: &Endpoint) -> Option<&Secret> {
        let Endpoint { passfile_host: host, port, .. } = endpoint;
        let key = passfile::Key { host, port: *port, database: &self.database, user: &self.user };
        self.password.as_ref().or_else(|| passfile::lookup(&self.passwords, key))
    }

    /// The words of messages about a connection to `host`.
    pub(super) fn place(&self, host: String) -> Place {
        Place { host, database: self.database.clone(), user: self.user.clone() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.database, self.host())
    }
}

/// Builds the target out of what is given explicitly and what the surroundings add.
fn assemble(explicit: Values, environment: &Environment, mut warnings: Vec<String>) -> Result<Target, TargetError> {
    let mut values = explicit;
    values.retain(|_, value| !value.is_empty());
    let defaults = environment.keyword_values();
    if let Some(name) = values.get("service").or(defaults.get("service")).cloned() {
        let file = values.get("servicefile").or(defaults.get("servicefile")).cloned();
        keyword::fill(&mut values, service::find(&name, file.as_deref(), environment, &mut warnings)?);
    }
    keyword::fill(&mut values, defaults);
    refuse_unsupported(&values)?;
    let text = |key: &str| values.get(key).cloned();
    let missing_user = || TargetError::bad("user", "is not given, and the operating system user has no name");
    let user = text("user").or_else(|| environment.os_user.clone()).ok_or_else(missing_user)?;
    let password = text("password").map(Secret::new);
    let passfile = text("passfile").map(PathBuf::from).or_else(|| environment.home.as_ref().map(|home| home.join(".pgpass")));
    let passwords = match passfile {
        Some(path) if password.is_none() => passfile::read(&path, &mut warnings),
        _ => Vec::new(),
    };
    Ok(Target {
        endpoints: endpoints(&values, environment)?,
        database: text("dbname").unwrap_or_else(|| user.clone()),
        user,
        password,
        passwords,
        options: text("options"),
        application_name: text("application_name").or(text("fallback_application_name")).unwrap_or_else(|| "plumb".to_owned()),
        timeout: timeout(values.get("connect_timeout"))?,
        patience: Patience::from_values(&values)?,
        role_wanted: choice(&values, "target_session_attrs", SERVER_ROLES)?.unwrap_or(ServerRole::Any),
        channel_binding: choice(&values, "channel_binding", CHANNEL_BINDINGS)?
            .unwrap_or(tokio_postgres::config::ChannelBinding::Prefer),
        tls: Tls::from_values(&values, environment.home.as_deref())?,
        warnings,
    })
}

/// Refuses what plumb cannot do and must not ignore.
fn refuse_unsupported(values: &Values) -> Result<(), TargetError> {
    let refused = |k: &&keyword::Keyword| match (&k.usage, values.get(k.name)) {
        (Use::Refused(harmless), Some(value)) => !harmless.contains(&value.as_str()),
        _ => false,
    };
    match KEYWORDS.iter().find(refused) {
        Some(keyword) => Err(TargetError::Unsupported { key: keyword.name }),
        None => Ok(()),
    }
}

/// Pairs hosts, addresses and ports (manual: 34.1.1.3 "Specifying Multiple Hosts").
fn endpoints(values: &Values, environment: &Environment) -> Result<Vec<Endpoint>, TargetError> {
    let list = |key: &str| values.get(key).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>()).unwrap_or_default();
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(TargetError::bad("hostaddr", format!("names {} addresses for {} hosts", addresses.len(), hosts.len())));
    }
    let count = hosts.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(TargetError::bad("port", format!("names {} ports for {count} hosts", ports.len())));
    }
    let nth = |list: &[&str], n: usize| list.get(n).copied().unwrap_or_default().to_owned();
    let one = |n: usize| {
        let port = if ports.len() == 1 { nth(&ports, 0) } else { nth(&ports, n) };
        endpoint(&nth(&hosts, n), &nth(&addresses, n), &port, environment)
    };
    (0..count).map(one).collect()
}

fn endpoint(host: &str, address: &str, port: &str, environment: &Environment) -> Result<Endpoint, TargetError> {
    let no_port = || TargetError::bad("port", "is not a number from 1 to 65535");
    let port = if port.is_empty() { 5432 } else { port.parse().ok().filter(|port| *port > 0).ok_or_else(no_port)? };
    if host.starts_with('@') {
        return Err(TargetError::bad("host", "names an abstract socket, which plumb does not support"));
    }
    let no_address = || TargetError::bad("hostaddr", "is not a numeric IP address");
    let parsed = if address.is_empty() { None } else { Some(address.parse().map_err(|_| no_address())?) };
    let (host, passfile_host) = match (host.is_empty(), address.is_empty()) {
        (true, true) => (environment.socket_directory(port).display().to_string(), "localhost".to_owned()),
        (true, false) => (address.to_owned(), address.to_owned()),
        (false, _) if environment.socket_directories.iter().any(|d| d.as_os_str() == host) => {
            (host.to_owned(), "localhost".to_owned())
        }
        (false, _) => (host.to_owned(), host.to_owned()),
    };
    Ok(Endpoint { host, address: parsed, port, passfile_host })
}

/// `connect_timeout`: seconds; zero and negative wait for ever.
fn timeout(text: Option<&String>) -> Result<Option<Duration>, TargetError> {
    let Some(text) = text else { return Ok(Some(DEFAULT_TIMEOUT)) };
    let seconds: i64 = text.trim().parse().map_err(|_| TargetError::bad("connect_timeout", "is not a number of seconds"))?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
