//! The connection keywords of libpq as one table, and the `key=value` form of a connection string.
//!
//! Manual: 34.1.2 "Parameter Key Words", 34.1.1.1 "Keyword/Value Connection Strings".

use super::error::TargetError;
use std::collections::BTreeMap;

/// Values by keyword; the keys are names of [`KEYWORDS`].
pub(super) type Values = BTreeMap<&'static str, String>;

/// What plumb does with a keyword.
pub(super) enum Use {
    /// plumb acts on it.
    Read,
    /// It changes nothing that matters to plumb: named in a warning when given explicitly.
    Ignored,
    /// It asks for a protection that plumb cannot give, so ignoring it would be wrong; the listed values ask for nothing.
    Refused(&'static [&'static str]),
}

/// One keyword: its name, its environment variable, its use.
pub(super) struct Keyword {
    /// As written in a connection string.
    pub(super) name: &'static str,
    /// The variable that gives its default.
    pub(super) variable: Option<&'static str>,
    /// What plumb does with it.
    pub(super) usage: Use,
}

const fn read(name: &'static str, variable: &'static str) -> Keyword {
    Keyword { name, variable: Some(variable), usage: Use::Read }
}

const fn unset(name: &'static str) -> Keyword {
    Keyword { name, variable: None, usage: Use::Read }
}

const fn ignored(name: &'static str) -> Keyword {
    Keyword { name, variable: None, usage: Use::Ignored }
}

const fn refused(name: &'static str, variable: &'static str, harmless: &'static [&'static str]) -> Keyword {
    Keyword { name, variable: Some(variable), usage: Use::Refused(harmless) }
}

/// Every keyword of libpq 14 to 18.
pub(super) const KEYWORDS: &[Keyword] = &[
    read("host", "PGHOST"),
    read("hostaddr", "PGHOSTADDR"),
    read("port", "PGPORT"),
    read("dbname", "PGDATABASE"),
    read("user", "PGUSER"),
    read("password", "PGPASSWORD"),
    read("passfile", "PGPASSFILE"),
    read("service", "PGSERVICE"),
    read("servicefile", "PGSERVICEFILE"),
    read("options", "PGOPTIONS"),
    read("application_name", "PGAPPNAME"),
    unset("fallback_application_name"),
    read("connect_timeout", "PGCONNECT_TIMEOUT"),
    read("target_session_attrs", "PGTARGETSESSIONATTRS"),
    read("channel_binding", "PGCHANNELBINDING"),
    read("sslmode", "PGSSLMODE"),
    read("sslnegotiation", "PGSSLNEGOTIATION"),
    read("sslrootcert", "PGSSLROOTCERT"),
    read("sslcert", "PGSSLCERT"),
    read("sslkey", "PGSSLKEY"),
    read("sslcrl", "PGSSLCRL"),
    refused("sslcrldir", "PGSSLCRLDIR", &[]),
    refused("sslpassword", "PGSSLPASSWORD", &[]),
    refused("requirepeer", "PGREQUIREPEER", &[]),
    refused("require_auth", "PGREQUIREAUTH", &[]),
    refused("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    refused("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    refused("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"]),
    refused("sslcertmode", "PGSSLCERTMODE", &["allow", "disable"]),
    ignored("replication"),
    ignored("client_encoding"),
    unset("keepalives"),
    unset("keepalives_idle"),
    unset("keepalives_interval"),
    unset("keepalives_count"),
    unset("tcp_user_timeout"),
    ignored("load_balance_hosts"),
    ignored("sslcompression"),
    ignored("sslsni"),
    ignored("sslkeylogfile"),
    ignored("requiressl"),
    ignored("krbsrvname"),
    ignored("gsslib"),
    ignored("gssdelegation"),
    ignored("min_protocol_version"),
    ignored("max_protocol_version"),
    ignored("scram_client_key"),
    ignored("scram_server_key"),
    ignored("oauth_issuer"),
    ignored("oauth_client_id"),
    ignored("oauth_client_secret"),
    ignored("oauth_scope"),
];

/// Keys that other tools put into URLs (Prisma, JDBC, SQLAlchemy, pgx, Supabase): warned about, never taken for a misspelling.
const FOREIGN: &[&str] = &[
    "schema",
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "sslidentity",
    "sslaccept",
    "currentSchema",
    "search_path",
    "pool_max_conns",
    "pool_min_conns",
    "default_query_exec_mode",
    "prepareThreshold",
    "supa",
    "workaround",
    "charset",
    "encoding",
    "serverVersion",
    "uselibpqcompat",
    "max_pool_size",
    "pool_size",
    "timezone",
];

/// The keyword called `name`.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The keyword that `name` is probably meant to be.
pub(super) fn suggestion(name: &str) -> Option<&'static str> {
    nearest(name, KEYWORDS.iter().map(|keyword| keyword.name))
}

