//! The URL form of a connection string: `postgresql://user:password@host:port,host/dbname?key=value`.
//!
//! Manual: 34.1.1.2 "Connection URIs". Messages never repeat a piece of the URL before the `?`, since a password with an
//! unescaped `@` or `/` may be anywhere in it.

use super::error::TargetError;
use super::keyword::{self, Values};

/// True when `text` is meant as a connection URL.
pub(super) fn is_url(text: &str) -> bool {
    body(text).is_some()
}

/// What follows the scheme.
fn body(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Reads a connection URL into values by keyword.
///
/// # Errors
/// Broken percent escapes, brackets, ports or parameters, and misspelt keys.
pub(super) fn parse(text: &str, warnings: &mut Vec<String>) -> Result<Values, TargetError> {
    let mut values = Values::new();
    let rest = body(text).ok_or_else(|| TargetError::malformed("a connection URL starts with postgresql://"))?;
    let (credentials, rest) = split_credentials(rest);
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        put_decoded(&mut values, "user", user)?;
        put_decoded(&mut values, "password", password)?;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (hosts, rest) = rest.split_at(end);
    put_hosts(&mut values, hosts)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    put_decoded(&mut values, "dbname", path.strip_prefix('/').unwrap_or(path))?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(TargetError::malformed("a parameter after the `?` of the URL has no `=`"));
        };
        keyword::put(&mut values, &decode(name)?, decode(value)?, true, warnings)?;
    }
    Ok(values)
}

/// The part before the first `@` that comes before any `/`, as libpq looks for it.
fn split_credentials(rest: &str) -> (Option<&str>, &str) {
    match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => (Some(&rest[..at]), &rest[at + 1..]),
        _ => (None, rest),
    }
}

/// Puts a decoded part under `name` unless it is empty.
fn put_decoded(values: &mut Values, name: &'static str, text: &str) -> Result<(), TargetError> {
    if !text.is_empty() {
        values.insert(name, decode(text)?);
    }
    Ok(())
}

/// Splits `host:port,host:port`, with IPv6 addresses in brackets.
fn put_hosts(values: &mut Values, text: &str) -> Result<(), TargetError> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = host_and_port(part)?;
        if host.contains('@') || !port.chars().all(|c| c.is_ascii_digit()) {
            let reason = "the host part of the URL does not read as host:port; in a password write @ as %40, / as %2F, : as %3A";
            return Err(TargetError::malformed(reason));
        }
        hosts.push(decode(host)?);
        ports.push(port);
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        values.insert("host", hosts.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        values.insert("port", ports.join(","));
    }
    Ok(())
}

/// `host`, `host:port` or `[ipv6]:port`.
fn host_and_port(part: &str) -> Result<(&str, &str), TargetError> {
    let Some(bracketed) = part.strip_prefix('[') else {
        return Ok(part.split_once(':').unwrap_or((part, "")));
    };
    let broken = || TargetError::malformed("an IPv6 address in the URL is written [address] or [address]:port");
    let (address, after) = bracketed.split_once(']').ok_or_else(broken)?;
    match after.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if after.is_empty() => Ok((address, "")),
        None => Err(broken()),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, TargetError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).filter(|hex| !hex.starts_with('+'));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if decoded != 0 => bytes.push(decoded),
            _ => return Err(TargetError::malformed("the URL has a % that is not followed by two hexadecimal digits; write %25")),
        }
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| TargetError::malformed("the URL's percent escapes do not form UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(&'static str, String)> {
        parse(text, &mut Vec::new()).unwrap().into_iter().collect()
    }

    fn check(text: &str, expected: &[(&'static str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(parsed(text), expected, "{text}");
    }

    fn message(text: &str) -> String {
        parse(text, &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn the_examples_of_the_manual() {
        check("postgresql://", &[]);
        check("postgresql://localhost", &[("host", "localhost")]);
        check("postgresql://localhost:5433", &[("host", "localhost"), ("port", "5433")]);
        check("postgresql://localhost/mydb", &[("dbname", "mydb"), ("host", "localhost")]);
        check("postgresql://user@localhost", &[("host", "localhost"), ("user", "user")]);
        check("postgresql://user:secret@localhost", &[("host", "localhost"), ("password", "secret"), ("user", "user")]);
        check(
            "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
            &[
                ("application_name", "myapp"),
                ("connect_timeout", "10"),
                ("dbname", "otherdb"),
                ("host", "localhost"),
                ("user", "other"),
            ],
        );
        check(
            "postgresql://host1:123,host2:456/somedb?target_session_attrs=any",
            &[("dbname", "somedb"), ("host", "host1,host2"), ("port", "123,456"), ("target_session_attrs", "any")],
        );
        check("postgresql:///mydb?host=localhost&port=5433", &[("dbname", "mydb"), ("host", "localhost"), ("port", "5433")]);
        check("postgresql://[2001:db8::1234]/database", &[("dbname", "database"), ("host", "2001:db8::1234")]);
        check("postgresql://[::1]:5433", &[("host", "::1"), ("port", "5433")]);
        check("postgresql://%2Fvar%2Flib%2Fpostgresql/dbname", &[("dbname", "dbname"), ("host", "/var/lib/postgresql")]);
        check("postgres:///dbname?host=/var/lib/postgresql", &[("dbname", "dbname"), ("host", "/var/lib/postgresql")]);
    }

    #[test]
    fn several_hosts_may_share_or_skip_ports() {
        check("postgres://a,b:2/", &[("host", "a,b"), ("port", ",2")]);
        check("postgres://,b", &[("host", ",b")]);
    }

    #[test]
    fn escapes_are_decoded_everywhere() {
        check(
            "postgres://u%40x:p%2Fw%25@h/d%20b?options=-c%20a%3D1",
            &[("dbname", "d b"), ("host", "h"), ("options", "-c a=1"), ("password", "p/w%"), ("user", "u@x")],
        );
        check("postgres://h?sslmode=require", &[("host", "h"), ("sslmode", "require")]);
        check("postgres://u:%C3%A9@h", &[("host", "h"), ("password", "é"), ("user", "u")]);
    }

    #[test]
    fn messages_do_not_leak_the_password() {
        for text in [
            "postgres://u:hunter2@ss@host/db",
            "postgres://u:hun/ter2@host/db",
            "postgres://u:hunter2%zz@host/db",
            "postgres://u:hunter2%",
            "postgres://[hunter2",
            "postgres://u:hunter2%é@h",
        ] {
            let message = message(text);
            assert!(!message.contains("hun") && !message.contains("ter2"), "{text}: {message}");
        }
    }

    #[test]
    fn keys_of_other_tools_are_warned_about() {
        let mut warnings = Vec::new();
        let values = parse("postgres://h/d?schema=public&connection_limit=5&pgbouncer=true&ssl=true", &mut warnings).unwrap();
        assert_eq!(values["sslmode"], "require");
        assert_eq!(warnings.len(), 3);
        assert!(warnings[0].contains("`schema`"));
        assert!(message("postgres://h/d?sslmod=require").contains("sslmod"));
        assert!(message("postgres://h/d?sslmode").contains("no `=`"));
    }
}
