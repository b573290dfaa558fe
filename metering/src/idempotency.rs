//! AI calls that are sent twice and answered once: who runs one, and what was answered.
//!
//! A key is claimed in PostgreSQL, so that it holds across gateways, and the claim is renewed while the call runs: one that
//! is not renewed belonged to a gateway that died, and the same call may then run anew. An answer is kept for
//! [`LIFETIME`]; only one that ended well is. Replaying it books nothing.

use std::time::Duration;

use bytes::Bytes;
use database::{Database, Error};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use types::Id;
use types::id::{Organization, Request};

use crate::store::idempotency as store;

/// How long a claim holds without being renewed.
pub const CLAIM: Duration = Duration::from_mins(1);
/// How often it is renewed: two renewals may fail.
pub const RENEWAL: Duration = Duration::from_secs(20);
/// How long an answer is kept, and its key is bound to its call.
pub const LIFETIME: Duration = Duration::from_hours(24);
/// The longest answer that is kept, in bytes; a longer one is not, and its call runs anew when it is sent again.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How often answers whose time is over are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// A call with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The client's key; unique in the organization.
    pub key: String,
    /// SHA-256 of everything that makes the call, hexadecimal.
    pub request_hash: String,
    /// The request that wants to run it.
    pub request: Id<Request>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// This request runs the call.
    Mine,
    /// Another one does.
    Running,
    /// Another one did.
    Answered(Answer),
    /// The key was used for another call.
    OtherCall,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the body is a stream's.
    pub is_stream: bool,
    /// Who answered.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// Everything that was sent.
    pub body: Bytes,
}

/// The calls with keys, in the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Calls {
    database: Database,
}

impl Calls {
    /// The calls of a database.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Claims a key, or says who has it or what was answered.
    pub async fn claim(
        &self,
        organization: Id<Organization>,
        claim: &Claim,
    ) -> Result<Claimed, Error> {
        store::claim(&self.database, organization, claim).await
    }

    /// Says that the call still runs. Whether the claim is still this request's.
    pub async fn renew(
        &self,
        organization: Id<Organization>,
        claim: &Claim,
    ) -> Result<bool, Error> {
        store::renew(&self.database, organization, claim).await
    }

    /// Keeps what was answered.
    pub async fn keep(
        &self,
        organization: Id<Organization>,
        claim: &Claim,
        answer: &Answer,
    ) -> Result<(), Error> {
        store::keep(&self.database, organization, claim, answer).await
    }

    /// Gives a claim up.
    pub async fn release(
        &self,
        organization: Id<Organization>,
        claim: &Claim,
    ) -> Result<(), Error> {
        store::release(&self.database, organization, claim).await
    }
}

/// Deletes what is over, until it is stopped.
pub async fn sweep_always(database: Database, stop: CancellationToken) {
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(sweeps.tick()).await.is_some() {
        if let Err(error) = store::sweep(&database).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "answers whose time is over could not be deleted yet"
            );
        }
    }
}
