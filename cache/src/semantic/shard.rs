//! One partition in memory: its questions, their answers' classes, and what separates them.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use embedding::Vector;
use types::Id;
use types::id::{CacheAnswer, CacheEntry};

use super::answers::{Answers, Class};
use super::discriminant::{Discriminant, QUESTIONS_MIN, Sums};
use super::equality::Wording;
use super::gate::{self, Features, Neighbour};
use super::vectors::{Vectors, product};
use crate::key::Hash;
use crate::text::guard::{self, Veto};
use crate::text::{Lexicon, Sketch};

/// Other answers that a fresh one is compared with, the nearest ones.
const COMPARED_MAX: usize = 6;

/// Below this cosine, questions are not worth comparing answers for.
const GREY_ZONE_MIN: f32 = 0.6;

/// Different numbers in questions of one answer, from which on numbers do not matter to it.
const NUMBERS_VARY: usize = 2;

/// By how much the partition grows before the discriminant is computed anew: a twentieth, and this at least.
const GROWTH_MIN: usize = 100;

/// The questions of one partition.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    vectors: Vectors,
    entries: Vec<Member>,
    ids: HashSet<Id<CacheEntry>>,
    answers: Answers,
    scatter: Vec<f32>,
    discriminant: Option<Arc<Discriminant>>,
    computed_at: usize,
}

/// A question that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Id<CacheEntry>,
    /// The key of its call, by which its answer is in memory.
    pub(crate) hash: Hash,
    pub(crate) answer: Id<CacheAnswer>,
    pub(crate) sketch: Sketch,
    pub(crate) wording: Arc<Wording>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// What the shard says about a question.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    /// The entry whose answer may be given, or would be.
    pub(crate) entry: Id<CacheEntry>,
    pub(crate) hash: Hash,
    pub(crate) answer: Id<CacheAnswer>,
    pub(crate) score: f32,
    pub(crate) cosine: f32,
    /// What keeps it from being given whatever the score.
    pub(crate) obstacle: Option<Obstacle>,
    pub(crate) features: Features,
}

impl Verdict {
    /// Whether the question is the entry's in other words.
    pub(crate) const fn is_reworded(&self) -> bool {
        self.score >= gate::REWORDED
    }
}

/// What keeps an answer from being given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The guard's veto.
    Veto(Veto),
    /// The three nearest do not share one answer.
    Disagreement,
}

impl Obstacle {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Veto(veto) => veto.as_str(),
            Self::Disagreement => "disagreement",
        }
    }
}

/// What comes of comparing a fresh answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The class it belongs to; absent where it says something new.
    pub(crate) answer: Option<Id<CacheAnswer>>,
    /// Classes that it has shown to be the same as that one.
    pub(crate) joined: Vec<Id<CacheAnswer>>,
}

impl Shard {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn has(&self, entry: Id<CacheEntry>) -> bool {
        self.ids.contains(&entry)
    }

    /// Adds a question; one whose vector has another length is not taken.
    pub(crate) fn insert(&mut self, vector: &Vector, member: Member) {
        if !self.vectors.push(vector) {
            return;
        }
        let class = self.answers.class_of(member.answer);
        self.answers.add(class, vector.values(), &member.wording);
        add_outer(&mut self.scatter, vector.values());
        self.ids.insert(member.id);
        self.entries.push(member);
    }

    /// Decides about a question. Microseconds to a millisecond; nothing waits.
    pub(crate) fn decide(
        &self,
        vector: &Vector,
        sketch: &Sketch,
        lexicon: &Lexicon,
        now: DateTime<Utc>,
    ) -> Option<Verdict> {
        let neighbours = self.neighbours(vector, now);
        let first = neighbours.first()?;
        let margin = self.discriminant.as_ref();
        let margin = margin.and_then(|it| it.margin(vector.values(), first.class, &self.answers));
        let features = Features::of(&neighbours, &self.foreign(&neighbours), margin)?;
        if let Some(reworded) = self.reworded(&neighbours, sketch, lexicon) {
            return self.verdict(reworded, gate::REWORDED, None, features);
        }
        let (chosen, obstacle) = self.choose(&neighbours, sketch);
        self.verdict(
            chosen.unwrap_or(first),
            features.score(),
            obstacle,
            features,
        )
    }

