//! Days of the calendar, written `2027-01-31`: as texts they sort as days do.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether the text is a day that there is.
pub fn is_day(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| text.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else { return false };
    (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day of a moment, in UTC.
pub fn day(moment: SystemTime) -> String {
    let mut left = moment.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() / 86_400);
    let mut year = 1970;
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    while left >= days_in(year, month) {
        left -= days_in(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// A moment as RFC 3339 has it, in UTC: `2027-01-31T09:30:00.250Z`.
pub fn moment(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", day(moment), since.subsec_millis())
}

/// The moment of such a text; none of any other.
pub fn instant(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T')?;
    let time = time.strip_suffix('Z').filter(|_| is_day(date))?;
    let (clock, milliseconds) = time.split_once('.')?;
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok().filter(|_| part.len() == 2)).collect::<Option<_>>()?;
    let [hour, minute, second] = parts[..] else { return None };
    let milliseconds: u64 = milliseconds.parse().ok().filter(|_| milliseconds.len() == 3)?;
    let numbers: Vec<u64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = numbers[..] else { return None };
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let days = years + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    (year >= 1970 && hour < 24 && minute < 60 && second < 60)
        .then(|| UNIX_EPOCH + Duration::from_millis(seconds * 1000 + milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_there_are() {
        for day in ["2027-01-31", "2028-02-29", "2000-02-29"] {
            assert!(is_day(day), "{day}");
        }
        for no_day in ["2027-02-29", "1900-02-29", "2027-13-01", "2027-00-10", "2027-1-1", "soon", "2027-01-00", "20é7-01-1"] {
            assert!(!is_day(no_day), "{no_day}");
        }
    }

    #[test]
    fn moments_have_days() {
        let at = |seconds| day(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01");
        assert_eq!(at(951_782_400 - 1), "2000-02-28");
        assert_eq!(at(951_782_400), "2000-02-29");
        assert_eq!(at(1_795_219_200), "2026-11-21");
        let exact = Duration::from_millis(951_782_400_000 - 250);
        assert_eq!(moment(UNIX_EPOCH + exact), "2000-02-28T23:59:59.750Z");
        for at in [exact, Duration::ZERO, Duration::from_millis(1_795_219_200_001), Duration::from_millis(951_782_400_000)] {
            assert_eq!(instant(&moment(UNIX_EPOCH + at)), Some(UNIX_EPOCH + at));
        }
        for none in [
            "",
            "2027-01-31",
            "2027-02-30T00:00:00.000Z",
            "2027-01-31T24:00:00.000Z",
            "2027-01-31T0:00:00.000Z",
            "1969-01-01T00:00:00.000Z",
        ] {
            assert_eq!(instant(none), None, "{none}");
        }
    }
}
