//! A second deployment asked when the first is slower than usual; the sooner answer is taken, the other broken off.
//!
//! Both are attempts of the request, each with its INTENT; the one that lost is booked as what it is, cancelled, with an
//! estimate of what its provider may charge. It is settled before the winner is: the request ends with the winner.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::section::Hedge;
use metering::journal::Pending;
use metering::{Held, Settlement, failpoint};

use super::attempt::{Begun, Followed, settle};
use super::{Attempt, log_failure};
use crate::error::UpstreamError;
use crate::meter;
use crate::prompt::Prompt;
use crate::ready::{Ready, ready};
use crate::route::{Failure, Running};
use crate::upstream::{self, Prepared, Upstream};

/// What came of asking: the attempt that it came of, and its answer or failure.
pub(super) type Sent = (Attempt, Pending, Result<Upstream, UpstreamError>);

/// An attempt beside the first.
struct Rival {
    prompt: Arc<Prompt>,
    running: Running,
    pending: Pending,
}

impl Begun {
    /// Asks the provider, and another one if that takes longer than usual and the route says so.
    pub(super) async fn send(self) -> Sent {
        let Self {
            mut attempt,
            pending,
            request,
        } = self;
        if let Some(delay) = attempt.hedge_after() {
            // On the heap, so that a request that is not hedged does not carry its size.
            return Box::pin(attempt.race(pending, request, delay)).await;
        }
        let sent = attempt.ask(request).await;
        (attempt, pending, sent)
    }
}

impl Attempt {
    async fn ask(&mut self, request: Prepared) -> Result<Upstream, UpstreamError> {
        let sent = upstream::send(&self.prompt, request, self.deadline()).await;
        failpoint::pass("exchange.dispatched");
        if sent.is_ok() {
            self.running.answered();
        }
        sent
    }

    /// How long the first deployment is given; none if it is not to be overtaken.
    fn hedge_after(&self) -> Option<Duration> {
        if self.choice.plan().hedge == Hedge::Off || self.choice.attempts() > 1 {
            return None;
        }
        let is_stream = self.prompt.call.delivery.is_stream();
        self.prompt.deployment.p95(is_stream)
    }

    async fn race(mut self, pending: Pending, request: Prepared, delay: Duration) -> Sent {
        let deadline = self.deadline();
        let prompt = Arc::clone(&self.prompt);
        let mut first = pin!(upstream::send(&prompt, request, deadline));
        if let Ok(sent) = tokio::time::timeout(delay, &mut first).await {
            return self.won(pending, sent);
        }
        let Some((mut rival, request)) = self.rival().await else {
            let sent = first.await;
            return self.won(pending, sent);
        };
        let rivals_prompt = Arc::clone(&rival.prompt);
        let mut second = pin!(upstream::send(&rivals_prompt, request, deadline));
        tokio::select! {
            sent = &mut first => match sent {
                Ok(upstream) => {
                    settle(rival.pending, self.overtaken(&rival.prompt));
                    self.won(pending, Ok(upstream))
                }
                Err(error) => {
                    self.lost(pending, &error);
                    let pending = self.replace_by(rival);
                    let sent = second.await;
                    self.won(pending, sent)
                }
            },
            sent = &mut second => match sent {
                Ok(upstream) => {
                    self.running.overtaken();
                    settle(pending, self.overtaken(&self.prompt));
                    let pending = self.replace_by(rival);
                    self.won(pending, Ok(upstream))
                }
                Err(error) => {
                    rival.running.failed(&Failure::from(&error));
                    log_failure(&rival.prompt, &error);
                    settle(rival.pending, self.failed(&rival.prompt, &error, Followed::ByAnother));
                    let sent = first.await;
                    self.won(pending, sent)
                }
            },
        }
    }

    /// Makes a second attempt ready and writes its INTENT; none if there is no other deployment or no retry to spend.
    async fn rival(&mut self) -> Option<(Rival, Prepared)> {
        if !self
            .choice
            .rival(self.settings.routes.budget(), Instant::now())
        {
            return None;
        }
        let prompt = Arc::clone(&self.prompt);
        let ready = ready(
            &self.parts.metering,
            &self.settings,
            &mut self.choice,
            prompt,
            self.cache,
        );
        let Ready {
            prompt,
            intent,
            tokens,
            running,
            request,
        } = ready.await.ok()?;
        let held = Held {
            call: None,
            tokens: Some(tokens),
        };
        let pending = self.parts.metering.journal().intend(intent, held);
        let rival = Rival {
            pending: pending.await.ok()?,
            prompt,
            running,
        };
        metrics::counter!("flowpilot_hedges_total").increment(1);
        Some((rival, request))
    }

    fn won(mut self, pending: Pending, sent: Result<Upstream, UpstreamError>) -> Sent {
        failpoint::pass("exchange.dispatched");
        if sent.is_ok() {
            self.running.answered();
        }
        (self, pending, sent)
    }

    /// Books the first attempt as failed, while the other goes on.
    fn lost(&mut self, pending: Pending, error: &UpstreamError) {
        self.running.failed(&Failure::from(error));
        log_failure(&self.prompt, error);
        settle(
            pending,
            self.failed(&self.prompt, error, Followed::ByAnother),
        );
    }

    fn replace_by(&mut self, rival: Rival) -> Pending {
        self.goes_to(&rival.prompt);
        self.prompt = rival.prompt;
        self.running = rival.running;
        rival.pending
    }

    fn overtaken(&self, prompt: &Prompt) -> Settlement {
        Settlement {
            last_attempt: false,
            ..meter::overtaken(prompt, self.parts.clock.as_ref())
        }
    }
}
