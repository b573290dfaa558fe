//! The look-up in the database: bounded in time, and never more than a miss when it fails.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database};
use tracing::warn;
use types::Id;
use types::id::CacheEntry;

use crate::entry::Stored;
use crate::fault::Fault;
use crate::key::Hash;
use crate::{Key, store};

/// Reads entries for callers.
#[derive(Debug)]
pub(crate) struct Exact {
    database: Database,
    fault: Fault,
}

/// What an answer is looked up by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// The call itself.
    Key,
    /// The call without its politeness.
    Normalized(Hash),
    /// The entry that the semantic tier chose.
    Entry(Id<CacheEntry>),
}

impl By {
    /// The word in metrics.
    pub(crate) const fn tier(self) -> &'static str {
        match self {
            Self::Key => "exact",
            Self::Normalized(_) => "normalized",
            Self::Entry(_) => "semantic",
        }
    }

    /// The hash by which the row was expected, if by one.
    pub(crate) fn hash(self, key: &Key) -> Option<Hash> {
        match self {
            Self::Key => Some(key.hash()),
            Self::Normalized(hash) => Some(hash),
            Self::Entry(_) => None,
        }
    }
}

/// What came of a look-up.
#[derive(Debug)]
pub(crate) enum Found {
    Entry(Stored),
    /// The table does not have the key.
    Nothing,
    /// The database was not asked, because it has not been answering.
    Skipped,
    /// It did not answer in time.
    TimedOut,
    /// It answered with an error.
    Failed,
}

impl Found {
    /// The word in metrics.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Entry(_) => "hit",
            Self::Nothing => "miss",
            Self::Skipped => "skipped",
            Self::TimedOut => "timeout",
            Self::Failed => "error",
        }
    }
}

impl Exact {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            fault: Fault::default(),
        }
    }

    /// Asks the database, for at most `timeout`. May be dropped at any time: the transaction is rolled back.
    pub(crate) async fn find(
        &self,
        key: &Key,
        by: By,
        now: DateTime<Utc>,
        timeout: Duration,
    ) -> Found {
        if self.fault.is_paused(Instant::now()) {
            return Found::Skipped;
        }
        match tokio::time::timeout(timeout, self.read(key, by, now)).await {
            Ok(Ok(entry)) => {
                self.fault.end();
                entry.map_or(Found::Nothing, Found::Entry)
            }
            Ok(Err(error)) => self.failed(&error),
            Err(elapsed) => {
                if self.fault.begin(Instant::now()) {
                    warn!(error = %elapsed, "cache look-ups in the database take too long; they count as misses");
                }
                Found::TimedOut
            }
        }
    }

    async fn read(
        &self,
        key: &Key,
        by: By,
        now: DateTime<Utc>,
    ) -> Result<Option<Stored>, database::Error> {
        let name = "cache: find";
        let organization = key.organization();
        self.database
            .tenant(name, Bulkhead::Hot, organization, |tx| {
                Box::pin(async move {
                    match by {
                        By::Key => store::find(tx.connection(), key, now).await,
                        By::Normalized(hash) => {
                            store::find_normalized(tx.connection(), key, hash, now).await
                        }
                        By::Entry(entry) => {
                            store::find_entry(tx.connection(), key, entry, now).await
                        }
                    }
                })
            })
            .await
    }

    fn failed(&self, error: &database::Error) -> Found {
        if self.fault.begin(Instant::now()) {
            let error: &dyn std::error::Error = error;
            warn!(
                error,
                "cache look-ups in the database fail; they count as misses"
            );
        }
        Found::Failed
    }
}
