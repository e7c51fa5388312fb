//! What can go wrong between a connection string and a session. No message ever carries a password.

use super::version::Version;
use thiserror::Error;

/// A connection string, variable or service that does not say where to connect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// The text is neither a URL nor a row of `key=value`. Manual: 34.1.1 "Connection Strings".
    #[error("{reason}")]
    Malformed {
        /// What is wrong, without repeating the text.
        reason: String,
    },
    /// A parameter that libpq does not have, or a misspelt one. Manual: 34.1.2 "Parameter Key Words".
    #[error("there is no connection parameter `{key}`")]
    UnknownKey {
        /// The parameter as written.
        key: String,
        /// The parameter that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A parameter whose value cannot be used. Manual: 34.1.2 "Parameter Key Words".
    #[error("connection parameter `{key}` {reason}")]
    BadValue {
        /// The parameter.
        key: &'static str,
        /// The rest of the sentence.
        reason: String,
    },
    /// A parameter that asks for a protection plumb cannot give. Manual: 34.1.2 "Parameter Key Words".
    #[error(
        "plumb does not support connection parameter `{key}`, and leaving it out would make the connection less safe than asked"
    )]
    Unsupported {
        /// The parameter.
        key: &'static str,
    },
    /// A service that cannot be read. Manual: 34.17 "The Connection Service File".
    #[error("connection service `{name}`: {reason}")]
    Service {
        /// The service.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl TargetError {
    pub(super) fn malformed(reason: &str) -> TargetError {
        TargetError::Malformed { reason: reason.to_owned() }
    }

    pub(super) fn bad(key: &'static str, reason: impl Into<String>) -> TargetError {
        TargetError::BadValue { key, reason: reason.into() }
    }

    /// The stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            TargetError::Malformed { .. } => "connect::malformed",
            TargetError::UnknownKey { .. } => "connect::unknown_parameter",
            TargetError::BadValue { .. } => "connect::bad_value",
            TargetError::Unsupported { .. } => "connect::unsupported_parameter",
            TargetError::Service { .. } => "connect::service",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            TargetError::Malformed { .. } => {
                "write postgresql://user@host:5432/database or: host=... dbname=... user=...; keep the password in ~/.pgpass"
                    .to_owned()
            }
            TargetError::UnknownKey { suggestion: Some(suggestion), .. } => format!("did you mean `{suggestion}`?"),
            TargetError::UnknownKey { suggestion: None, .. } => "the parameters are those of libpq (manual: 34.1.2)".to_owned(),
            TargetError::BadValue { key, .. } => format!("see `{key}` in the manual, 34.1.2"),
            TargetError::Unsupported { key } => format!("remove `{key}` when the connection is safe without it"),
            TargetError::Service { .. } => {
                "services are defined in ~/.pg_service.conf, or in the file that PGSERVICEFILE names".to_owned()
            }
        }
    }
}

/// Where a connection was tried, in the words of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Host, with the port when it is not 5432, or the socket directory.
    pub host: String,
    /// Database.
    pub database: String,
    /// Role.
    pub user: String,
}

/// A server that cannot be used. Manual: appendix A "PostgreSQL Error Codes", 20.3 to 20.16 for the ways to log in.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No server answers, or it is starting up or shutting down.
    #[error("no PostgreSQL server can be reached at {}: {reason}", place.host)]
    Unreachable {
        /// Where it was tried.
        place: Place,
        /// What the system or the server says.
        reason: String,
    },
    /// The password is wrong, or one is asked for and none is known.
    #[error("{}", if *given { format!("the server at {} refuses the password of role `{}`", place.host, place.user) }
                  else { format!("the server at {} asks for a password of role `{}` and none is given", place.host, place.user) })]
    WrongPassword {
        /// Where it was tried.
        place: Place,
        /// False when there was no password to send.
        given: bool,
    },
    /// The database does not exist.
    #[error("there is no database `{}` at {}", place.database, place.host)]
    NoSuchDatabase {
        /// Where it was tried.
        place: Place,
    },
    /// The role does not exist.
    #[error("there is no role `{}` at {}", place.user, place.host)]
    NoSuchRole {
        /// Where it was tried.
        place: Place,
    },
    /// TLS is refused, misconfigured, or the server's certificate is not trusted.
    #[error("no secure connection to {}: {reason}", place.host)]
    Tls {
        /// Where it was tried.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// All connection slots are taken.
    #[error("the server at {} has no free connection: {reason}", place.host)]
    TooManyConnections {
        /// Where it was tried.
        place: Place,
        /// What the server says.
        reason: String,
    },
    /// `pg_hba.conf` or a missing right keeps this role out.
    #[error("the server at {} does not let role `{}` into database `{}`: {reason}", place.host, place.user, place.database)]
    NotPermitted {
        /// Where it was tried.
        place: Place,
        /// What the server says.
        reason: String,
    },
    /// A pooler that gives each transaction another session of the server.
    #[error("what answers at {} is a pooler that gives each transaction another session of the server", place.host)]
    Pooler {
        /// Where it was tried.
        place: Place,
    },
    /// A server older than plumb reads.
    #[error("the server at {} is PostgreSQL {version}; plumb needs {} or later", place.host, Version::OLDEST)]
    UnsupportedVersion {
        /// Where it is.
        place: Place,
        /// What it is.
        version: Version,
    },
    /// Anything else the server or the line says.
    #[error("connecting to {} failed: {reason}", place.host)]
    Other {
        /// Where it was tried.
        place: Place,
        /// What happened.
        reason: String,
    },
}

