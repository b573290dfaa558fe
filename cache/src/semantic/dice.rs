//! Which would-be hits are audited: a random share, from a seed, so that a run can be repeated.

use std::sync::atomic::{AtomicU64, Ordering};

/// Steps of the `SplitMix64` sequence (Steele, Lea and Flood, 2014): cheap, and without a lock.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of random decisions.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// True with this probability.
    pub(crate) fn comes_up(&self, share: f64) -> bool {
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // 32 bits are held exactly by the float.
        let drawn = f64::from(u32::try_from(bits >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        drawn < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_met_and_a_seed_repeats_itself() {
        let draw = |seed| {
            let dice = Dice::new(seed);
            (0..10_000).map(|_| dice.comes_up(0.05)).collect::<Vec<_>>()
        };
        let count = draw(1).iter().filter(|drawn| **drawn).count();
        assert!((400..600).contains(&count), "{count}");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
