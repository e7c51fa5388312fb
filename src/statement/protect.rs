//! Whether what holds rows or values is taken away at once.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What becomes of tables and columns that are not wanted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protect {
    /// They are dropped.
    #[default]
    None,
    /// They are put aside with what they hold, out of everybody's reach, until somebody purges them.
    Quarantine,
}

impl FromStr for Protect {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Protect, Self::Err> {
        match text {
            "none" => Ok(Protect::None),
            "quarantine" => Ok(Protect::Quarantine),
            _ => Err("it is quarantine or none"),
        }
    }
}
