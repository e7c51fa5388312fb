//! Pairs of schemas at random: a model of a schema as data, things to put into it, mutations, and the way to the smallest pair
//! that fails in the same way. The same seed brings the same pair.

mod cast;
mod make;
mod model;
mod mutate;
mod names;
mod parts;
mod refs;
mod render;
mod rows;
mod shrink;
mod sound;
mod tables;

pub use model::{Model, ROLES};
pub use shrink::shrink;

use super::support::random::Random;

/// Two states of one schema.
#[derive(Clone)]
pub struct Pair {
    pub before: Model,
    pub after: Model,
}

impl Pair {
    /// The pair of a seed.
    pub fn of(seed: u64) -> Pair {
        let mut random = Random::new(seed);
        let before = make::model(&mut random);
        let mut after = before.clone();
        for _ in 0..3 + random.below(7) {
            mutate::mutate(&mut after, &mut random);
        }
        let mut pair = Pair { before, after };
        pair.cast();
        pair
    }
}
