//! What separates the answers of one partition: Fisher's linear discriminant over its questions' vectors.
//!
//! The embedder's directions matter differently in each partition: in a bank's help desk "card" separates nothing. The
//! scatter of questions that share an answer says which differences do not matter, and the discriminant measures
//! a question's distance to each answer without them. It is computed in the background from running sums, and
//! what decides is only the difference between the two best answers.
//!
//! (R. A. Fisher, "The use of multiple measurements in taxonomic problems", 1936; the scatter is shrunk towards
//! a sphere as in O. Ledoit and M. Wolf, 2004, by a fixed share.)

use std::collections::HashMap;

use super::answers::{Answers, Class};
use super::vectors::product;

/// Questions below which the scatter says more about chance than about them.
pub(crate) const QUESTIONS_MIN: usize = 150;

/// How much of a sphere the scatter is mixed with: there are more numbers in it than questions.
const SHRINKAGE: f64 = 0.15;

/// Questions that an answer needs for its middle to be known; it is drawn towards the middle of all by one more.
const CLASS_QUESTIONS_MIN: u32 = 2;

/// The most classes that are computed: the largest ones. The work grows with them.
const CLASSES_MAX: usize = 1000;

/// Scores of answers: a direction and an offset for each.
#[derive(Debug)]
pub(crate) struct Discriminant {
    directions: HashMap<Class, (Vec<f32>, f32)>,
}

/// The sums that it is computed from, taken while nobody writes.
#[derive(Debug)]
pub(crate) struct Sums {
    /// The sum of all vectors' outer products, row by row.
    pub(crate) scatter: Vec<f32>,
    /// The sum of each answer's vectors, and how many they are.
    pub(crate) classes: Vec<(Class, Vec<f32>, u32)>,
}

impl Discriminant {
    /// Takes some tens of milliseconds for a full partition; to be done where nobody waits.
    pub(crate) fn of(sums: &Sums, dimensions: usize) -> Option<Self> {
        let within = within(sums, dimensions)?;
        let factor = cholesky(within, dimensions)?;
        let questions: u32 = sums.classes.iter().map(|(_, _, count)| count).sum();
        let mut middle = vec![0.0; dimensions];
        for (_, sum, _) in &sums.classes {
            add(&mut middle, sum);
        }
        scale(&mut middle, f64::from(questions).recip());

        let mut largest: Vec<_> = sums
            .classes
            .iter()
            .filter(|(_, _, count)| *count >= CLASS_QUESTIONS_MIN)
            .collect();
        largest.sort_unstable_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        let directions = largest
            .into_iter()
            .take(CLASSES_MAX)
            .map(|(class, sum, count)| {
                let mut mean = middle.clone();
                add(&mut mean, sum);
                scale(&mut mean, (f64::from(*count) + 1.0).recip());
                (*class, direction(&factor, &mean, dimensions))
            });
        Some(Self {
            directions: directions.collect(),
        })
    }

    /// How much better a class fits than the best other one; `None` where it is not known.
    pub(crate) fn margin(&self, vector: &[f32], class: Class, answers: &Answers) -> Option<f32> {
        let (mut own, mut other) = (None::<f32>, None::<f32>);
        for (other_class, (direction, offset)) in &self.directions {
            let score = product(direction, vector) + offset;
            let best = if answers.root(*other_class) == class {
                &mut own
            } else {
                &mut other
            };
            *best = Some(best.map_or(score, |best| best.max(score)));
        }
        Some(own? - other?)
    }
}

/// The scatter around the answers' own middles, shrunk towards a sphere; per question.
fn within(sums: &Sums, dimensions: usize) -> Option<Vec<f64>> {
    let mut within: Vec<f64> = sums.scatter.iter().map(|value| f64::from(*value)).collect();
    if within.len() != dimensions * dimensions {
        return None;
    }
    let mut questions = 0;
    for (_, sum, count) in &sums.classes {
        questions += count;
        subtract_outer(&mut within, sum, f64::from(*count).recip());
    }
    let degrees = f64::from(questions).max(1.0);
    let diagonal = || (0..dimensions).map(|at| at * dimensions + at);
    let trace: f64 = diagonal().filter_map(|at| within.get(at)).sum();
    let sphere = SHRINKAGE * trace / f64::from(u32::try_from(dimensions).ok()?) / degrees;
    for value in &mut within {
        *value *= (1.0 - SHRINKAGE) / degrees;
    }
    for at in diagonal() {
        *within.get_mut(at)? += sphere;
    }
    Some(within)
}

