//! What the size of a relation makes of a hazard: the same change is not the same on an empty table.

use super::Level;
use crate::catalog::Magnitude;

/// The level that a rule's level becomes; none where nobody would notice. What nobody has counted yet counts as large, and of
/// several relations the largest.
pub fn level(rule: Level, magnitudes: &[Option<Magnitude>]) -> Option<Level> {
    let largest = magnitudes.iter().map(|m| m.unwrap_or(Magnitude::Large)).max()?;
    match largest {
        Magnitude::Empty => None,
        Magnitude::Small => Some(Level::Note),
        Magnitude::Large => Some(rule),
        Magnitude::Huge => Some(Level::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_decides() {
        let of = |list: &[Option<Magnitude>]| level(Level::Warning, list);
        assert_eq!(of(&[Some(Magnitude::Empty)]), None);
        assert_eq!(of(&[Some(Magnitude::Small), Some(Magnitude::Empty)]), Some(Level::Note));
        assert_eq!(of(&[Some(Magnitude::Large)]), Some(Level::Warning));
        assert_eq!(of(&[None, Some(Magnitude::Empty)]), Some(Level::Warning));
        assert_eq!(of(&[Some(Magnitude::Huge), None]), Some(Level::Refused));
    }
}
