//! The vectors of one partition in one piece of memory, searched from the first to the last.
//!
//! A partition is small, so looking at every vector is exact and takes less than a millisecond; the first pass reads
//! a byte per number, because reading memory is what takes the time.

use embedding::Vector;

/// How many of the first pass's best are looked at again exactly: rounding to bytes changes the order of near ones.
const SHORTLIST: usize = 96;

/// A byte holds a number of a unit vector up to this size; larger ones are rare and cut off.
const SCALE: f32 = 254.0;

/// Vectors of the same length, by their number.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    dimensions: usize,
    exact: Vec<f32>,
    rough: Vec<i8>,
}

impl Vectors {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.exact.len().checked_div(self.dimensions).unwrap_or(0)
    }

    pub(crate) const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds one; one of another length than the first is not taken.
    pub(crate) fn push(&mut self, vector: &Vector) -> bool {
        let values = vector.values();
        if self.dimensions == 0 {
            self.dimensions = values.len();
        }
        if values.len() != self.dimensions {
            return false;
        }
        self.exact.extend_from_slice(values);
        self.rough.extend(values.iter().map(|value| rough(*value)));
        true
    }

    pub(crate) fn get(&self, number: usize) -> &[f32] {
        let from = number * self.dimensions;
        self.exact
            .get(from..from + self.dimensions)
            .unwrap_or_default()
    }

    /// The nearest ones that `wanted` lets through, with their cosines, the nearest first.
    pub(crate) fn nearest(
        &self,
        to: &Vector,
        count: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<(usize, f32)> {
        if to.values().len() != self.dimensions || self.dimensions == 0 {
            return Vec::new();
        }
        let rough_to: Vec<i8> = to.values().iter().map(|value| rough(*value)).collect();
        let mut roughly: Vec<(i32, usize)> = self
            .rough
            .chunks_exact(self.dimensions)
            .enumerate()
            .filter(|(number, _)| wanted(*number))
            .map(|(number, row)| (rough_product(row, &rough_to), number))
            .collect();
        let kept = SHORTLIST.max(count);
        if roughly.len() > kept {
            roughly.select_nth_unstable_by(kept, |a, b| b.cmp(a));
            roughly.truncate(kept);
        }
        let mut nearest: Vec<(usize, f32)> = roughly
            .into_iter()
            .map(|(_, number)| (number, product(self.get(number), to.values())))
            .collect();
        nearest.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        nearest.truncate(count);
        nearest
    }
}

/// The scalar product: of unit vectors, the cosine.
pub(crate) fn product(one: &[f32], other: &[f32]) -> f32 {
    // Eight sums side by side: one alone would wait for each addition.
    let mut sums = [0.0_f32; 8];
    let (one_chunks, other_chunks) = (one.chunks_exact(8), other.chunks_exact(8));
    let rest: f32 = one_chunks
        .remainder()
        .iter()
        .zip(other_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in one_chunks.zip(other_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn rough_product(one: &[i8], other: &[i8]) -> i32 {
    one.iter()
        .zip(other)
        .map(|(a, b)| i32::from(i16::from(*a) * i16::from(*b)))
        .sum()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a conversion from float to integer saturates"
)]
fn rough(value: f32) -> i8 {
    (value * SCALE).round() as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_found_in_their_order_and_only_those_that_are_wanted() {
        let mut vectors = Vectors::default();
        for degrees in 0..90_u8 {
            let angle = f32::from(degrees).to_radians();
            assert!(vectors.push(&Vector::new(vec![angle.cos(), angle.sin()]).unwrap()));
        }
        let to = Vector::new(vec![1.0, 0.0]).unwrap();
        let found = vectors.nearest(&to, 3, |number| number % 2 == 1);
        let numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 3, 5]);
        assert!(
            !vectors.push(&Vector::new(vec![1.0]).unwrap()),
            "another length"
        );
        assert_eq!(vectors.len(), 90);
    }
}
