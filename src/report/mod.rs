//! Findings of any kind in the forms that code hosts read: SARIF, JUnit, workflow commands. Pure; it knows neither what is wrong nor why.

mod github;
mod junit;
mod sarif;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use github::github;
pub use junit::junit;
pub use sarif::sarif;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It has to be put right: the command does not end with 0.
    Error,
    /// It ought to be looked at.
    Warning,
    /// Nobody asked for it.
    Off,
}

impl Level {
    /// `error`, `warning`, `off`.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Off => "off",
        }
    }
}

/// Where something stands in the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The path as given.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// Something that somebody ought to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's code.
    pub code: String,
    /// How much it matters.
    pub level: Level,
    /// What is wrong, with the names that it is about.
    pub message: String,
    /// The object as a person names it: `table public.users`.
    pub object: String,
    /// Where the files define it, if they do.
    pub source: Option<Source>,
    /// Why somebody wants it so: the reason that a directive gives.
    pub ignored: Option<String>,
}

/// A difference that somebody accepts for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The object as `plumb drift` names it.
    pub object: String,
    /// What the difference is like: one that becomes another is not accepted any more.
    pub digest: String,
    /// Why it may stay as it is.
    pub reason: String,
    /// Who says so.
    pub author: String,
    /// The last day, `2027-01-31`.
    pub until: String,
    /// The entry: `drift.toml:12`.
    pub place: String,
}

impl Accepted {
    /// `accepted until 2027-01-31 by ops: an experiment`.
    pub fn words(&self) -> String {
        format!("accepted until {} by {}: {}", self.until, self.author, self.reason)
    }
}

/// What a code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The code.
    pub code: String,
    /// One sentence.
    pub meaning: String,
    /// Why it matters and what to do; may be empty.
    pub help: String,
    /// The level that it has when nobody says otherwise.
    pub level: Level,
}

/// Findings, and what was looked for.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was looked at: `schema/`, `app on db.internal`.
    pub of: String,
    /// What was looked for: every code of the findings, and those that nothing was found of.
    pub rules: Vec<Rule>,
    /// In the order of files and lines.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Findings in the order of files and lines; those without a place come last.
    pub fn new(of: impl Into<String>, rules: Vec<Rule>, mut findings: Vec<Finding>) -> Report {
        findings.sort_by(|a, b| {
            let key = |f: &Finding| (f.source.is_none(), f.source.clone(), f.level, f.code.clone(), f.object.clone());
            key(a).cmp(&key(b))
        });
        Report { of: of.into(), rules, findings }
    }

    /// The findings that nobody wants so.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.ignored.is_none())
    }

    /// How many of them have this level.
    pub fn count(&self, level: Level) -> usize {
        self.open().filter(|f| f.level == level).count()
    }
}
