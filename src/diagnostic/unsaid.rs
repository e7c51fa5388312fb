//! Passwords that stand in a line which is shown: what a file holds is its owner's, and logs of checks are read by many.

use std::ops::Range;

/// Words after which a value is a secret.
const WORDS: &[&str] = &["password", "passwd", "secret", "token"];

/// The same line, byte for byte as long, without the values of passwords: `password 'x'`, `password=x`, `://user:x@host`.
pub fn unsaid(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let mut text = line.to_owned();
    let after_words = WORDS.iter().flat_map(|word| lower.match_indices(word).map(move |(at, _)| at + word.len()));
    let values =
        after_words.filter_map(|at| value(line, at)).chain(lower.match_indices("://").filter_map(|(at, _)| userinfo(line, at)));
    for span in values.collect::<Vec<_>>() {
        text.replace_range(span.clone(), &"*".repeat(span.len()));
    }
    text
}

/// What stands in quotes after the word, or behind an equals sign.
fn value(line: &str, at: usize) -> Option<Range<usize>> {
    let rest = &line[at..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '"', '=']).len();
    let equals = rest[..blanks].contains('=');
    let value = &rest[blanks..];
    let start = at + blanks;
    match value.strip_prefix('\'') {
        Some(quoted) if blanks > 0 => Some(start + 1..start + 1 + quoted.find('\'').unwrap_or(quoted.len())),
        None if equals => Some(start..start + value.find([' ', '\'', '&', ',', ')', ';']).unwrap_or(value.len())),
        _ => None,
    }
}

/// The password of a URL whose `://` is here.
fn userinfo(line: &str, at: usize) -> Option<Range<usize>> {
    let start = at + 3;
    let authority = &line[start..start + line[start..].find(['/', '?', '\'', '"', ' ']).unwrap_or(line.len() - start)];
    let end = authority.rfind('@')?;
    let colon = authority[..end].find(':')?;
    Some(start + colon + 1..start + end)
}

#[cfg(test)]
mod tests {
    use super::unsaid;

    #[test]
    fn values_go_and_bytes_stay() {
        for (line, shown) in [
            (
                "create user mapping for x server s options (user 'a', password 'hé')",
                "create user mapping for x server s options (user 'a', password '***')",
            ),
            ("alter role x PASSWORD 'geheim'", "alter role x PASSWORD '******'"),
            ("connection 'host=h password=abc user=u'", "connection 'host=h password=*** user=u'"),
            ("connection 'postgres://u:abc@h/d'", "connection 'postgres://u:***@h/d'"),
            ("password text not null, token uuid", "password text not null, token uuid"),
            ("comment on column u.password is 'a hash'", "comment on column u.password is 'a hash'"),
            ("options (\"password\" 'never ends", "options (\"password\" '**********"),
        ] {
            assert_eq!(unsaid(line), shown);
            assert_eq!(unsaid(line).len(), line.len());
        }
    }
}