    /// The nearest question that is this one in other words, unless another one that is has another answer.
    fn reworded<'a>(
        &self,
        neighbours: &'a [Neighbour],
        sketch: &Sketch,
        lexicon: &Lexicon,
    ) -> Option<&'a Neighbour> {
        let mut same = neighbours.iter().filter(|near| {
            let own = self.sketch(near);
            near.cosine >= gate::REWORDED_COSINE_MIN
                && own.is_some_and(|own| {
                    guard::is_same(sketch, own, lexicon) && guard::veto(sketch, own).is_none()
                })
        });
        let first = same.next()?;
        same.all(|other| other.class == first.class)
            .then_some(first)
    }

    /// The nearest question of the same answer that the guard has nothing against.
    ///
    /// That one shows that a question like this has this answer. Numbers that differ between questions of one answer
    /// are no part of it either.
    fn choose<'a>(
        &self,
        neighbours: &'a [Neighbour],
        sketch: &Sketch,
    ) -> (Option<&'a Neighbour>, Option<Obstacle>) {
        if !gate::agree(neighbours) {
            return (None, Some(Obstacle::Disagreement));
        }
        let class = neighbours.first().map(|first| first.class);
        let same = || neighbours.iter().filter(|near| Some(near.class) == class);
        let mut numbers: Vec<&[Box<str>]> = Vec::new();
        let mut veto = None;
        for near in same() {
            let Some(own) = self.sketch(near) else {
                continue;
            };
            if !own.numbers().is_empty() && !numbers.contains(&own.numbers()) {
                numbers.push(own.numbers());
            }
            match guard::veto(sketch, own) {
                None => return (Some(near), None),
                Some(found) => veto = veto.or(Some(found)),
            }
        }
        if veto == Some(Veto::Numbers) && numbers.len() >= NUMBERS_VARY {
            return (neighbours.first(), None);
        }
        (None, veto.map(Obstacle::Veto))
    }

    fn verdict(
        &self,
        near: &Neighbour,
        score: f32,
        obstacle: Option<Obstacle>,
        features: Features,
    ) -> Option<Verdict> {
        let member = self.entries.get(near.number)?;
        Some(Verdict {
            entry: member.id,
            hash: member.hash,
            answer: self.answers.id(near.class)?,
            score,
            cosine: near.cosine,
            obstacle,
            features,
        })
    }

    fn neighbours(&self, vector: &Vector, now: DateTime<Utc>) -> Vec<Neighbour> {
        let alive = |number: usize| {
            self.entries
                .get(number)
                .is_some_and(|member| member.expires_at > now)
        };
        let found = self.vectors.nearest(vector, gate::NEIGHBOURS, alive);
        let with_class = found.into_iter().filter_map(|(number, cosine)| {
            let class = self.class(number)?;
            Some(Neighbour {
                number,
                cosine,
                class,
            })
        });
        with_class.collect()
    }

    /// For each of the three nearest of the first one's answer: how near another answer comes to it.
    fn foreign(&self, neighbours: &[Neighbour]) -> Vec<f32> {
        let Some(first) = neighbours.first() else {
            return Vec::new();
        };
        let others: Vec<_> = neighbours
            .iter()
            .filter(|near| near.class != first.class)
            .collect();
        let own = neighbours
            .iter()
            .filter(|near| near.class == first.class)
            .take(gate::CONSENSUS);
        own.map(|own| {
            let own = self.vectors.get(own.number);
            let cosines = others
                .iter()
                .map(|other| product(own, self.vectors.get(other.number)));
            cosines.fold(0.0, f32::max)
        })
        .collect()
    }

    /// Compares a fresh answer with those of the nearest questions, and makes one class of what it shows to be one.
    pub(crate) fn compare(
        &mut self,
        vector: &Vector,
        wording: &Wording,
        now: DateTime<Utc>,
    ) -> Comparison {
        let mut seen: Vec<Class> = Vec::new();
        let mut own: Option<Class> = None;
        let mut joined = Vec::new();
        for near in self.neighbours(vector, now) {
            let class = self.answers.root(near.class);
            if near.cosine < GREY_ZONE_MIN || seen.len() >= COMPARED_MAX {
                break;
            }
            if seen.contains(&class) {
                continue;
            }
            seen.push(class);
            if !self.answers.says(class, wording) {
                continue;
            }
            own = Some(match own {
                None => class,
                Some(before) => {
                    joined.extend(self.answers.id(before.max(class)));
                    self.answers.join(before, class)
                }
            });
        }
        Comparison {
            answer: own.and_then(|class| self.answers.id(class)),
            joined,
        }
    }

    /// Whether two ids stand for the same answer by now.
    pub(crate) fn is_same_answer(&mut self, one: Id<CacheAnswer>, other: Id<CacheAnswer>) -> bool {
        self.answers.class_of(one) == self.answers.class_of(other)
    }

    /// The sums for a new discriminant, if it is time for one.
    pub(crate) fn due(&mut self) -> Option<(Sums, usize)> {
        let grown = self.entries.len() - self.computed_at;
        if self.entries.len() < QUESTIONS_MIN || grown < GROWTH_MIN.max(self.entries.len() / 20) {
            return None;
        }
        self.computed_at = self.entries.len();
        let classes = self
            .answers
            .sums()
            .map(|(class, sum, count)| (class, sum.to_vec(), count));
        let sums = Sums {
            scatter: self.scatter.clone(),
            classes: classes.collect(),
        };
        Some((sums, self.vectors.dimensions()))
    }

    pub(crate) fn set_discriminant(&mut self, discriminant: Option<Discriminant>) {
        self.discriminant = discriminant.map(Arc::new);
    }

    fn class(&self, number: usize) -> Option<Class> {
        let member = self.entries.get(number)?;
        self.answers.find(member.answer)
    }

    fn sketch(&self, near: &Neighbour) -> Option<&Sketch> {
        Some(&self.entries.get(near.number)?.sketch)
    }
}

fn add_outer(matrix: &mut Vec<f32>, vector: &[f32]) {
    matrix.resize(vector.len() * vector.len(), 0.0);
    for (row, a) in matrix.chunks_exact_mut(vector.len().max(1)).zip(vector) {
        for (value, b) in row.iter_mut().zip(vector) {
            *value += a * b;
        }
    }
}
