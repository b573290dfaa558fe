//! Templates held in memory, as they are first used: a call that names a known one asks no database.
//!
//! What is held stays until others need the room. When the database says that it changed, it is read again by the next
//! call that means it; while that is under way, and while the database is away, what was known goes on working.
//! That a slug has no template is remembered, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
    held: Cache<Key, Arc<Held>>,
    /// Grows with each change, so that what was read before one is doubted after it.
    changes: AtomicU64,
}

/// Who means which template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    organization: Id<Organization>,
    slug: Box<str>,
    version: Option<u32>,
}

/// What was read.
#[derive(Debug)]
struct Held {
    found: Option<Arc<Stored>>,
    /// The count of changes before it was read.
    as_of: u64,
    /// It may have changed since.
    doubted: AtomicBool,
}

/// A reading under way; the doubt comes back when it ends without a result.
struct Reading<'a>(Option<&'a Held>);

impl Memory {
    /// An empty memory.
    pub(crate) fn new(options: &section::Templates, budget: Budget, database: Database) -> Self {
        let held = Cache::builder()
            .max_capacity(options.stored_bytes_max)
            .weigher(|key: &Key, held: &Arc<Held>| {
                let slug = u32::try_from(key.slug.len()).unwrap_or(u32::MAX);
                let bytes = held
                    .found
                    .as_ref()
                    .map_or(NOTHING_BYTES, |found| found.bytes);
                bytes.saturating_add(slug)
            })
            .build();
        Self {
            database,
            budget,
            held,
            changes: AtomicU64::new(0),
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
        let held = match self.held.get(&key).await {
            Some(held) if held.doubted.swap(false, Ordering::AcqRel) => {
                self.renew(key, &held).await?
            }
            Some(held) => held,
            None => {
                let read = Box::pin(self.read(&key));
                let held = self.held.try_get_with_by_ref(&key, read).await?;
                self.recheck(&held);
                held
            }
        };
        Ok(held.found.clone())
    }

    /// Reads again what is doubted; the old one stays if that is not possible.
    async fn renew(&self, key: Key, old: &Arc<Held>) -> Result<Arc<Held>, database::Error> {
        let mut reading = Reading(Some(old));
        match Box::pin(self.read(&key)).await {
            Ok(new) => {
                self.held.insert(key, Arc::clone(&new)).await;
                self.recheck(&new);
                reading.0 = None;
                Ok(new)
            }
            Err(error) if old.found.is_none() => Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(
                    error,
                    "a template cannot be read again; the known one is used"
                );
                Ok(Arc::clone(old))
            }
        }
    }

    async fn read(&self, key: &Key) -> Result<Arc<Held>, database::Error> {
        let changes = self.changes.load(Ordering::Acquire);
        let (organization, slug) = (key.organization, &*key.slug);
        let found = store::find_for_call(&self.database, organization, slug, key.version).await?;
        let found = found.and_then(|found| Stored::new(found, self.budget));
        Ok(Arc::new(Held {
            found: found.map(Arc::new),
            as_of: changes,
            doubted: AtomicBool::new(false),
        }))
    }

    /// Doubts what was read while something changed: it was not held yet when others were doubted.
    fn recheck(&self, held: &Held) {
        if self.changes.load(Ordering::Acquire) != held.as_of {
            held.doubted.store(true, Ordering::Release);
        }
    }

    /// Doubts what an organization means by its slugs.
    pub(crate) fn doubt(&self, organization: Id<Organization>) {
        self.doubt_where(|key| key.organization == organization);
    }

    /// Doubts everything: a system template changed, or nobody knows what did.
    pub(crate) fn doubt_all(&self) {
        self.doubt_where(|_| true);
    }

    fn doubt_where(&self, is_meant: impl Fn(&Key) -> bool) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        for (key, held) in &self.held {
            if is_meant(&key) {
                held.doubted.store(true, Ordering::Release);
            }
        }
    }

    /// Reaches the database.
    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.0 {
            held.doubted.store(true, Ordering::Release);
        }
    }
}
