//! Durations as people write them: `2s`, `500ms`, `1m`, `12h`, `7d`.

use serde::Deserialize;
use std::time::Duration;

/// What is said of a text that is none.
pub(super) const WRONG: &str = "is no duration";

/// Units of time in seconds.
const UNITS: &[(&str, f64)] = &[("ms", 0.001), ("", 1.0), ("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0)];

/// A duration: `2s`, `500ms`, `1m`, `12h`, `7d`, or seconds.
///
/// # Errors
/// A sentence that says how it is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" {WRONG}: write 2s, 500ms, 1m, 12h or 7d");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// One in a configuration.
pub(super) fn optional_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("500ms", 0.5), ("1m", 60.0), ("2", 2.0), ("1.5 s", 1.5), ("12h", 43_200.0), ("7d", 604_800.0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["soon", "2 weeks", "", "-1s", "99999999999999999999d"] {
            assert!(duration(text).is_err_and(|e| e.contains("12h")), "{text}");
        }
    }
}
