//! Templates held in memory, as they are first used: a call that names a known one asks no database.
//!
//! What is held stays until the database says that it changed, or until others need the room. While the database is
//! away nothing changes, and what is known goes on working. That a slug has no template is remembered, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::section;
use database::Database;
use moka::future::Cache;
use types::Id;
use types::id::Organization;

use super::engine::Budget;
use super::store;
use super::stored::Stored;

/// What a slug without a template takes, in bytes.
const NOTHING_BYTES: u32 = 256;

/// Templates by who uses them.
#[derive(Debug)]
pub(crate) struct Memory {
    database: Database,
    budget: Budget,
    held: Cache<Key, Option<Arc<Stored>>>,
    /// Grows when something is forgotten, so that what was read before is not held after.
    forgotten: AtomicU64,
}

/// Who means which template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    organization: Id<Organization>,
    slug: Box<str>,
    version: Option<u32>,
}

impl Memory {
    /// An empty memory.
    pub(crate) fn new(options: &section::Templates, budget: Budget, database: Database) -> Self {
        let held = Cache::builder()
            .max_capacity(options.stored_bytes_max)
            .weigher(|key: &Key, held: &Option<Arc<Stored>>| {
                let slug = u32::try_from(key.slug.len()).unwrap_or(u32::MAX);
                let held = held.as_ref().map_or(NOTHING_BYTES, |held| held.bytes);
                held.saturating_add(slug)
            })
            .support_invalidation_closures()
            .build();
        Self {
            database,
            budget,
            held,
            forgotten: AtomicU64::new(0),
        }
    }

    /// The template that an organization means; `None` if there is none.
    pub(crate) async fn find(
        &self,
        organization: Id<Organization>,
        slug: &str,
        version: Option<u32>,
    ) -> Result<Option<Arc<Stored>>, Arc<database::Error>> {
        let key = Key {
            organization,
            slug: slug.into(),
            version,
        };
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let read = async {
            let found = store::find_for_call(&self.database, organization, slug, version).await?;
            let found = found.and_then(|found| Stored::new(found, self.budget));
            Ok(found.map(Arc::new))
        };
        let found = self.held.try_get_with_by_ref(&key, Box::pin(read)).await?;
        if self.forgotten.load(Ordering::Acquire) != forgotten {
            // It may have been read before the change that made others be forgotten.
            self.held.invalidate(&key).await;
        }
        Ok(found)
    }

    /// Forgets what an organization means by its slugs.
    pub(crate) fn forget(&self, organization: Id<Organization>) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        let of = move |key: &Key, _: &Option<Arc<Stored>>| key.organization == organization;
        if self.held.invalidate_entries_if(of).is_err() {
            self.held.invalidate_all();
        }
    }

    /// Forgets everything: a system template changed, or nobody knows what did.
    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.held.invalidate_all();
    }

    /// Reaches the database.
    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }
}
