//! stub until config lands
use std::collections::BTreeMap;
/// Config
#[derive(Debug, Clone)]
pub struct Config {
    /// s
    pub schema: String,
    /// p
    pub plans: String,
    /// o
    pub owner: Option<String>,
    /// s
    pub shadow: Option<String>,
    /// s
    pub scope: Scope,
    /// s
    pub screen: Screen,
    /// e
    pub env: BTreeMap<String, Environment>,
}
/// S
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// s
    pub schemas: Vec<String>,
}
/// S
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// a
    pub allow_do: bool,
    /// l
    pub allow_languages: Vec<String>,
}
/// E
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// u
    pub url: Option<String>,
    /// s
    pub schema: Option<String>,
}
/// E
#[derive(Debug, thiserror::Error)]
#[error("config")]
pub struct ConfigError;
/// l
pub fn load(_: Option<&std::path::Path>) -> Result<Config, ConfigError> {
    Ok(Config {
        schema: "schema".into(),
        plans: "plans".into(),
        owner: None,
        shadow: None,
        scope: Scope::default(),
        screen: Screen::default(),
        env: BTreeMap::new(),
    })
}