fn subtract_outer(matrix: &mut [f64], vector: &[f32], factor: f64) {
    for (row, a) in matrix.chunks_exact_mut(vector.len().max(1)).zip(vector) {
        let a = f64::from(*a) * factor;
        for (value, b) in row.iter_mut().zip(vector) {
            *value -= a * f64::from(*b);
        }
    }
}

/// The lower triangle whose product with its transpose is the matrix; `None` unless it is positive definite.
fn cholesky(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for row in 0..size {
        let (above, below) = matrix.split_at_mut(row * size);
        let own = below.get_mut(..size)?;
        for column in 0..row {
            let upper = above.get(column * size..column * size + column + 1)?;
            let (diagonal, upper) = upper.split_last()?;
            let (left, rest) = own.split_at_mut(column);
            let sum: f64 = upper.iter().zip(left.iter()).map(|(a, b)| a * b).sum();
            let value = rest.first_mut()?;
            *value = (*value - sum) / diagonal;
        }
        let (left, rest) = own.split_at_mut(row);
        let sum: f64 = left.iter().map(|a| a * a).sum();
        let diagonal = rest.first_mut()?;
        let square = *diagonal - sum;
        // A square that is not a positive number has no root.
        if square.partial_cmp(&1e-12) != Some(std::cmp::Ordering::Greater) {
            return None;
        }
        *diagonal = square.sqrt();
    }
    Some(matrix)
}

/// The direction in which a mean is told from others, and the offset that goes with it.
fn direction(factor: &[f64], mean: &[f64], size: usize) -> (Vec<f32>, f32) {
    let solved = solve(factor, mean, size);
    let offset: f64 = solved.iter().zip(mean).map(|(a, b)| a * b).sum::<f64>() * -0.5;
    (
        solved.iter().map(|value| narrow(*value)).collect(),
        narrow(offset),
    )
}

/// Solves the system of a Cholesky factor: forwards, then backwards.
fn solve(factor: &[f64], right: &[f64], size: usize) -> Vec<f64> {
    let at = |row: usize, column: usize| factor.get(row * size + column).copied().unwrap_or(1.0);
    let mut solved = right.to_vec();
    for row in 0..size {
        let (done, rest) = solved.split_at_mut(row);
        let own = factor.get(row * size..row * size + row).unwrap_or_default();
        let sum: f64 = own.iter().zip(done.iter()).map(|(a, b)| a * b).sum();
        if let Some(value) = rest.first_mut() {
            *value = (*value - sum) / at(row, row);
        }
    }
    for row in (0..size).rev() {
        let (left, rest) = solved.split_at_mut(row);
        let Some(value) = rest.first_mut() else {
            continue;
        };
        *value /= at(row, row);
        let own = factor.get(row * size..row * size + row).unwrap_or_default();
        for (other, factor) in left.iter_mut().zip(own) {
            *other -= factor * *value;
        }
    }
    solved
}

fn add(sum: &mut [f64], vector: &[f32]) {
    for (total, value) in sum.iter_mut().zip(vector) {
        *total += f64::from(*value);
    }
}

fn scale(vector: &mut [f64], factor: f64) {
    for value in vector {
        *value *= factor;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the vectors are no more exact than this"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use types::{Id, TestClock};

    use super::*;

    #[test]
    fn what_varies_within_an_answer_does_not_separate_answers() {
        let clock = TestClock::at("2026-11-22T10:00:00Z");
        let mut answers = Answers::default();
        let wording = std::sync::Arc::new(super::super::equality::Wording::of("", None));
        let classes = [
            answers.class_of(Id::new(&clock)),
            answers.class_of(Id::new(&clock)),
        ];
        let mut scatter = vec![0.0; 4];
        // The first number says which answer it is, a little; the second one varies a lot and says nothing.
        for (class, side) in classes.iter().zip([-0.1_f32, 0.1]) {
            for noise in [-0.9, -0.5, -0.1, 0.1, 0.5, 0.9] {
                let vector = [side + noise * 0.01, noise];
                answers.add(*class, &vector, &wording);
                for (row, a) in scatter.chunks_exact_mut(2).zip(vector) {
                    row[0] += a * vector[0];
                    row[1] += a * vector[1];
                }
            }
        }
        let sums = Sums {
            scatter,
            classes: answers
                .sums()
                .map(|(class, sum, count)| (class, sum.to_vec(), count))
                .collect(),
        };
        let discriminant = Discriminant::of(&sums, 2).unwrap();
        for noise in [-0.8, 0.0, 0.8] {
            let margin = discriminant.margin(&[0.1, noise], classes[1], &answers);
            assert!(margin.unwrap() > 0.0, "{noise}");
        }
        assert!(
            Discriminant::of(
                &Sums {
                    scatter: vec![0.0; 4],
                    classes: Vec::new()
                },
                2
            )
            .is_none()
        );
    }
}
