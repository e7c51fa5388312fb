//! Random numbers that a printed seed brings back.

pub struct Random(u64);

impl Random {
    /// Of `PLUMB_SEED`, else of the clock.
    pub fn seeded() -> (Random, u64) {
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let seed = std::env::var("PLUMB_SEED").ok().map_or_else(clock, |s| s.parse().expect("PLUMB_SEED is a number"));
        (Random::new(seed), seed)
    }

    /// Of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }

    /// `n` of the list, in the list's order.
    pub fn sample<T>(&mut self, mut list: Vec<T>, n: usize) -> Vec<T> {
        while list.len() > n {
            let i = self.below(list.len());
            list.remove(i);
        }
        list
    }
}
