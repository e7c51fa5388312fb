//! `.pgpass`: passwords by host, port, database and user.
//!
//! Manual: 34.16 "The Password File".

use super::secret::Secret;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One line of the file: four patterns and the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    patterns: [String; 4],
    password: Secret,
}

/// What a password is looked up by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    /// Host as the target names it; `localhost` for the default socket directory.
    pub(super) host: &'a str,
    /// Port.
    pub(super) port: u16,
    /// Database.
    pub(super) database: &'a str,
    /// Role.
    pub(super) user: &'a str,
}

/// Reads the file at `path`. A missing file is no entries; one that others may read is not used and told in `warnings`.
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Vec<Entry> {
    let Ok(metadata) = std::fs::metadata(path) else { return Vec::new() };
    let shown = path.display();
    if !metadata.is_file() {
        warnings.push(format!("password file {shown} is not a plain file and is ignored"));
        return Vec::new();
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        warnings.push(format!("password file {shown} may be read by others and is ignored; run: chmod 0600 {shown}"));
        return Vec::new();
    }
    match std::fs::read(path) {
        Ok(bytes) => parse(&String::from_utf8_lossy(&bytes)),
        Err(error) => {
            warnings.push(format!("password file {shown} cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// The entries of a file's text, in order. Comments, empty lines and lines with too few fields are passed over.
pub(super) fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(entry).collect()
}

/// The password of the first entry that fits `key`. An empty password counts as none.
pub(super) fn lookup<'a>(entries: &'a [Entry], key: Key<'_>) -> Option<&'a Secret> {
    let port = key.port.to_string();
    let wanted = [key.host, &port, key.database, key.user];
    let fits =
        |entry: &&Entry| entry.patterns.iter().zip(wanted).all(|(pattern, value)| pattern == "*" || unescape(pattern) == value);
    entries.iter().find(fits).map(|entry| &entry.password).filter(|password| !password.reveal().is_empty())
}

fn entry(line: &str) -> Option<Entry> {
    let mut rest = line;
    let mut field = || {
        let end = separator(rest)?;
        let field = rest[..end].to_owned();
        rest = &rest[end + 1..];
        Some(field)
    };
    let patterns = [field()?, field()?, field()?, field()?];
    Some(Entry { patterns, password: Secret::new(unescape(rest)) })
}

/// Where the next colon without a backslash before it is.
fn separator(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = c == ':' && !escaped;
        escaped = c == '\\' && !escaped;
        found.then_some(at)
    })
}

/// Takes out the backslashes that protect a character.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str, database: &str) -> Option<String> {
        lookup(&parse(text), Key { host, port: 5432, database, user: "ann" }).map(|password| password.reveal().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let text = "# comment\n\ndb:5433:*:ann:wrong port\ndb:5432:app:bob:wrong user\n*:*:app:ann:first\ndb:*:*:*:second\n";
        assert_eq!(found(text, "db", "app").as_deref(), Some("first"));
        assert_eq!(found(text, "db", "other").as_deref(), Some("second"));
        assert_eq!(found(text, "elsewhere", "other"), None);
    }

    #[test]
    fn backslashes_protect_colons_and_themselves() {
        assert_eq!(found(r"\:\:1:*:a\\b:ann:p\:w\\x:y", "::1", r"a\b").as_deref(), Some(r"p:w\x:y"));
        assert_eq!(found(r"\*:*:*:*:x", "db", "app"), None);
    }

    #[test]
    fn short_lines_and_empty_passwords_give_nothing() {
        assert_eq!(found("db:5432:app\n", "db", "app"), None);
        assert_eq!(found("db:5432:app:ann:\n", "db", "app"), None);
    }

    #[test]
    fn a_file_open_to_others_is_not_used() {
        let path = std::env::temp_dir().join(format!("plumb-pgpass-{}", std::process::id()));
        std::fs::write(&path, "*:*:*:*:hunter2\n").unwrap();
        for (mode, entries, told) in [(0o644, 0, 1), (0o600, 1, 0)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut warnings = Vec::new();
            assert_eq!(read(&path, &mut warnings).len(), entries);
            assert_eq!(warnings.len(), told);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, &mut Vec::new()).is_empty());
    }

    #[test]
    fn debug_hides_the_password() {
        let shown = format!("{:?}", parse("a:b:c:d:hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
