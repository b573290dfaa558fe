//! What a model's name leads to: deployments in their order, and how one of them is drawn.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::section::{Choice as By, Deployment as Section, Hedge, Route, Routing, Sticky};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::deployment::{Deployment, Readiness, Running};
use super::dice::{Dice, mix};

/// What a model's name leads to.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In ascending order of priority; never empty.
    candidates: Vec<Candidate>,
    by: By,
    /// Whether a conversation stays where it is.
    pub(crate) sticky: Sticky,
    /// Whether a second deployment is asked when the first is slow.
    pub(crate) hedge: Hedge,
    /// Attempts at most.
    pub(crate) attempts_max: u32,
    /// How long it may be attempted.
    pub(crate) request_timeout: Duration,
    /// How what failed is attempted again.
    pub(crate) routing: Arc<Routing>,
}

/// A deployment with its place in the plan.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) deployment: Arc<Deployment>,
    weight: u32,
    priority: u32,
    running_max: usize,
    rate: Option<DefaultDirectRateLimiter>,
    /// The same at every gateway, for conversations to stay at it.
    name_hash: u64,
}

/// A set of candidates, by their place in the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

/// What a draw depends on.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    pub(super) dice: Dice,
    /// The conversation that is to stay where it is.
    pub(super) session: Option<u64>,
    pub(super) is_stream: bool,
}

impl Plan {
    /// A plan of one deployment without limits.
    pub(super) fn of_one(deployment: Arc<Deployment>, routing: &Arc<Routing>) -> Self {
        let section = Section::new(config::section::Target {
            provider: deployment.provider.name.clone(),
            model: deployment.model.clone(),
        });
        Self {
            candidates: vec![Candidate::new(deployment, &section)],
            by: By::Weight,
            sticky: Sticky::Off,
            hedge: Hedge::Off,
            attempts_max: routing.attempts_max.get(),
            request_timeout: routing.request_timeout,
            routing: Arc::clone(routing),
        }
    }

    /// The plan of a route; none if none of its deployments is known.
    pub(super) fn of_route(
        route: &Route,
        routing: &Arc<Routing>,
        known: impl Fn(&config::section::Target) -> Option<Arc<Deployment>>,
    ) -> Option<Self> {
        let candidates = route
            .deployments
            .iter()
            .filter_map(|section| Some(Candidate::new(known(&section.target)?, section)));
        let mut candidates: Vec<_> = candidates.take(Route::DEPLOYMENTS_MAX).collect();
        candidates.sort_by_key(|candidate| candidate.priority);
        let attempts_max = route.attempts_max.unwrap_or(routing.attempts_max);
        (!candidates.is_empty()).then(|| Self {
            candidates,
            by: route.choice,
            sticky: route.sticky,
            hedge: route.hedge,
            attempts_max: attempts_max.get(),
            request_timeout: route.request_timeout.unwrap_or(routing.request_timeout),
            routing: Arc::clone(routing),
        })
    }

    /// The deployment that stands for the plan where one is to be named: the first.
    pub(crate) fn primary(&self) -> Option<&Arc<Deployment>> {
        self.candidates.first().map(|first| &first.deployment)
    }

    /// How many deployments there are.
    pub(super) const fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(super) fn candidate(&self, index: usize) -> Option<&Candidate> {
        self.candidates.get(index)
    }

    /// Draws one that is not passed over: the lowest priority that has a ready one decides; if none is ready, the one that
    /// will be so first is asked, since a request that is not attempted has failed for certain.
    pub(super) fn draw(&self, draw: &mut Draw, passed: Set, now: Instant) -> Option<usize> {
        if self.candidates.len() == 1 {
            return (passed == Set::default()).then_some(0);
        }
        if let Some(index) = self.draw_ready(draw, passed, now) {
            return Some(index);
        }
        let left = self.candidates.iter().enumerate();
        let left = left.filter(|(index, candidate)| !passed.has(*index) && candidate.has_room());
        let soonest = left.min_by_key(|(_, candidate)| candidate.deployment.readiness(now));
        soonest.map(|(index, _)| index)
    }