impl ConnectError {
    /// The stable name of the error.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Unreachable { .. } => "connect::unreachable",
            ConnectError::WrongPassword { .. } => "connect::wrong_password",
            ConnectError::NoSuchDatabase { .. } => "connect::no_such_database",
            ConnectError::NoSuchRole { .. } => "connect::no_such_role",
            ConnectError::Tls { .. } => "connect::tls",
            ConnectError::TooManyConnections { .. } => "connect::too_many_connections",
            ConnectError::NotPermitted { .. } => "connect::not_permitted",
            ConnectError::Pooler { .. } => "connect::pooler",
            ConnectError::UnsupportedVersion { .. } => "connect::unsupported_version",
            ConnectError::Other { .. } => "connect::other",
        }
    }

    /// Where the connection was tried.
    pub fn place(&self) -> &Place {
        match self {
            ConnectError::Unreachable { place, .. }
            | ConnectError::WrongPassword { place, .. }
            | ConnectError::NoSuchDatabase { place }
            | ConnectError::NoSuchRole { place }
            | ConnectError::Tls { place, .. }
            | ConnectError::TooManyConnections { place, .. }
            | ConnectError::NotPermitted { place, .. }
            | ConnectError::Pooler { place }
            | ConnectError::UnsupportedVersion { place, .. }
            | ConnectError::Other { place, .. } => place,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        let Place { host, database, user } = self.place();
        match self {
            ConnectError::Unreachable { .. } if host.starts_with('/') => {
                format!("is a server running here, with its socket in {host}? For another machine give a host in --db or PGHOST")
            }
            ConnectError::Unreachable { .. } => "check the host and the port, and that the server listens there (pg_isready)".to_owned(),
            ConnectError::WrongPassword { given: true, .. } => {
                format!("check the password of `{user}` in PGPASSWORD, ~/.pgpass or the connection string")
            }
            ConnectError::WrongPassword { given: false, .. } => {
                format!("give it in PGPASSWORD, or as a line in ~/.pgpass: host:port:{database}:{user}:password (chmod 0600)")
            }
            ConnectError::NoSuchDatabase { .. } => format!("create it (createdb {database}) or name another one in --db"),
            ConnectError::NoSuchRole { .. } => format!("create it (createuser {user}) or name another one in --db or PGUSER"),
            ConnectError::Tls { .. } => {
                "sslmode says how much is checked (disable, allow, prefer, require, verify-ca, verify-full), sslrootcert whom to trust: \
                 a file, or `system`"
                    .to_owned()
            }
            ConnectError::TooManyConnections { .. } => "wait, close idle sessions, or raise max_connections".to_owned(),
            ConnectError::NotPermitted { .. } => {
                format!("a line in pg_hba.conf and the CONNECT right on `{database}` must let `{user}` in")
            }
            ConnectError::Pooler { .. } => {
                "name the server itself: direct_url in [env.NAME] of plumb.toml, or its own host and port in --db. plumb sets what its session \
                 reads and takes locks in it, and there others would get both"
                    .to_owned()
            }
            ConnectError::UnsupportedVersion { .. } => {
                format!("plumb reads PostgreSQL {} to {}", Version::OLDEST, Version::NEWEST)
            }
            ConnectError::Other { .. } => "the server's log may say more".to_owned(),
        }
    }
}
