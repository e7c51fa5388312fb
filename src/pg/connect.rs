//! Making a session: every host in turn, with and without TLS as `sslmode` has it.

use super::error::ConnectError;
use super::pooler::{MARK, refuses_settings, shares};
use super::session::{Canceller, Notices, Session, drive};
use super::silence::{Patience, Watcher, limited};
use super::target::{Endpoint, ServerRole, Target};
use super::tls::SslMode;
use super::version::Version;
use std::error::Error as _;
use std::sync::Arc;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What is asked of a fresh session, in one round trip and without a prepared statement, so that poolers take it.
const INTRODUCTION: &str = "SELECT pg_catalog.current_setting('server_version_num'), current_user, pg_catalog.current_database(), \
                            pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only'), \
                            pg_catalog.current_setting('plumb.session', true)";

/// Connects to the first host of `target` that answers and is of the kind asked for (manual: 34.1.1.3 "Specifying Multiple
/// Hosts"). Needs a running tokio runtime.
///
/// # Errors
/// See [`ConnectError`]. A server that refuses us ends the search; one that cannot be reached does not.
pub async fn connect(target: &Target) -> Result<Session, ConnectError> {
    let mut failures = Vec::new();
    let rounds: &[ServerRole] = match target.role_wanted {
        ServerRole::PreferStandby => &[ServerRole::Standby, ServerRole::Any],
        ServerRole::Any => &[ServerRole::Any],
        ServerRole::ReadWrite => &[ServerRole::ReadWrite],
        ServerRole::ReadOnly => &[ServerRole::ReadOnly],
        ServerRole::Primary => &[ServerRole::Primary],
        ServerRole::Standby => &[ServerRole::Standby],
    };
    for wanted in rounds {
        for endpoint in &target.endpoints {
            match in_time(target, endpoint, *wanted).await {
                Ok(session) => return Ok(session),
                Err(error @ ConnectError::Unreachable { .. }) => failures.push(error),
                Err(error) => return Err(error),
            }
        }
    }
    Err(summary(target, failures))
}

/// One error for all hosts that could not be reached.
fn summary(target: &Target, mut failures: Vec<ConnectError>) -> ConnectError {
    if failures.len() == 1
        && let Some(only) = failures.pop()
    {
        return only;
    }
    let words = |failure: &ConnectError| match failure {
        ConnectError::Unreachable { place, reason } => format!("{}: {reason}", place.host),
        other => other.to_string(),
    };
    let reasons: Vec<String> = failures.iter().map(words).collect();
    ConnectError::Unreachable { place: target.place(target.host()), reason: reasons.join("; ") }
}

/// One host, within `connect_timeout`.
async fn in_time(target: &Target, endpoint: &Endpoint, wanted: ServerRole) -> Result<Session, ConnectError> {
    let Some(limit) = target.timeout else { return one_host(target, endpoint, wanted).await };
    match tokio::time::timeout(limit, one_host(target, endpoint, wanted)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Unreachable {
            place: target.place(endpoint.to_string()),
            reason: format!("no answer within {} s", limit.as_secs()),
        }),
    }
}

/// A way to secure the line: none, or TLS as tokio-postgres calls it.
type Way = tokio_postgres::config::SslMode;

/// The ways to try on `endpoint`, in order.
fn ways(mode: SslMode, endpoint: &Endpoint) -> &'static [Way] {
    match mode {
        _ if endpoint.is_socket() => &[Way::Disable],
        SslMode::Disable => &[Way::Disable],
        SslMode::Allow => &[Way::Disable, Way::Require],
        SslMode::Prefer => &[Way::Prefer, Way::Disable],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Way::Require],
    }
}

async fn one_host(target: &Target, endpoint: &Endpoint, wanted: ServerRole) -> Result<Session, ConnectError> {
    let ways = ways(target.tls.mode, endpoint);
    let mut used = ways[0];
    let mut result = one_way(target, endpoint, ways[0]).await;
    for way in &ways[1..] {
        // The other way may help against a failed handshake, and against a pg_hba.conf that wants it.
        if !may_differ(&result) {
            break;
        }
        let second = one_way(target, endpoint, *way).await;
        if !may_differ(&second) {
            (result, used) = (second, *way);
        }
    }
    let (session, introduction) = result?;
    if introduction.get(MARKED) != Some(MARK.1) {
        Box::pin(refuse_shared(&session, endpoint, used)).await?;
    }
    refuse_unfit(&session, &introduction, wanted)?;
    Ok(session)
}