    /// Draws one that is ready.
    pub(super) fn draw_ready(&self, draw: &mut Draw, passed: Set, now: Instant) -> Option<usize> {
        let mut from = 0;
        for group in self.candidates.chunk_by(|a, b| a.priority == b.priority) {
            let of_group = group.iter().enumerate();
            let ready = of_group
                .map(|(offset, candidate)| (from + offset, candidate))
                .filter(|(index, candidate)| !passed.has(*index) && candidate.is_ready(now));
            if let Some(index) = self.draw_among(ready, draw, now) {
                return Some(index);
            }
            from += group.len();
        }
        None
    }

    fn draw_among<'a>(
        &self,
        ready: impl Iterator<Item = (usize, &'a Candidate)> + Clone,
        draw: &mut Draw,
        now: Instant,
    ) -> Option<usize> {
        if let Some(session) = draw.session {
            let nearest =
                ready.max_by(|(_, a), (_, b)| a.pull(session).total_cmp(&b.pull(session)));
            return nearest.map(|(index, _)| index);
        }
        let first = by_weight(ready.clone(), &mut draw.dice)?;
        if self.by == By::Weight {
            return Some(first);
        }
        let others = ready.filter(|(index, _)| *index != first);
        let Some(second) = by_weight(others, &mut draw.dice) else {
            return Some(first);
        };
        let burden = |index: usize| {
            let candidate = self.candidates.get(index);
            candidate.map_or(f64::MAX, |one| one.deployment.burden(now, draw.is_stream))
        };
        Some(if burden(second) < burden(first) {
            second
        } else {
            first
        })
    }
}

/// Draws by weight; those of weight 0 only when there is nobody else.
fn by_weight<'a>(
    candidates: impl Iterator<Item = (usize, &'a Candidate)> + Clone,
    dice: &mut Dice,
) -> Option<usize> {
    let weights = candidates.clone().map(|(_, one)| u64::from(one.weight));
    let total: u64 = weights.sum();
    if total == 0 {
        let count = u64::try_from(candidates.clone().count()).unwrap_or(u64::MAX);
        let nth = usize::try_from(dice.below(count)).unwrap_or_default();
        return candidates.map(|(index, _)| index).nth(nth);
    }
    let mut ticket = dice.below(total);
    for (index, candidate) in candidates {
        match ticket.checked_sub(u64::from(candidate.weight)) {
            Some(rest) => ticket = rest,
            None => return Some(index),
        }
    }
    None
}

impl Candidate {
    fn new(deployment: Arc<Deployment>, section: &Section) -> Self {
        let limit = |limit: NonZeroU32| usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let per_minute = section.requests_per_minute.map(Quota::per_minute);
        Self {
            deployment,
            weight: section.weight,
            priority: section.priority,
            running_max: section.concurrent_requests_max.map_or(usize::MAX, limit),
            rate: per_minute.map(RateLimiter::direct),
            name_hash: stable_hash(&section.target.to_string()),
        }
    }

    fn is_ready(&self, now: Instant) -> bool {
        self.has_room() && self.deployment.readiness(now) == Readiness::Ready
    }

    fn has_room(&self) -> bool {
        self.deployment.running() < self.running_max
    }

    /// Begins an attempt, within the limits.
    pub(super) fn begin(&self, routing: &Arc<Routing>, is_stream: bool) -> Option<Running> {
        let running = self
            .deployment
            .begin(routing, self.running_max, is_stream)?;
        let within = self.rate.as_ref().is_none_or(|rate| rate.check().is_ok());
        within.then_some(running)
    }

    /// How strongly a conversation is drawn here: weighted rendezvous hashing, so that when one deployment is passed over
    /// only its own conversations move.
    fn pull(&self, session: u64) -> f64 {
        let high = u32::try_from(mix(session ^ self.name_hash) >> 32).unwrap_or(u32::MAX);
        let share = (f64::from(high) + 0.5) / (f64::from(u32::MAX) + 1.0);
        f64::from(self.weight) / -share.ln()
    }
}

/// The same on every machine and in every run.
pub(super) fn stable_hash(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

impl Set {
    pub(super) const fn has(self, index: usize) -> bool {
        self.0 >> (index & 63) & 1 == 1
    }

    #[must_use]
    pub(super) const fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << (index & 63))
    }

    #[must_use]
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
