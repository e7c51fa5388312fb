//! What `plumb purge` is told.

use clap::{Args, ValueEnum};
use std::time::Duration;

use super::arguments::{Database, duration};

/// `plumb purge`.
#[derive(Args, Debug)]
pub struct PurgeOptions {
    #[command(flatten)]
    pub database: Database,
    /// Drop what was put aside longer ago than this: 30d, 12h, 2w; `0d` for all of it. Without it nothing is dropped, and what is
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

/// `30d`, `2w`, `12h`, or what any other duration is.
fn age(text: &str) -> Result<Duration, String> {
    let days = |number: &str, each: u64| {
        let number = number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(each * 3600));
        number.map(Duration::from_secs).ok_or_else(|| format!("\"{text}\" is no age: write 30d, 2w or 12h"))
    };
    match text.char_indices().next_back() {
        Some((at, 'd')) => days(&text[..at], 24),
        Some((at, 'w')) => days(&text[..at], 24 * 7),
        Some((at, 'h')) => days(&text[..at], 1),
        _ if text.ends_with(|c: char| c.is_ascii_digit()) => Err(format!("\"{text}\" has no unit: write 30d, 2w or 12h")),
        _ => duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        assert_eq!(age("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        assert_eq!(age("2w"), Ok(Duration::from_secs(14 * 24 * 3600)));
        assert_eq!(age("12h"), Ok(Duration::from_secs(12 * 3600)));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["30", "d", "-1d", "", "soon", "99999999999999999999d", "9999999999999999999w"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
