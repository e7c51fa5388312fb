//! `plumb.toml`: read strictly, so that a misspelt key is an error at its place and never a setting without effect.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

mod accepted;
mod deploying;
mod durations;
mod schema_name;
mod time_limits;

use crate::lint;

use crate::statement::{Online, Protect};

pub use accepted::accepted;
use deploying::approvals;
pub use deploying::{Action, Approver, Assertion, Hook, Moment};
pub use durations::duration;
use durations::optional_duration;
use schema_name::optional as optional_name;
pub use time_limits::StatementTimeout;

/// The file that is read when none is named.
pub const DEFAULT: &str = "plumb.toml";

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The stable code: `config::unknown_key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: Box<str>,
    /// The file as it was named.
    pub path: Box<str>,
    /// What stands in it.
    pub text: Box<str>,
    /// Where in the text; none when it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// The words under the underlined text.
    pub label: &'static str,
    /// What to do about it.
    pub help: Option<Box<str>>,
}

/// The whole configuration, with its defaults. It may hold passwords: `Debug` shows none of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The wanted schema: a folder, a file, a snapshot or a URL. Paths are taken from the folder of the configuration.
    #[serde(default = "default_schema")]
    pub schema: String,
    /// The folder that plans are saved in.
    #[serde(default = "default_plans")]
    pub plans: String,
    /// The owner of objects whose owner the files do not state.
    pub owner: Option<String>,
    /// Where scratch databases are made: `auto`, `target` or a URL.
    pub shadow: Option<String>,
    /// How long a statement waits for a lock: `2s`, `500ms`.
    #[serde(default, deserialize_with = "optional_duration")]
    pub lock_timeout: Option<Duration>,
    /// How long a statement of a plan may run, by what it does to rows.
    #[serde(default)]
    pub statement_timeout: StatementTimeout,
    /// When changes of tables take their online forms, in which others can go on with their work: `always`, `auto` (on tables that hold
    /// rows) or `never`.
    #[serde(default)]
    pub online: Online,
    /// How long the live database may be asked about rows that would be in the way of one step: `10s`; `0s` for not at all.
    #[serde(default, deserialize_with = "optional_duration")]
    pub row_check_timeout: Option<Duration>,
    /// What becomes of tables and columns that the files no longer have: `none` (they are dropped) or `quarantine` (they are put aside
    /// with their rows).
    #[serde(default)]
    pub protect: Protect,
    /// The schema in which what is put aside is.
    #[serde(default, deserialize_with = "optional_name")]
    pub quarantine_schema: Option<String>,
    /// The file of accepted drift; without it nothing is accepted.
    pub accepted: Option<String>,
    /// How many rows are given their values in one transaction.
    pub backfill_batch: Option<NonZeroU32>,
    /// The pause after such a transaction: `100ms`; a quarter of the time that it took when nobody says how long.
    #[serde(default, deserialize_with = "optional_duration")]
    pub backfill_pause: Option<Duration>,
    /// How old a plan may be that is applied: `7d`; any age without it.
    #[serde(default, deserialize_with = "optional_duration")]
    pub max_age: Option<Duration>,
    /// How many of the approvers have to have signed a plan before it is applied; `true` for one.
    #[serde(default, deserialize_with = "approvals")]
    pub require_approval: Option<u32>,
    /// The keys whose signatures count: lines of an OpenSSH `authorized_keys` file, `ssh-ed25519 AAAA... ann@example.com`.
    #[serde(default)]
    pub approvers: Vec<Approver>,
    /// What has to be true of the live database before the first step.
    #[serde(default, rename = "assert")]
    pub assertions: Vec<Assertion>,
    /// What is run before and after a plan.
    #[serde(default, rename = "hook")]
    pub hooks: Vec<Hook>,
    /// What may be touched.
    #[serde(default)]
    pub scope: Scope,
    /// What the files may hold.
    #[serde(default)]
    pub screen: Screen,
    /// What `plumb check` looks for.
    #[serde(default)]
    pub lint: lint::Settings,
    #[serde(default, rename = "env")]
    environments: BTreeMap<String, Stated>,
    #[serde(skip)]
    path: String,
    #[serde(skip)]
    text: String,
}

/// `[scope]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The schemas that may be touched, instead of those that the files create or put objects in.
    #[serde(default)]
    pub schemas: Vec<String>,
}

