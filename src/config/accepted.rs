//! The file of accepted drift: differences that somebody wants to live with for a time, each with a reason, an author and a last day.

use serde::Deserialize;
use std::path::Path;
use toml::Spanned;
use toml::value::Datetime;

use super::{ConfigError, understood};
use crate::report::Accepted;

/// The file as it is written: `[[accepted]]` tables and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    accepted: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    object: Spanned<String>,
    digest: Spanned<String>,
    reason: Spanned<String>,
    author: Spanned<String>,
    until: Spanned<Datetime>,
}

/// Reads the file.
///
/// # Errors
/// When it cannot be read, is not TOML, or an entry lacks its reason, its author or its last day.
pub fn accepted(path: &Path) -> Result<Vec<Accepted>, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError {
        code: "config::unreadable",
        message: format!("cannot read {shown}: {e}").into(),
        path: shown.as_str().into(),
        text: "".into(),
        span: None,
        label: "",
        help: Some(
            "the file of accepted drift has to be there, be it empty: `plumb drift --format accept` writes its entries".into(),
        ),
    })?;
    read(&shown, &text)
}

/// Reads the text of a file that stands at `path`.
///
/// # Errors
/// As [`accepted`].
pub fn read(path: &str, text: &str) -> Result<Vec<Accepted>, ConfigError> {
    let written: Written = toml::from_str(text).map_err(|e| understood(path, text, &e))?;
    written.accepted.into_iter().map(|entry| entry.checked(path, text)).collect()
}

impl Entry {
    fn checked(self, path: &str, text: &str) -> Result<Accepted, ConfigError> {
        let wrong = |span, message: &str, label, help: &str| ConfigError {
            code: "config::accepted",
            message: message.into(),
            path: path.into(),
            text: text.into(),
            span: Some(span),
            label,
            help: Some(help.into()),
        };
        for (value, what) in [(&self.reason, "a reason"), (&self.author, "an author")] {
            if value.as_ref().trim().is_empty() {
                let help = "write why it may stay as it is, and who says so";
                return Err(wrong(value.span(), &format!("accepted drift needs {what}"), "nothing is said", help));
            }
        }
        let until = self.until.as_ref();
        if until.date.is_none() || until.time.is_some() || until.offset.is_some() {
            return Err(wrong(self.until.span(), "the last day is a day", "not a day", "write until = 2027-01-31"));
        }
        let line = text[..self.object.span().start].matches('\n').count() + 1;
        Ok(Accepted {
            object: self.object.into_inner(),
            digest: self.digest.into_inner(),
            reason: self.reason.into_inner(),
            author: self.author.into_inner(),
            until: until.to_string(),
            place: format!("{path}:{line}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        "[[accepted]]\nobject = \"index public.i\"\ndigest = \"0123456789ab\"\nreason = \"an experiment\"\nauthor = \"ops\"\n";

    #[test]
    fn an_entry_says_all_of_it() {
        let read_one = |rest: &str| read("drift.toml", &format!("{ENTRY}{rest}"));
        let one = read_one("until = 2027-01-31\n").unwrap().remove(0);
        assert_eq!((one.until.as_str(), one.place.as_str()), ("2027-01-31", "drift.toml:2"));
        assert_eq!(read_one("").unwrap_err().code, "config::syntax");
        assert_eq!(read_one("until = 2027-01-31T10:00:00\n").unwrap_err().code, "config::accepted");
        assert_eq!(read_one("until = 2027-02-31\n").unwrap_err().code, "config::value");
        let silent = format!("{}until = 2027-01-31\n", ENTRY.replace("an experiment", " "));
        let error = read("drift.toml", &silent).unwrap_err();
        assert_eq!(error.message.as_ref(), "accepted drift needs a reason");
        assert_eq!(&silent[error.span.unwrap()], "\" \"");
        assert_eq!(read_one("until = 2027-01-31\nwho = 1\n").unwrap_err().code, "config::unknown_key");
        assert!(read("drift.toml", "").unwrap().is_empty());
    }
}