/// The nearest of `choices` to `word`, when it is near enough to be a slip of the pen.
pub(super) fn nearest<'a>(word: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let allowed = if word.len() <= 4 { 1 } else { 2 };
    let measured = choices.map(|choice| (distance(&word, choice), choice)).filter(|(d, _)| *d <= allowed);
    measured.min().map(|(_, choice)| choice)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let plain = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped { plain.min(table[i - 2][j - 2] + 1) } else { plain }
                }
            };
        }
    }
    table[a.len()][b.len()]
}

/// Puts `value` under the keyword `name`. In a URL, keys of other tools are collected in `warnings`.
///
/// # Errors
/// A key that looks like a misspelt keyword; in a keyword string, any key that libpq does not have either.
pub(super) fn put(
    values: &mut Values,
    name: &str,
    value: String,
    in_url: bool,
    warnings: &mut Vec<String>,
) -> Result<(), TargetError> {
    match find(name) {
        Some(Keyword { name, usage: Use::Ignored, .. }) => {
            warnings.push(format!("connection parameter `{name}` is not used by plumb and is ignored"));
        }
        Some(keyword) => {
            values.insert(keyword.name, value);
        }
        None if in_url && name == "ssl" && value == "true" => {
            values.insert("sslmode", "require".to_owned());
        }
        None => {
            let foreign = FOREIGN.contains(&name);
            let suggestion = if foreign { None } else { suggestion(name) };
            if !in_url || suggestion.is_some() {
                return Err(TargetError::UnknownKey { key: name.to_owned(), suggestion });
            }
            warnings.push(format!("connection parameter `{name}` belongs to another tool and is ignored"));
        }
    }
    Ok(())
}

/// Fills `values` with those of `defaults` that it does not have.
pub(super) fn fill(values: &mut Values, defaults: Values) {
    for (name, value) in defaults {
        values.entry(name).or_insert(value);
    }
}

/// Reads a `key=value key='quoted value'` string. In quotes and outside them a backslash takes the next character as it is.
///
/// # Errors
/// A key without `=`, an open quote, an unknown key.
pub(super) fn parse(text: &str, warnings: &mut Vec<String>) -> Result<Values, TargetError> {
    let mut values = Values::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(TargetError::malformed("a connection string is a row of key=value pairs; a `=` is missing"));
        };
        let (value, after) = value(after.trim_start())?;
        put(&mut values, name, value, false, warnings)?;
        rest = after.trim_start();
    }
    Ok(values)
}

/// One value, and what follows it.
fn value(text: &str) -> Result<(String, &str), TargetError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        Err(TargetError::malformed("a quoted value of the connection string has no closing quote"))
    } else {
        Ok((value, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Values {
        parse(text, &mut Vec::new()).unwrap()
    }

    fn message(text: &str) -> String {
        parse(text, &mut Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn pairs_with_spaces_and_quotes() {
        let values = parsed(r"  host = db.internal port=5433 password='it\'s a \\ secret' dbname=a\ b user=''");
        assert_eq!(values["host"], "db.internal");
        assert_eq!(values["port"], "5433");
        assert_eq!(values["password"], r"it's a \ secret");
        assert_eq!(values["dbname"], "a b");
        assert_eq!(values["user"], "");
        assert!(parsed("").is_empty());
    }

    #[test]
    fn a_quote_inside_a_bare_value_is_itself() {
        assert_eq!(parsed("password=a'b")["password"], "a'b");
    }

    #[test]
    fn the_last_of_two_wins() {
        assert_eq!(parsed("host=a host=b")["host"], "b");
    }

    #[test]
    fn broken_strings_are_refused_without_their_values() {
        assert!(message("host=a hunter2").contains("`=` is missing"));
        let open = message("password='hunter2");
        assert!(open.contains("closing quote") && !open.contains("hunter2"), "{open}");
    }

    #[test]
    fn misspelt_keys_are_named() {
        assert_eq!(suggestion("sslmod"), Some("sslmode"));
        assert_eq!(suggestion("hots"), Some("host"));
        assert_eq!(suggestion("SSLMODE"), Some("sslmode"));
        assert_eq!(suggestion("frobnicate"), None);
        assert!(message("hots=a").contains("hots"));
        assert!(message("schema=public").contains("schema"));
    }

    #[test]
    fn foreign_keys_are_no_misspellings_of_ours() {
        for key in FOREIGN {
            let mut warnings = Vec::new();
            put(&mut Values::new(), key, String::new(), true, &mut warnings).unwrap();
            assert_eq!(warnings.len(), 1, "{key}");
        }
    }

    #[test]
    fn ignored_keys_are_told() {
        let mut warnings = Vec::new();
        parse("sslsni=0 host=a", &mut warnings).unwrap();
        assert_eq!(warnings, ["connection parameter `sslsni` is not used by plumb and is ignored"]);
    }
}
