//! What `plumb purge` is told.

use clap::{Args, ValueEnum};
use std::time::Duration;

use super::arguments::Database;
use crate::config::duration;

/// `plumb purge`.
#[derive(Args, Debug)]
pub struct PurgeOptions {
    #[command(flatten)]
    pub database: Database,
    /// Drop what was put aside longer ago than this: 30d, 12h; `0d` for all of it. Without it nothing is dropped, and what is
    /// there is listed.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// How long a statement waits for a lock before it gives way [default: the configuration's, then 2s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub lock_timeout: Option<Duration>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = PurgeFormat::Text)]
    pub format: PurgeFormat,
}

/// The forms of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PurgeFormat {
    /// For a person.
    Text,
    /// For a machine.
    Json,
}

/// `30d`, `12h`, or what any other duration is; a number alone is too easily days to one and seconds to another.
fn age(text: &str) -> Result<Duration, String> {
    match text.ends_with(|c: char| c.is_ascii_digit()) {
        true => Err(format!("\"{text}\" has no unit: write 30d or 12h")),
        false => duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        assert_eq!(age("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["30", "d", "-1d", "", "soon", "99999999999999999999d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
