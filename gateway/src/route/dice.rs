//! The chance in routing: numbers that follow from the request's id, so that a request can be replayed.

use types::Id;
use types::id::Request;

/// A sequence of numbers that look random; the same for the same request.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The dice of a request. The low half of a `UUIDv7` is random.
    pub(crate) const fn of(request: Id<Request>) -> Self {
        let (_, low) = request.uuid().as_u64_pair();
        Self { state: low }
    }

    /// A number below the bound, which must not be 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The bias of a remainder is below 1 in 2⁴⁰ for any sum of weights.
        self.roll() % bound.max(1)
    }

    /// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }
}

/// Spreads every bit of a number over all bits.
pub(super) const fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_rolls_the_same_and_every_number_comes_up() {
        let id: Id<Request> = "01993752-0000-7000-8000-0123456789ab".parse().unwrap();
        let rolls = |dice: &mut Dice| -> Vec<u64> { (0..600).map(|_| dice.below(6)).collect() };
        let first = rolls(&mut Dice::of(id));
        assert_eq!(first, rolls(&mut Dice::of(id)));
        for number in 0..6 {
            let count = first.iter().filter(|roll| **roll == number).count();
            assert!((60..140).contains(&count), "{number} came up {count} times");
        }
    }
}
