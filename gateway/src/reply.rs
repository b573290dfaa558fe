//! What goes back to the client: a body in its dialect, or a stream of them, with what the headers tell.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metering::CacheStatus;
use tokio::sync::mpsc;
use types::Id;
use types::call::Delivery;
use types::id::CacheEntry;

use crate::meter;
use crate::route::Deployment;

/// Chunks a slow client may be behind before the provider is read no further: bounds memory per stream.
pub(crate) const CHUNKS_BEHIND_MAX: usize = 32;

/// An answer, or the beginning of one.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Where it came from.
    pub(crate) origin: Origin,
    /// How it is delivered.
    pub(crate) delivery: Delivery,
    /// What to send.
    pub(crate) content: Content,
}

/// Where an answer came from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A provider made it now.
    Provider {
        /// Which one, with which model.
        deployment: Arc<Deployment>,
        /// How often it was attempted, this time included.
        attempts: u32,
        /// Whether the cache had been asked.
        cache: CacheStatus,
    },
    /// It was made before.
    Cache {
        /// How it was found.
        tier: cache::Tier,
        /// The entry.
        entry: Id<CacheEntry>,
        /// How old it is.
        age: Duration,
        /// Who made it then.
        provider: Arc<str>,
        /// With which model, as it was asked for.
        model: Arc<str>,
    },
    /// It was made for the same request, which was sent before.
    Kept {
        /// Who made it then.
        provider: Arc<str>,
        /// With which model.
        model: Arc<str>,
    },
}

/// A piece of a stream.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Bytes.
    Data(Bytes),
    /// There is nothing more. A stream that stops without it was cut, and must not look as if it were complete.
    End,
    /// There is nothing more, and the answer is not complete: the last bytes said why.
    Failed,
}

/// What to send.
#[derive(Debug)]
pub(crate) enum Content {
    /// One body.
    Whole(Bytes),
    /// Events, as they come; the channel closes at the end.
    Stream(mpsc::Receiver<Chunk>),
    /// Events, all there already.
    Replayed(Bytes),
}

impl Origin {
    /// The cache's part in it.
    pub(crate) const fn cache(&self) -> CacheStatus {
        match self {
            Self::Provider { cache, .. } => *cache,
            Self::Kept { .. } => CacheStatus::Bypass,
            Self::Cache { tier, .. } => meter::status(*tier),
        }
    }

    /// The provider's name.
    pub(crate) fn provider(&self) -> &str {
        match self {
            Self::Provider { deployment, .. } => &deployment.provider.name,
            Self::Cache { provider, .. } | Self::Kept { provider, .. } => provider,
        }
    }

    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        match self {
            Self::Provider { deployment, .. } => &deployment.model,
            Self::Cache { model, .. } | Self::Kept { model, .. } => model,
        }
    }
}
