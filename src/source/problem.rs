//! Errors in the files: all of them, each at its line. `diagnostic.rs` shows them.

use super::files::{Files, Place};
use std::fmt;

/// One error in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The stable code: `source::unknown_type`.
    pub code: &'static str,
    /// What is wrong, as the server would say it.
    pub message: String,
    /// Where; none when the error is not about a place in a file.
    pub place: Option<Place>,
    /// The words under the underlined text.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that matter, each with its own words.
    pub also: Vec<(Place, String)>,
}

impl Problem {
    /// An error at a place.
    pub fn at(code: &'static str, place: Place, message: impl Into<String>, label: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), place: Some(place), label: label.into(), ..Problem::default() }
    }

    /// An error that has no place in the files.
    pub fn general(code: &'static str, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), ..Problem::default() }
    }

    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// Everything that is wrong with the files, in the order of files and lines.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// The files the places point into.
    pub files: Files,
    /// The errors to show.
    pub list: Vec<Problem>,
    /// Errors that only follow from those of `list`: "and N that follow from these".
    pub following: Vec<Problem>,
}

impl Problems {
    /// Problems sorted by place.
    pub fn new(files: &Files, mut list: Vec<Problem>) -> Problems {
        let key = |p: &Problem| p.place.as_ref().map(|p| (p.file, p.span.start));
        list.sort_by_key(key);
        Problems { files: files.clone(), list, following: Vec::new() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for p in &self.list {
            if let Some(place) = &p.place {
                let (line, column) = self.files.line_column(place);
                write!(f, "{}:{line}:{column}: ", self.files.0[place.file].path)?;
            }
            writeln!(f, "{}: {}", p.code, p.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
