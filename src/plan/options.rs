//! What a renderer is told besides the plan: where it goes, and what the plan does not know of itself.

use std::time::Duration;

use super::document::Plan;
use super::facts;

/// How a plan is shown, and what it does not know of itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether marks are coloured.
    pub color: bool,
    /// Columns of the terminal; at most 100 are used.
    pub width: usize,
    /// The live side: `app on db.internal`.
    pub target: String,
    /// Its server: `PostgreSQL 16.4`.
    pub server: String,
    /// The wanted side: `schema/`.
    pub schema: String,
    /// The environment of the configuration, if one was named.
    pub environment: Option<String>,
    /// Where the plan was written to, if it was.
    pub saved: Option<String>,
    /// Whether everything is shown: statements, reasons, whole comparisons.
    pub verbose: bool,
    /// How long a statement of the script waits for a lock, when it is not what `apply` does by itself.
    pub lock_timeout: Option<Duration>,
}

impl Options {
    /// What the plan is for: `production (app on db.internal, PostgreSQL 16.4)`.
    pub fn place(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{environment} ({}, {})", self.target, self.server),
            None => format!("{} ({})", self.target, self.server),
        }
    }

    /// The command that runs the plan, as words for a shell that must not be torn; nothing when the plan was not written.
    pub fn apply(&self, plan: &Plan) -> Option<Vec<String>> {
        let saved = self.saved.as_ref()?;
        let environment = self.environment.iter().map(|e| format!("--env {}", shell(e)));
        let allowed = facts::refused(plan).into_iter().map(|code| format!("--allow {}", shell(&code)));
        Some(std::iter::once(format!("plumb apply {}", shell(saved))).chain(environment).chain(allowed).collect())
    }
}

/// A word as a shell takes it.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