/// `[screen]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// Whether DO blocks are run.
    #[serde(default)]
    pub allow_do: bool,
    /// Untrusted languages that functions may be written in.
    #[serde(default)]
    pub allow_languages: Vec<String>,
    /// Extensions that reach out of the database (`postgres_fdw`, ...) and may be created all the same.
    #[serde(default)]
    pub allow_extensions: Vec<String>,
    /// How long one statement of the files may take in the shadow: `2m`.
    #[serde(default, deserialize_with = "optional_duration")]
    pub statement_timeout: Option<Duration>,
    /// Whether statements that need a superuser (event triggers, operator classes, ...) run as one in the shadow.
    #[serde(default)]
    pub allow_superuser: bool,
}

/// `[env.NAME]` as it is written: variables stand in it by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    url: Option<Spanned<String>>,
    direct_url: Option<Spanned<String>>,
    schema: Option<Spanned<String>>,
    shadow: Option<Spanned<String>>,
    owner: Option<String>,
    #[serde(default, deserialize_with = "optional_duration")]
    max_age: Option<Duration>,
    #[serde(default, deserialize_with = "approvals")]
    require_approval: Option<u32>,
}

/// One environment with its variables filled in. It may hold a password: it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// The live database.
    pub url: Option<String>,
    /// The live database without a pooler in between, for what needs a session of its own.
    pub direct_url: Option<String>,
    /// The wanted schema, instead of the configuration's.
    pub schema: Option<String>,
    /// Where scratch databases are made, instead of the configuration's.
    pub shadow: Option<String>,
    /// The owner, instead of the configuration's.
    pub owner: Option<String>,
    /// How old a plan may be, instead of the configuration's.
    pub max_age: Option<Duration>,
    /// How many have to have approved, instead of the configuration's.
    pub require_approval: Option<u32>,
}

fn default_schema() -> String {
    "schema".to_owned()
}

fn default_plans() -> String {
    "plans".to_owned()
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            schema: default_schema(),
            plans: default_plans(),
            owner: None,
            shadow: None,
            lock_timeout: None,
            statement_timeout: StatementTimeout::default(),
            online: Online::default(),
            row_check_timeout: None,
            protect: Protect::default(),
            quarantine_schema: None,
            accepted: None,
            backfill_batch: None,
            backfill_pause: None,
            max_age: None,
            require_approval: None,
            approvers: Vec::new(),
            assertions: Vec::new(),
            hooks: Vec::new(),
            scope: Scope::default(),
            screen: Screen::default(),
            lint: lint::Settings::default(),
            environments: BTreeMap::new(),
            path: DEFAULT.to_owned(),
            text: String::new(),
        }
    }
}

/// Reads the named file, which must be there, or `plumb.toml` of the current folder, which may be absent.
///
/// # Errors
/// When the file cannot be read, is not TOML, or says something that plumb does not know.
pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    let shown = path.unwrap_or(Path::new(DEFAULT));
    match std::fs::read_to_string(shown) {
        Ok(text) => read(&shown.display().to_string(), &text),
        Err(e) if path.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(e) => Err(ConfigError {
            code: "config::unreadable",
            message: format!("cannot read {}: {e}", shown.display()).into(),
            path: shown.display().to_string().into(),
            text: "".into(),
            span: None,
            label: "",
            help: path
                .map(|_| format!("--config names a file that must be there; without it {DEFAULT} is read if it exists").into()),
        }),
    }
}

/// Reads the text of a configuration that stands at `path`.
///
/// # Errors
/// As [`load`].
pub fn read(path: &str, text: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|e| understood(path, text, &e))?;
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    Ok(Config {
        schema: beside(folder, &config.schema),
        plans: beside(folder, &config.plans),
        accepted: config.accepted.as_ref().map(|file| beside(folder, file)),
        path: path.to_owned(),
        text: text.to_owned(),
        ..config
    })
}

/// A path of the configuration as seen from the current folder; URLs stay.
fn beside(folder: &Path, path: &str) -> String {
    if path.contains("://") { path.to_owned() } else { folder.join(path).display().to_string() }
}

impl Config {
    /// The names of all environments.
    pub fn environments(&self) -> Vec<&str> {
        self.environments.keys().map(String::as_str).collect()
    }

    /// The environment of this name, its `${NAME}` filled in from this process's variables.
    ///
    /// # Errors
    /// When there is none of this name, or a variable is not set.
    pub fn environment(&self, name: &str) -> Result<Environment, ConfigError> {
        self.environment_in(name, &|variable| std::env::var(variable).ok())
    }

