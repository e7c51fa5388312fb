//! The server's version.

use std::fmt;

/// A server version as `server_version_num` gives it: 160004 is 16.4 (manual: 20.15 "Preset Options").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl Version {
    /// The oldest major version plumb reads.
    pub const OLDEST: u32 = 14;

    /// The newest major version plumb knows the catalogs of.
    pub const NEWEST: u32 = 18;

    /// The major version: 16 of 16.4.
    pub fn major(self) -> u32 {
        self.0 / 10_000
    }

    /// The minor release: 4 of 16.4.
    pub fn minor(self) -> u32 {
        self.0 % 10_000
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 100_000 {
            write!(f, "{}.{}.{}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
        } else {
            write!(f, "{}.{}", self.major(), self.minor())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_the_release_name() {
        assert_eq!(Version(160_004).to_string(), "16.4");
        assert_eq!(Version(150_018).major(), 15);
        assert_eq!(Version(90_624).to_string(), "9.6.24");
        assert!(Version(140_000) < Version(180_001));
    }
}
