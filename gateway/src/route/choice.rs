//! The way of one request through its plan: where it is attempted first, and where again after a failure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use types::Id;
use types::id::Request;

use super::budget::Budget;
use super::deployment::{Deployment, Running};
use super::dice::Dice;
use super::failure::{Again, Failure};
use super::plan::{Draw, Plan, Set};

/// The way of one request through its plan.
#[derive(Debug)]
pub(crate) struct Choice {
    plan: Arc<Plan>,
    current: usize,
    /// Those that failed it.
    failed: Set,
    /// Attempts begun.
    attempts: u32,
    /// Waits for the same deployment so far, which double.
    waits: u32,
    draw: Draw,
}

/// What a request says about its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// Whose chance decides.
    pub(crate) request: Id<Request>,
    /// The conversation that is to stay where it is.
    pub(crate) session: Option<u64>,
    /// Whether the answer is streamed: both kinds have latencies of their own.
    pub(crate) is_stream: bool,
}

impl Choice {
    /// Chooses the first deployment; takes no place at it yet.
    pub(crate) fn new(plan: Arc<Plan>, wish: Wish, now: Instant) -> Self {
        let mut draw = Draw {
            dice: Dice::of(wish.request),
            session: wish.session,
            is_stream: wish.is_stream,
        };
        Self {
            current: plan
                .draw(&mut draw, Set::default(), now)
                .unwrap_or_default(),
            plan,
            failed: Set::default(),
            attempts: 0,
            waits: 0,
            draw,
        }
    }

    /// The deployment whose turn it is. A plan is never empty.
    pub(crate) fn deployment(&self) -> Option<&Arc<Deployment>> {
        let candidate = self.plan.candidate(self.current);
        candidate.map(|candidate| &candidate.deployment)
    }

    /// The plan.
    pub(crate) const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Attempts begun so far.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Begins the attempt, at the current deployment or, where that is at its limit, at another; none: all are.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Running> {
        let mut full = Set::default();
        for _ in 0..self.plan.len() {
            let candidate = self.plan.candidate(self.current)?;
            let begun = candidate.begin(&self.plan.routing, self.draw.is_stream);
            if let Some(running) = begun {
                self.attempts += 1;
                return Some(running);
            }
            full = full.with(self.current);
            self.current = self.plan.draw(&mut self.draw, self.failed.and(full), now)?;
        }
        None
    }

    /// Moves on after a failure: how long to wait before the next attempt, or that there is none.
    ///
    /// Another deployment is asked at once. One that failed this request is asked again after a wait, within the budget,
    /// and not while its breaker is open.
    pub(crate) fn next(
        &mut self,
        failure: &Failure,
        budget: &Budget,
        now: Instant,
    ) -> Option<Duration> {
        self.failed = self.failed.with(self.current);
        if failure.again == Again::Nowhere || self.attempts >= self.plan.attempts_max {
            return None;
        }
        if let Some(other) = self.plan.draw(&mut self.draw, self.failed, now) {
            self.current = other;
            return Some(Duration::ZERO);
        }
        if failure.again != Again::Anywhere {
            return None;
        }
        // All have failed it once: the one that is best now is asked again, and then the others may be, too.
        self.failed = Set::default();
        self.current = self.plan.draw(&mut self.draw, self.failed, now)?;
        if self.deployment()?.is_broken(now) {
            return None;
        }
        let wait = self.wait(failure.retry_after)?;
        budget.spend().then_some(wait)
    }

    /// Moves to a second deployment while the first is still being asked; `false` if no other is ready or no retry left.
    pub(crate) fn rival(&mut self, budget: &Budget, now: Instant) -> bool {
        let passed = self.failed.with(self.current);
        let Some(other) = self.plan.draw_ready(&mut self.draw, passed, now) else {
            return false;
        };
        if !budget.spend() {
            return false;
        }
        self.failed = passed;
        self.current = other;
        true
    }

    /// As long as the provider asks for, if that is bearable; else by chance up to a bound that doubles ("full jitter",
    /// Brooker: Exponential Backoff and Jitter, AWS 2015).
    fn wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let routing = &self.plan.routing;
        if let Some(asked) = asked {
            return (asked <= routing.retry_after_max).then_some(asked);
        }
        let doubled = routing.backoff.saturating_mul(1 << self.waits.min(16));
        let most = doubled.min(routing.backoff_max);
        self.waits += 1;
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let drawn = self.draw.dice.below(micros.saturating_add(1));
        Some(Duration::from_micros(drawn))
    }
}
