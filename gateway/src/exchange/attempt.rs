//! An attempt whose INTENT is written, up to where its answer begins; and the next one where it failed.
//!
//! The INTENT of the next attempt is written before the SETTLE of the one that failed. So a request has an open record
//! from its first attempt to its last, and whenever the process is killed, recovery finds it and ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metering::journal::Pending;
use metering::{Held, Settlement, failpoint};

use super::{Attempt, Exchange, Parts, log_failure};
use crate::error::{Error, UpstreamError};
use crate::meter;
use crate::pipeline::unbookable;
use crate::prompt::Prompt;
use crate::ready::{Ready, ready};
use crate::route::Failure;
use crate::upstream::Prepared;

/// An attempt that is on record, and what is to be sent for it.
pub(super) struct Begun {
    pub(super) attempt: Attempt,
    pub(super) pending: Pending,
    pub(super) request: Prepared,
}

impl Attempt {
    /// Writes the INTENT of the first attempt; from here on it is the attempt's to be settled.
    pub(super) async fn first(parts: Parts, exchange: Box<Exchange>) -> Result<Begun, Error> {
        let Exchange {
            ready,
            call,
            choice,
            admission,
            cache,
            store_as,
            settings,
        } = *exchange;
        let Ready {
            prompt,
            intent,
            tokens,
            running,
            request,
        } = ready;
        let held = Held {
            call: Some(call),
            tokens: Some(tokens),
        };
        let pending = parts.metering.journal().intend(intent, held);
        let pending = pending.await.map_err(unbookable)?;
        failpoint::pass("exchange.intended");
        let attempt = Self {
            parts,
            prompt,
            settings,
            store_as,
            cache,
            choice,
            running,
            _admission: admission,
        };
        Ok(Begun {
            attempt,
            pending,
            request,
        })
    }

    /// Books the failure and begins the next attempt; where there is none, the failure is the request's.
    pub(super) async fn again(
        mut self,
        pending: Pending,
        error: UpstreamError,
    ) -> Result<Begun, Error> {
        let failure = Failure::from(&error);
        self.running.failed(&failure);
        log_failure(&self.prompt, &error);
        let Some(next) = self.next(&failure).await else {
            return Err(self.fail(pending, error));
        };
        let Ready {
            prompt,
            intent,
            tokens,
            running,
            request,
        } = next;
        let held = Held {
            // The first attempt has spent it.
            call: None,
            tokens: Some(tokens),
        };
        let Ok(next) = self.parts.metering.journal().intend(intent, held).await else {
            return Err(self.fail(pending, error));
        };
        failpoint::pass("exchange.intended_again");
        self.goes_to(&prompt);
        settle(
            pending,
            self.failed(&self.prompt, &error, Followed::ByAnother),
        );
        self.prompt = prompt;
        self.running = running;
        Ok(Begun {
            attempt: self,
            pending: next,
            request,
        })
    }

    /// The next attempt, made ready after the wait for it; none if there is to be none.
    async fn next(&mut self, failure: &Failure) -> Option<Ready> {
        if self.parts.client.is_gone() {
            return None;
        }
        self.running.end();
        let budget = self.settings.routes.budget();
        let wait = self.choice.next(failure, budget, Instant::now())?;
        if Instant::now() + wait >= self.deadline() {
            return None;
        }
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
        // Nobody is asked for somebody who does not wait any more.
        if self.parts.client.is_gone() {
            return None;
        }
        let prompt = Arc::clone(&self.prompt);
        let parts = &self.parts;
        let ready = ready(
            &parts.metering,
            &self.settings,
            &mut self.choice,
            prompt,
            self.cache,
        );
        // What the caller is told is how the provider failed, not why it is not asked again.
        let reason = |error: Error| tracing::info!(%error, "a request is not attempted again");
        ready.await.map_err(reason).ok()
    }

    /// Books the failure as the end of the request.
    fn fail(self, pending: Pending, error: UpstreamError) -> Error {
        settle(
            pending,
            self.failed(&self.prompt, &error, Followed::ByNothing),
        );
        error.into()
    }

    pub(super) fn failed(
        &self,
        prompt: &Prompt,
        error: &UpstreamError,
        followed: Followed,
    ) -> Settlement {
        Settlement {
            last_attempt: followed == Followed::ByNothing,
            ..meter::failed(prompt, error, self.parts.clock.as_ref())
        }
    }

    /// The cache was asked for one model's answer, and must not be given another's in its place.
    pub(super) fn goes_to(&mut self, prompt: &Prompt) {
        if prompt.deployment.model != self.prompt.deployment.model {
            self.store_as = None;
        }
    }

    /// When the request is given up.
    pub(super) fn deadline(&self) -> Instant {
        self.prompt.received + self.choice.plan().request_timeout
    }
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    ByAnother,
    ByNothing,
}

/// An error need not wait for the disk: the INTENT is there, and nobody was given anything.
pub(super) fn settle(pending: Pending, settlement: Settlement) {
    if let Err(error) = pending.settle(settlement) {
        tracing::error!(error = %error, "a failed attempt could not be settled");
    }
}
