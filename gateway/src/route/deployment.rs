//! A model at a provider, and how it has been doing: its breaker, its pauses, its latency, what runs at it.
//!
//! The health belongs to the deployment, not to a route: every name that leads to it sees the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use config::section::Routing;

use super::breaker::{Breaker, Change, State};
use super::endpoint::Endpoint;
use super::failure::{Failure, Verdict};
use super::latency::Latency;
use crate::in_flight::{InFlight, Place};

/// How long one that says "too many requests", and not until when, is passed over.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// A model at a provider.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Who serves it.
    pub(crate) provider: Arc<Endpoint>,
    /// The model, as the provider calls it.
    pub(crate) model: String,
    health: Health,
}

#[derive(Debug)]
struct Health {
    beginning: Instant,
    breaker: Breaker,
    /// Until when it asked to be left alone, in milliseconds since the beginning.
    paused_until: AtomicU64,
    /// Of answers in one piece, which begin when they are complete, and of streams.
    latencies: [Latency; 2],
    running: InFlight,
}

/// Whether a deployment should be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Readiness {
    /// Yes.
    Ready,
    /// Only if there is no other, before this moment, in milliseconds.
    NotBefore(u64),
}

/// An attempt at a deployment: takes a place while it lasts, and tells how it went.
#[derive(Debug)]
#[must_use = "dropping it says that the attempt has ended"]
pub(crate) struct Running {
    deployment: Arc<Deployment>,
    routing: Arc<Routing>,
    begun: Instant,
    is_stream: bool,
    trial: Trial,
    place: Option<Place>,
}

/// What an attempt means to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// One of many: the breaker was closed when it began.
    No,
    /// The deployment was passed over, but there was no other: what becomes of it tells whether it is well again.
    ForWantOfOthers,
    /// It has the one place to try whether the deployment is well again.
    Yes,
}

impl Deployment {
    /// A deployment nothing is known of.
    pub(crate) fn new(provider: Arc<Endpoint>, model: String) -> Self {
        Self {
            provider,
            model,
            health: Health {
                beginning: Instant::now(),
                breaker: Breaker::default(),
                paused_until: AtomicU64::default(),
                latencies: Default::default(),
                running: InFlight::default(),
            },
        }
    }

    /// Whether it should be asked now.
    pub(crate) fn readiness(&self, now: Instant) -> Readiness {
        let now = self.millis(now);
        let paused_until = self.health.paused_until.load(Ordering::Relaxed);
        if now < paused_until {
            return Readiness::NotBefore(paused_until);
        }
        match self.health.breaker.state(now) {
            State::Closed | State::HalfOpen => Readiness::Ready,
            State::Open { until } => Readiness::NotBefore(until),
        }
    }

    /// Whether its breaker is open, so that asking it again for the same request would be no use.
    pub(super) fn is_broken(&self, now: Instant) -> bool {
        matches!(
            self.health.breaker.state(self.millis(now)),
            State::Open { .. }
        )
    }

    /// What a further request may expect to wait, in arbitrary units: the mean, times those that run already.
    pub(super) fn burden(&self, now: Instant, is_stream: bool) -> f64 {
        let mean = self.latency(is_stream).mean(self.since_beginning(now));
        let running = u32::try_from(self.health.running.count()).unwrap_or(u32::MAX);
        mean * (f64::from(running) + 1.0)
    }

    /// The time in which 95 of 100 of its answers have begun.
    pub(crate) fn p95(&self, is_stream: bool) -> Option<Duration> {
        self.latency(is_stream).p95()
    }

    /// Begins an attempt, if fewer than so many run already.
    pub(super) fn begin(
        self: &Arc<Self>,
        routing: &Arc<Routing>,
        running_max: usize,
        is_stream: bool,
    ) -> Option<Running> {
        let place = self.health.running.enter(running_max)?;
        let begun = Instant::now();
        let state = self.health.breaker.state(self.millis(begun));
        Some(Running {
            trial: match state {
                State::Closed => Trial::No,
                State::HalfOpen if self.health.breaker.try_out() => Trial::Yes,
                State::HalfOpen | State::Open { .. } => Trial::ForWantOfOthers,
            },
            deployment: Arc::clone(self),
            routing: Arc::clone(routing),
            begun,
            is_stream,
            place: Some(place),
        })
    }

    /// How many attempts run.
    pub(super) fn running(&self) -> usize {
        self.health.running.count()
    }

    fn latency(&self, is_stream: bool) -> &Latency {
        let [whole, streamed] = &self.health.latencies;
        if is_stream { streamed } else { whole }
    }

    fn pause(&self, now: Instant, pause: Duration) {
        let until = self.millis(now.checked_add(pause).unwrap_or(now));
        self.health.paused_until.fetch_max(until, Ordering::Relaxed);
    }

    fn note(&self, running: &Running, failed: bool) {
        let now = self.millis(Instant::now());
        let options = &running.routing;
        let change = self
            .health
            .breaker
            .note(options, now, failed, running.trial != Trial::No);
        let Some(change) = change else {
            return;
        };
        let is_open = change == Change::Opened;
        metrics::gauge!(
            "flowpilot_breaker_open",
            "provider" => self.provider.name.clone(),
            "model" => self.model.clone(),
        )
        .set(f64::from(u8::from(is_open)));
        tracing::warn!(
            gen_ai.provider.name = self.provider.name,
            gen_ai.request.model = self.model,
            open = is_open,
            "a deployment's breaker changed"
        );
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(self.since_beginning(now).as_millis()).unwrap_or(u64::MAX)
    }

    fn since_beginning(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.health.beginning)
    }
}

impl Running {
    /// The answer begins.
    pub(crate) fn answered(&mut self) {
        let deployment = &self.deployment;
        deployment.provider.answered.increment(1);
        deployment.latency(self.is_stream).note(
            deployment.since_beginning(Instant::now()),
            self.begun.elapsed(),
        );
        deployment.note(self, false);
        self.end_trial();
    }

    /// Another one answered sooner: so slow it is at least.
    pub(crate) fn overtaken(&mut self) {
        let deployment = &self.deployment;
        deployment.latency(self.is_stream).note(
            deployment.since_beginning(Instant::now()),
            self.begun.elapsed(),
        );
    }

    /// The attempt failed, before its answer began or in the middle of it.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        metrics::counter!(
            "flowpilot_attempts_total",
            "provider" => self.deployment.provider.name.clone(),
            "outcome" => failure.kind.as_str(),
        )
        .increment(1);
        match failure.verdict {
            Verdict::Well => self.deployment.note(self, false),
            Verdict::Ill => self.deployment.note(self, true),
            Verdict::Busy => {}
        }
        if let (Verdict::Busy | Verdict::Ill, Some(pause)) = (failure.verdict, failure.retry_after)
        {
            self.deployment.pause(Instant::now(), pause);
        } else if failure.verdict == Verdict::Busy {
            self.deployment.pause(Instant::now(), BUSY_PAUSE);
        }
        self.end_trial();
    }

    /// The attempt is over: its place is free for the next one.
    pub(crate) fn end(&mut self) {
        self.end_trial();
        self.place = None;
    }

    fn end_trial(&mut self) {
        let trial = std::mem::replace(&mut self.trial, Trial::No);
        if trial == Trial::Yes {
            self.deployment.health.breaker.let_go();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_trial();
    }
}
