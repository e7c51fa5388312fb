//! What `plumb.toml` says of applying: who has to approve, what has to be true, what is run before and after.

use serde::{Deserialize, Deserializer};
use std::time::Duration;

use super::durations::optional_duration;

pub(super) const WRONG_KEY: &str = "is no key that approves";
pub(super) const WRONG_NUMBER: &str = "require_approval is";
pub(super) const WRONG_HOOK: &str = "a hook has";

/// A key whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver(pub ssh_key::PublicKey);

impl Approver {
    /// Who that is: the comment of the key, else its fingerprint.
    pub fn name(&self) -> String {
        let comment = self.0.comment().to_string();
        if comment.is_empty() { self.0.fingerprint(ssh_key::HashAlg::Sha256).to_string() } else { comment }
    }
}

impl<'de> Deserialize<'de> for Approver {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Approver, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |why: &str| {
            let start: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!("\"{start}\" {WRONG_KEY}: {why}"))
        };
        let key = ssh_key::PublicKey::from_openssh(text.trim()).map_err(|_| wrong("write a line as in id_ed25519.pub"))?;
        if key.algorithm() != ssh_key::Algorithm::Ed25519 {
            return Err(wrong("it has to be an ed25519 key"));
        }
        Ok(Approver(key))
    }
}

/// `true` for one, `false` for none, or how many.
pub(super) fn approvals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Whether(bool),
        Number(i64),
    }
    let wrong = || serde::de::Error::custom(format!("{WRONG_NUMBER} true, false, or how many have to approve"));
    match Said::deserialize(deserializer).map_err(|_| wrong())? {
        Said::Whether(one) => Ok(Some(u32::from(one))),
        Said::Number(many) => u32::try_from(many).map(Some).map_err(|_| wrong()),
    }
}

/// `[[assert]]`: something that has to be true of the live database before a plan is applied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// What it is called in messages.
    pub name: String,
    /// A query whose first column of the only row is true.
    pub query: String,
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// When everything is looked at, before the first step. A hook that fails stops the plan.
    Before,
    /// When the plan is applied and the schema is as planned.
    After,
    /// When the plan has stopped before its end.
    Failed,
}

/// `[[hook]]`: a command, or statements for the live database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Stated")]
pub struct Hook {
    /// When it is run.
    pub when: Moment,
    /// What is run.
    pub what: Action,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a hook runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program and its arguments; no shell reads them.
    Command(Vec<String>),
    /// Statements, in a session of their own.
    Sql(String),
}

impl Action {
    /// What it is called in messages: the program, or the beginning of the statements.
    pub fn name(&self) -> String {
        match self {
            Action::Command(words) => words.first().cloned().unwrap_or_default(),
            Action::Sql(text) => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if line.chars().count() > 50 { line.chars().take(49).collect::<String>() + "…" } else { line }
            }
        }
    }
}

/// How long a hook may take when nobody says so.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A hook as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    when: Moment,
    command: Option<Vec<String>>,
    sql: Option<String>,
    #[serde(default, deserialize_with = "optional_duration")]
    timeout: Option<Duration>,
}

impl TryFrom<Stated> for Hook {
    type Error = String;

    fn try_from(stated: Stated) -> Result<Hook, String> {
        let what = match (stated.command, stated.sql) {
            (Some(words), None) if !words.is_empty() => Action::Command(words),
            (None, Some(text)) if !text.trim().is_empty() => Action::Sql(text),
            _ => return Err(format!("{WRONG_HOOK} either command = [\"program\", \"argument\"] or sql = \"...\"")),
        };
        Ok(Hook { when: stated.when, what, timeout: stated.timeout.unwrap_or(TIMEOUT) })
    }
}