    /// [`Config::environment`] with variables given as a function.
    ///
    /// # Errors
    /// As [`Config::environment`].
    pub fn environment_in(&self, name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Environment, ConfigError> {
        let stated = self.environments.get(name).ok_or_else(|| self.no_environment(name))?;
        let expanded = |value: &Option<Spanned<String>>| value.as_ref().map(|v| self.expand(v, variable)).transpose();
        let folder = Path::new(&self.path).parent().unwrap_or(Path::new(""));
        Ok(Environment {
            url: expanded(&stated.url)?,
            direct_url: expanded(&stated.direct_url)?,
            schema: expanded(&stated.schema)?.map(|s| beside(folder, &s)),
            shadow: expanded(&stated.shadow)?,
            owner: stated.owner.clone(),
            max_age: stated.max_age,
            require_approval: stated.require_approval,
        })
    }

    fn no_environment(&self, name: &str) -> ConfigError {
        let known = self.environments();
        let help = match (nearest(name, &known), known.is_empty()) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, true) => format!("there is none: add [env.{name}] with url = \"...\" to {}", self.path),
            (None, false) => format!("there are: {}", known.join(", ")),
        };
        let message = format!("{} has no environment \"{name}\"", self.path);
        ConfigError { help: Some(help.into()), ..self.error("config::environment", message, None) }
    }

    fn error(&self, code: &'static str, message: String, span: Option<Range<usize>>) -> ConfigError {
        let (path, text) = (self.path.as_str().into(), self.text.as_str().into());
        ConfigError { code, message: message.into(), path, text, span, label: "", help: None }
    }

    /// `${NAME}` in a value becomes what the variable holds; any other `$` stays.
    fn expand(&self, value: &Spanned<String>, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
        let mut expanded = String::new();
        let mut rest = value.as_ref().as_str();
        while let Some(start) = rest.find("${") {
            let Some(end) = rest[start..].find('}') else { break };
            let name = &rest[start + 2..start + end];
            expanded += &rest[..start];
            expanded += &variable(name).ok_or_else(|| self.not_set(name, value.span()))?;
            rest = &rest[start + end + 1..];
        }
        Ok(expanded + rest)
    }

    fn not_set(&self, name: &str, span: Range<usize>) -> ConfigError {
        // The place of the name inside the value, where it is written plainly.
        let found = self.text.get(span.clone()).and_then(|t| t.find(&format!("${{{name}}}")));
        let span = found.map_or(span.clone(), |at| span.start + at..span.start + at + name.len() + 3);
        ConfigError {
            label: "not set",
            help: Some(format!("set it where plumb runs: export {name}=...").into()),
            ..self.error("config::variable", format!("environment variable {name} is not set"), Some(span))
        }
    }
}

/// The reader's error in plumb's words.
fn understood(path: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let said = error.message();
    let bare = ConfigError {
        code: "config::syntax",
        message: said.lines().next().unwrap_or_default().into(),
        path: path.into(),
        text: text.into(),
        span: error.span(),
        label: "here",
        help: None,
    };
    if said.starts_with("unknown field") {
        // serde says: unknown field `x`, expected one of `a`, `b`
        let mut words = said.split('`').skip(1).step_by(2);
        let key = words.next().unwrap_or_default();
        let known: Vec<&str> = words.collect();
        let help =
            nearest(key, &known).map_or_else(|| format!("known here: {}", known.join(", ")), |n| format!("did you mean `{n}`?"));
        let message = format!("unknown key `{key}`").into();
        return ConfigError { code: "config::unknown_key", message, label: "no such key", help: Some(help.into()), ..bare };
    }
    if said.starts_with("unknown variant") {
        // serde says: unknown variant `x`, expected one of `a`, `b`
        let mut words = said.split('`').skip(1).step_by(2);
        let message = format!("\"{}\" is no such value", words.next().unwrap_or_default()).into();
        let help = format!("write one of: {}", words.collect::<Vec<_>>().join(", "));
        return ConfigError { code: "config::value", message, label: "this value", help: Some(help.into()), ..bare };
    }
    if said.starts_with("invalid") || VALUES.iter().any(|words| said.contains(words)) {
        return ConfigError { code: "config::value", label: "this value", ..bare };
    }
    bare
}

/// Words of errors in values that have a form of their own.
const VALUES: &[&str] = &[durations::WRONG, deploying::WRONG_KEY, deploying::WRONG_NUMBER, deploying::WRONG_HOOK];

/// The known word that was probably meant.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let like = |k: &&str| strsim::damerau_levenshtein(word, k);
    known.iter().copied().min_by_key(like).filter(|k| like(k) <= 1 + word.len().max(k.len()) / 4)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
