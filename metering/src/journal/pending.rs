//! An attempt that is journaled and not yet settled, and the wait for a settlement's durability.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use types::id::Request;
use types::{Id, Outcome, Usage, UsageSource, Usd};

use super::log::{Admission, Await, Reached};
use super::record::{Record, Settle};
use super::{Durability, Error, Journal, cost};
use crate::price::{Price, Service};
use crate::record::{Failure, Held, Intent, Settlement};

/// More tokens than any model can use in one request: a provider that reports them is not believed.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// An attempt whose INTENT is written. It has to be settled, however it ends.
#[must_use = "an attempt that is not settled is booked as unknown"]
pub struct Pending {
    journal: Journal,
    open: Open,
    held: Held,
    state: State,
}

/// What a settlement needs of its intent.
pub(super) struct Open {
    request_id: Id<Request>,
    attempt: u32,
    created_at: DateTime<Utc>,
    input_tokens_max: u64,
    price: Option<Arc<Price>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The INTENT is on its way to the disk; nobody was called.
    Unwritten,
    /// The provider may have been called.
    Written,
    Settled,
}

/// Resolves when the settlement is as durable as the configuration asks. Dropping it is fine: the record is written anyway.
#[must_use = "the answer's last byte waits for this"]
pub struct Durable {
    reached: Option<Reached>,
}

impl Open {
    pub(super) fn of(intent: &Intent) -> Self {
        Self {
            request_id: intent.request_id,
            attempt: intent.attempt,
            created_at: intent.created_at,
            input_tokens_max: intent.estimate.input_tokens_max,
            price: intent.price.clone(),
        }
    }

    /// What is booked where nobody will ever know: the input, as estimated.
    fn unknown_usage(&self) -> Usage {
        Usage {
            input_tokens: self.input_tokens_max.min(TOKENS_MAX),
            ..Usage::default()
        }
    }

    pub(super) fn cost_of_estimate(&self) -> Usd {
        // A price list that cannot price 10¹² tokens is refused when it is loaded; nothing is billed at worst.
        cost(
            self.price.as_deref(),
            Service::Standard,
            &self.unknown_usage(),
        )
        .unwrap_or_default()
    }

    /// The usage and its cost; where the provider reported nonsense, the estimate, flagged.
    fn priced(&self, settlement: &mut Settlement) -> Usd {
        let believable = settlement.usage.total_tokens() <= TOKENS_MAX
            && settlement.usage.web_searches <= TOKENS_MAX;
        let cost = cost(self.price.as_deref(), settlement.service, &settlement.usage);
        if let (true, true, Ok(cost)) = (believable, settlement.usage.is_consistent(), cost) {
            return cost;
        }
        tracing::error!(
            request_id = %self.request_id,
            usage = ?settlement.usage,
            "a provider reported a usage that contradicts itself; the input's estimate is booked as unknown"
        );
        metrics::counter!("flowpilot_metering_implausible_usage_total").increment(1);
        settlement.usage = self.unknown_usage();
        settlement.usage_source = UsageSource::Unknown;
        self.cost_of_estimate()
    }
}

impl Pending {
    pub(super) const fn new(journal: Journal, open: Open, held: Held) -> Self {
        Self {
            journal,
            open,
            held,
            state: State::Unwritten,
        }
    }

    pub(super) async fn written(&mut self, reached: Option<Reached>) -> Result<(), Error> {
        if let Some(reached) = reached {
            reached.await.unwrap_or(Err(Error::Failed))?;
        }
        self.state = State::Written;
        Ok(())
    }

    /// Which request.
    pub const fn request_id(&self) -> Id<Request> {
        self.open.request_id
    }

    /// The price that the settlement will be made at; none where the model has none and was let through.
    pub const fn price(&self) -> Option<&Arc<Price>> {
        self.open.price.as_ref()
    }

    /// Journals how the attempt ended, priced at its intent's price, and spends what was held as far as it was used.
    ///
    /// Does not wait; what it returns does. An error means that the journal failed: the attempt is booked as unknown
    /// after the restart.
    pub fn settle(mut self, settlement: Settlement) -> Result<Durable, Error> {
        let until = match self.journal.open.durability {
            Durability::Fsync | Durability::Strict => Await::Durable,
            Durability::Written => Await::Written,
        };
        let reached = self.post(settlement, until)?;
        Ok(Durable { reached })
    }

    fn post(&mut self, mut settlement: Settlement, until: Await) -> Result<Option<Reached>, Error> {
        self.state = State::Settled;
        let cost = self.open.priced(&mut settlement);
        let used = settlement.usage.total_tokens();
        let key = (self.open.request_id, self.open.attempt);
        let record = Record::from(Settle::new(key, settlement, cost));
        let reached = self.journal.append(&record, Admission::Owed, until);

        let held = std::mem::take(&mut self.held);
        if let Some(call) = held.call {
            call.post();
        }
        if let Some(tokens) = held.tokens {
            tokens.post(used, cost);
        }
        reached
    }

    /// The settlement of an attempt that was let go.
    fn abandoned(&self, usage: Usage, outcome: Outcome, source: UsageSource) -> Settlement {
        let now = self.journal.open.clock.now();
        let latency = now.signed_duration_since(self.open.created_at);
        Settlement {
            outcome,
            usage,
            usage_source: source,
            service: Service::Standard,
            latency: latency.to_std().unwrap_or(Duration::ZERO),
            time_to_first_token: None,
            completion_text: None,
            failure: Some(Failure {
                kind: outcome.as_str().to_owned(),
                message: "the attempt was let go before it ended".to_owned(),
            }),
            provider_model: None,
            completed_at: now,
            last_attempt: true,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let settlement = match self.state {
            State::Settled => return,
            // Nobody was called, and that is known.
            State::Unwritten => {
                self.abandoned(Usage::default(), Outcome::Cancelled, UsageSource::Estimated)
            }
            State::Written => {
                let usage = self.open.unknown_usage();
                self.abandoned(usage, Outcome::Unknown, UsageSource::Unknown)
            }
        };
        // Where the journal has failed, recovery settles it.
        let _ = self.post(settlement, Await::Nothing);
    }
}

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(reached) = &mut self.reached else {
            return Poll::Ready(Ok(()));
        };
        Pin::new(reached)
            .poll(context)
            .map(|reached| reached.unwrap_or(Err(Error::Failed)))
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("request_id", &self.open.request_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").finish_non_exhaustive()
    }
}
