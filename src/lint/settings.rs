//! `[lint]` of plumb.toml: a level for any rule, and what the rules have to be told.

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::{RULES, Rule};
use crate::report::Level;

/// `[lint]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    levels: BTreeMap<&'static str, Level>,
    /// The column that every table of a tenant has.
    pub tenant_column: Option<String>,
    /// The schemas whose tables have it; all when none are named.
    pub tenant_schemas: Vec<String>,
    /// Tables of these schemas that every tenant shares: `plans`, `app.plans`.
    pub tenant_exempt: Vec<String>,
}

impl Settings {
    /// The level of a rule.
    pub fn level(&self, rule: &Rule) -> Level {
        self.levels.get(rule.code).copied().unwrap_or(rule.level)
    }
}

/// Keys that are no rules.
const TENANT: [&str; 3] = ["tenant_column", "tenant_schemas", "tenant_exempt"];

static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| RULES.iter().map(|r| r.code).chain(TENANT).collect());

/// A key of `[lint]`: read as a type of its own, so that the reader of TOML knows the place of one that there is not.
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known: &'static [&'static str] = &KEYS;
        known.iter().find(|k| **k == text).map(|k| Key(k)).ok_or_else(|| Error::unknown_field(&text, known))
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rules with their levels")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Settings, M::Error> {
        let mut settings = Settings::default();
        while let Some(Key(key)) = map.next_key()? {
            match key {
                "tenant_column" => settings.tenant_column = Some(map.next_value()?),
                "tenant_schemas" => settings.tenant_schemas = map.next_value()?,
                "tenant_exempt" => settings.tenant_exempt = map.next_value()?,
                rule => drop(settings.levels.insert(rule, map.next_value()?)),
            }
        }
        Ok(settings)
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}
