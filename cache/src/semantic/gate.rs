//! Whether the nearest question's answer may be given: the one place that decides.
//!
//! Two ways lead through. A question that is another one *reworded*, so that every word is accounted for, needs
//! nothing else. For the others the three nearest must share one answer, and a *score* must reach the cut: the log odds,
//! estimated from the geometry of the neighbourhood, that the answer is right. Nothing in it depends on what
//! the questions are about. A veto of the guard is final, except that it may be another one of the three that the
//! question is like.

use super::answers::Class;

/// Neighbours that are looked at.
pub(crate) const NEIGHBOURS: usize = 40;

/// Neighbours among which shares are counted.
const NEAR: usize = 20;

/// The nearest ones that must agree.
pub(crate) const CONSENSUS: usize = 3;

/// What an absent neighbour counts as: two questions of one partition are hardly ever less alike.
const FAR: f32 = 0.3;

/// The discriminant's margin counts up to here in both directions.
const MARGIN_MAX: f32 = 20.0;

/// How much each feature counts, and the offset: a logistic regression of "the answer is right" on would-be hits of half
/// the classes of banking77, in a prototype with an oracle for equal answers; the other half was looked at for comparison.
/// `loadtest cache-eval --features` writes what such a regression is fitted to. A regression on a whole replay was no better.
const WEIGHTS: [f32; Features::COUNT] = [13.70, 5.35, 0.75, -12.72, 6.55, 1.24, 0.0354, -0.7347];
const OFFSET: f32 = -0.85;

/// The score from which on answers are given when one in a hundred may be wrong, before labels say better.
const PRIOR_CUT: f32 = 3.5;

/// The score of a reworded question: beyond every cut.
pub(crate) const REWORDED: f32 = 12.0;

/// The least cosine of a reworded question. It is a check of the embedder more than of the question.
pub(crate) const REWORDED_COSINE_MIN: f32 = 0.6;

/// A question near the one asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    /// Its number in the shard.
    pub(crate) number: usize,
    pub(crate) cosine: f32,
    pub(crate) class: Class,
}

/// What the neighbourhood looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Features(pub(crate) [f32; Self::COUNT]);

impl Features {
    pub(crate) const COUNT: usize = 8;

    /// `foreign` has, for each of the three nearest of the answer, the cosine to the nearest one of another answer.
    /// `None` where there is no neighbour.
    pub(crate) fn of(
        neighbours: &[Neighbour],
        foreign: &[f32],
        margin: Option<f32>,
    ) -> Option<Self> {
        let first = neighbours.first()?;
        let near = neighbours.get(..NEAR).unwrap_or(neighbours);
        let other = near.iter().find(|other| other.class != first.class);
        let other = other.map_or(FAR, |other| other.cosine.max(FAR));
        let run = neighbours
            .iter()
            .take_while(|next| next.class == first.class)
            .count();
        let share = near.iter().filter(|next| next.class == first.class).count();
        let foreign_max = foreign.iter().copied().fold(FAR, f32::max);
        let foreign_mean =
            foreign.iter().map(|cosine| cosine.max(FAR)).sum::<f32>() / float(foreign.len().max(1));
        Some(Self([
            first.cosine,
            first.cosine - other,
            float(run).ln(),
            if foreign.is_empty() {
                FAR
            } else {
                foreign_mean
            },
            foreign_max - first.cosine,
            float(share) / float(near.len()),
            margin.unwrap_or(0.0).clamp(-MARGIN_MAX, MARGIN_MAX),
            if margin.is_some() { 1.0 } else { 0.0 },
        ]))
    }

    /// The log odds that the answer is right.
    pub(crate) fn score(&self) -> f32 {
        self.0
            .iter()
            .zip(WEIGHTS)
            .map(|(feature, weight)| feature * weight)
            .sum::<f32>()
            + OFFSET
    }
}

/// Whether the three nearest share one answer.
pub(crate) fn agree(neighbours: &[Neighbour]) -> bool {
    let Some((first, rest)) = neighbours.get(..CONSENSUS).and_then(<[_]>::split_first) else {
        return false;
    };
    rest.iter().all(|next| next.class == first.class)
}

/// The cut that is shipped for a promise of at most `delta` wrong answers per hit. The odds that are asked for
/// move with the odds that are promised.
pub(crate) fn prior_cut(delta: f64) -> f32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cut is no more exact than this"
    )]
    let moved = (0.01 / delta.clamp(1e-4, 0.5)).ln() as f32;
    PRIOR_CUT + moved
}

#[expect(clippy::cast_precision_loss, reason = "a count of at most a few dozen")]
const fn float(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbours(pairs: &[(f32, Class)]) -> Vec<Neighbour> {
        let numbered = pairs.iter().enumerate();
        numbered
            .map(|(number, (cosine, class))| Neighbour {
                number,
                cosine: *cosine,
                class: *class,
            })
            .collect()
    }

    fn score(pairs: &[(f32, Class)], foreign: f32) -> f32 {
        Features::of(&neighbours(pairs), &[foreign; 3], None)
            .unwrap()
            .score()
    }

    #[test]
    fn three_must_agree() {
        assert!(!agree(&neighbours(&[(0.9, 1), (0.9, 1)])));
        assert!(!agree(&neighbours(&[(0.9, 1), (0.9, 1), (0.9, 2)])));
        assert!(agree(&neighbours(&[
            (0.9, 1),
            (0.9, 1),
            (0.9, 1),
            (0.9, 2)
        ])));
    }

    #[test]
    fn near_and_alone_is_safer_than_far_or_contested() {
        let alone = score(&[(0.95, 1), (0.92, 1), (0.90, 1), (0.5, 2)], 0.5);
        let contested = score(&[(0.95, 1), (0.92, 1), (0.90, 1), (0.88, 2)], 0.9);
        let far = score(&[(0.6, 1), (0.58, 1), (0.55, 1), (0.5, 2)], 0.5);
        assert!(
            alone > contested && alone > far,
            "{alone} {contested} {far}"
        );
        assert!(alone > prior_cut(0.01), "{alone}");
        assert!(Features::of(&[], &[], None).is_none());
    }

    #[test]
    fn a_stricter_promise_has_a_higher_cut() {
        assert!(prior_cut(0.005) > prior_cut(0.01) && prior_cut(0.01) > prior_cut(0.02));
    }
}
