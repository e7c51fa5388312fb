//! Which changes are made in their longer form, that lets others work.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// When a change takes its online form, where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Online {
    /// On every table that stands.
    Always,
    /// On tables that hold rows.
    #[default]
    Auto,
    /// Nowhere: a plan is one transaction where the server allows that.
    Never,
}

impl FromStr for Online {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Online, Self::Err> {
        match text {
            "always" => Ok(Online::Always),
            "auto" => Ok(Online::Auto),
            "never" => Ok(Online::Never),
            _ => Err("it is always, auto or never"),
        }
    }
}