/// The column of the introduction that says whether the session is our own.
const MARKED: usize = 5;

/// Refuses a pooler that gives the same session of the server to several clients in turn.
async fn refuse_shared(session: &Session, endpoint: &Endpoint, way: Way) -> Result<(), ConnectError> {
    let (target, host) = (&session.target, &session.host);
    let (other, _) = one_way(target, endpoint, way).await?;
    let shared = shares(&session.client, &other.client).await.map_err(|error| explain(&error, target, host, true));
    other.close().await;
    match shared? {
        true => Err(ConnectError::Pooler { place: target.place(host.clone()) }),
        false => Ok(()),
    }
}

/// True when the line was refused for the way it is secured, or may have been.
fn may_differ<T>(result: &Result<T, ConnectError>) -> bool {
    matches!(result, Err(ConnectError::Tls { .. } | ConnectError::NotPermitted { .. }))
}

/// Connects one way and asks the server who it is.
async fn one_way(target: &Target, endpoint: &Endpoint, way: Way) -> Result<(Session, SimpleQueryRow), ConnectError> {
    let marked = limited(target, endpoint).with_setting(MARK.0, MARK.1);
    let config = config(&marked, endpoint, way);
    let plain = self::config(target, endpoint, way);
    let notices = Notices::default();
    let host = endpoint.to_string();
    let given = target.password_for(endpoint).is_some();
    let explained = |error: tokio_postgres::Error| explain(&error, target, &host, given);
    let (client, driver, tls) = if way == Way::Disable {
        let connected = match Box::pin(config.connect(NoTls)).await {
            Err(error) if refuses_settings(&error) => Box::pin(plain.connect(NoTls)).await,
            connected => connected,
        };
        let (client, connection) = connected.map_err(explained)?;
        (client, drive(connection, notices.clone()), None)
    } else {
        let tls = connector(target, endpoint)?;
        let connected = match Box::pin(config.connect(tls.clone())).await {
            Err(error) if refuses_settings(&error) => Box::pin(plain.connect(tls.clone())).await,
            connected => connected,
        };
        let (client, connection) = connected.map_err(explained)?;
        (client, drive(connection, notices.clone()), Some(tls))
    };
    let client = Arc::new(client);
    let introduction = introduce(&client, target, &host).await?;
    let text = |column: usize| introduction.get(column).unwrap_or_default().to_owned();
    let watcher = Watcher::new(&client, driver.abort_handle(), target, endpoint);
    let canceller = Canceller { token: client.cancel_token(), tls, target: target.clone(), host: host.clone() };
    let session = Session {
        client,
        version: Version(text(0).parse().unwrap_or_default()),
        user: text(1),
        database: text(2),
        target: target.clone(),
        host,
        notices,
        driver,
        watcher,
        canceller,
    };
    Ok((session, introduction))
}

fn connector(target: &Target, endpoint: &Endpoint) -> Result<MakeRustlsConnect, ConnectError> {
    target.tls.connector().map_err(|reason| ConnectError::Tls { place: target.place(endpoint.to_string()), reason })
}

