//! The name of a schema that plumb makes.

use serde::Deserialize;

/// A schema that is made, and others beside it whose names end in a number.
pub(super) fn optional<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let taken = ["plumb", "public", "information_schema"].contains(&text.as_str()) || text.starts_with("pg_");
    let fits = !text.is_empty() && text.len() <= 59 && !text.contains('\0');
    match (fits, taken) {
        (true, false) => Ok(Some(text)),
        (true, true) => Err(serde::de::Error::custom(format!("invalid schema: {text} has another use"))),
        (false, _) => Err(serde::de::Error::custom("invalid schema: its name has 1 to 59 bytes")),
    }
}
