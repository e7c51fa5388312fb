//! How much a relation holds: the server's own estimates, and the sizes of which only the order matters.

use serde::{Deserialize, Serialize};

/// The server's estimate of a relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// How many rows; none when nobody has counted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How many bytes its rows take, without indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What else the server knows of a table: what a change of it has to take along, and how busy it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// How many indexes it has.
    pub indexes: u64,
    /// How many bytes these take.
    pub index_bytes: u64,
    /// When it was last vacuumed, by whomever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vacuumed: Option<String>,
    /// When it was last analyzed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzed: Option<String>,
    /// How many rows are written in a second, on average since the statistics were reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<f64>,
}

/// A size of which only the order matters, so that a plan stays the same while a table grows by a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Magnitude {
    /// No rows.
    Empty,
    /// Fewer than 10,000 rows and less than 100 MB.
    Small,
    /// More than that.
    Large,
    /// 10 million rows, or 10 GB, or more.
    Huge,
}

/// From how many rows and bytes on a relation is of this magnitude.
const FROM: &[(Magnitude, u64, u64)] = &[
    (Magnitude::Huge, 10_000_000, 10_000_000_000),
    (Magnitude::Large, 10_000, 100_000_000),
    // A table that had rows keeps pages, and these are read too.
    (Magnitude::Small, 1, 1_000_000),
];

impl Size {
    /// Its magnitude; none when the rows are not known.
    pub fn magnitude(self) -> Option<Magnitude> {
        let (rows, bytes) = (self.rows?, self.bytes.unwrap_or_default());
        let found = FROM.iter().find(|(_, from_rows, from_bytes)| rows >= *from_rows || bytes >= *from_bytes);
        Some(found.map_or(Magnitude::Empty, |(magnitude, ..)| *magnitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_more_is_the_same_magnitude() {
        let of = |rows, bytes| Size { rows: Some(rows), bytes: Some(bytes) }.magnitude();
        assert_eq!(of(0, 8192), Some(Magnitude::Empty));
        assert_eq!(of(0, 2_000_000), Some(Magnitude::Small));
        assert_eq!((of(1, 0), of(9_999, 0)), (Some(Magnitude::Small), Some(Magnitude::Small)));
        assert_eq!((of(10_000, 0), of(9_999_999, 0)), (Some(Magnitude::Large), Some(Magnitude::Large)));
        assert_eq!((of(10_000_000, 0), of(3, 10_000_000_000)), (Some(Magnitude::Huge), Some(Magnitude::Huge)));
        assert_eq!(Size::default().magnitude(), None);
    }
}