/// The configuration of tokio-postgres for one host.
fn config(target: &Target, endpoint: &Endpoint, way: Way) -> Config {
    let mut config = Config::new();
    config.host(&endpoint.host).port(endpoint.port).dbname(&target.database).user(&target.user);
    config.application_name(&target.application_name).ssl_mode(way).channel_binding(target.channel_binding);
    if let Some(address) = endpoint.address {
        config.hostaddr(address);
    }
    if let Some(password) = target.password_for(endpoint) {
        config.password(password.reveal());
    }
    Patience::configure(target.patience, &mut config);
    if let Some(options) = &target.options {
        config.options(options);
    }
    if target.tls.direct && way != Way::Disable {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    config
}

async fn introduce(client: &Client, target: &Target, host: &str) -> Result<SimpleQueryRow, ConnectError> {
    let answer = client.simple_query(INTRODUCTION).await.map_err(|error| explain(&error, target, host, true))?;
    let row = answer.into_iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    row.ok_or_else(|| ConnectError::Other {
        place: target.place(host.to_owned()),
        reason: "the server does not say which version it is".to_owned(),
    })
}

/// Refuses a server that is too old or not of the kind `target_session_attrs` asks for.
fn refuse_unfit(session: &Session, introduction: &SimpleQueryRow, wanted: ServerRole) -> Result<(), ConnectError> {
    let place = || session.target.place(session.host.clone());
    if session.version.major() < Version::OLDEST {
        return Err(ConnectError::UnsupportedVersion { place: place(), version: session.version });
    }
    let standby = introduction.get(3) == Some("t");
    let read_only = introduction.get(4) == Some("on");
    let problem = match wanted {
        ServerRole::ReadWrite if read_only || standby => "the session is read-only",
        ServerRole::ReadOnly if !(read_only || standby) => "the session is not read-only",
        ServerRole::Primary if standby => "the server is in hot standby",
        ServerRole::Standby if !standby => "the server is not in hot standby",
        _ => return Ok(()),
    };
    Err(ConnectError::Unreachable { place: place(), reason: problem.to_owned() })
}

/// Puts an error of tokio-postgres into the words of [`ConnectError`]. `given`: whether there was a password to send.
pub(super) fn explain(error: &tokio_postgres::Error, target: &Target, host: &str, given: bool) -> ConnectError {
    let place = target.place(host.to_owned());
    let reason = reason(error);
    let Some(server) = error.as_db_error() else {
        // tokio-postgres hides the kind of its errors; their first words are all there is.
        let text = error.to_string();
        return match text.as_str() {
            _ if reason.contains("password missing") => ConnectError::WrongPassword { place, given: false },
            _ if text.starts_with("error performing TLS handshake") => ConnectError::Tls { place, reason },
            _ if text.starts_with("error connecting to server") => ConnectError::Unreachable { place, reason },
            _ if text.starts_with("error communicating") || error.is_closed() => ConnectError::Unreachable { place, reason },
            _ => ConnectError::Other { place, reason },
        };
    };
    match server.code() {
        code if *code == SqlState::INVALID_PASSWORD => ConnectError::WrongPassword { place, given },
        code if *code == SqlState::INVALID_CATALOG_NAME => ConnectError::NoSuchDatabase { place },
        code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            // The same code says "no such role", "may not log in" and "no line in pg_hba.conf". The routine is the same in every
            // language of messages, but it does not tell the first two apart.
            let unknown = server.routine() == Some("InitializeSessionUserId") && server.message().contains("not exist");
            if unknown { ConnectError::NoSuchRole { place } } else { ConnectError::NotPermitted { place, reason } }
        }
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => ConnectError::NotPermitted { place, reason },
        code if *code == SqlState::TOO_MANY_CONNECTIONS => ConnectError::TooManyConnections { place, reason },
        code if *code == SqlState::CANNOT_CONNECT_NOW => ConnectError::Unreachable { place, reason },
        _ => ConnectError::Other { place, reason },
    }
}

/// The innermost words of an error; the server's own when it is one of the server's.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        let detail = server.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail}", server.message());
    }
    let mut innermost = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        innermost = inner.to_string();
        source = inner.source();
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse_in(text, &Environment { os_user: Some("ann".into()), ..Environment::default() }).unwrap()
    }

    #[test]
    fn tls_is_tried_as_sslmode_says() {
        let ways_of = |text: &str| ways(target(text).tls.mode, &target(text).endpoints[0]).to_vec();
        assert_eq!(ways_of("host=h"), [Way::Prefer, Way::Disable]);
        assert_eq!(ways_of("host=h sslmode=allow"), [Way::Disable, Way::Require]);
        assert_eq!(ways_of("host=h sslmode=verify-full"), [Way::Require]);
        assert_eq!(ways_of("host=/tmp sslmode=require"), [Way::Disable]);
    }

    #[tokio::test]
    async fn all_hosts_that_do_not_answer_are_named() {
        let error = connect(&target("host=/nowhere/a,/nowhere/b port=1,2 dbname=d")).await.err().unwrap();
        assert_eq!(error.code(), "connect::unreachable");
        let text = error.to_string();
        assert!(text.contains("/nowhere/a:1: No such file") && text.contains("/nowhere/b:2: No such file"), "{text}");
        assert!(error.help().contains("is a server running here"));
    }

    #[tokio::test]
    async fn a_refused_port_is_unreachable() {
        let error = connect(&target("host=127.0.0.1 port=1 dbname=d")).await.err().unwrap();
        assert!(
            error.to_string().starts_with("no PostgreSQL server can be reached at 127.0.0.1:1: Connection refused"),
            "{error}"
        );
    }
}
