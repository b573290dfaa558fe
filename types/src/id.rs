//! Typed identifiers: a `UUIDv7` that knows what it identifies, so that two kinds cannot be mixed up.
//!
//! The uuid is made by the application from the clock it is given (RFC 9562, section 5.7):
//! new rows land at the end of their index, and tests decide the time.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::Clock;

/// An identifier of a `T`.
pub struct Id<T> {
    uuid: Uuid,
    kind: PhantomData<fn() -> T>,
}

/// What an [`Id`] can identify. The types are never made; they only name a kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $name {})*
    };
}

kinds! {
    /// A tenant: table `organizations`.
    Organization,
    /// A key for programs: table `api_keys`.
    ApiKey,
    /// A person: table `users`.
    User,
    /// A team inside an organization: table `departments`.
    Department,
    /// One admitted AI request: table `ai_requests`.
    Request,
    /// One booked fact: table `usage_events`.
    Event,
    /// A slice of a quota held by one node: table `metering.quota_leases`.
    Lease,
    /// A limit of one organization: table `usage_quotas`.
    Quota,
    /// A limit of a part of an organization: table `metering.budgets`.
    Budget,
    /// What a model costs in one span of time: table `metering.prices`.
    Price,
    /// What is put on top of providers' prices: table `metering.markups`.
    Markup,
    /// A closed billing period: table `metering.invoices`.
    Invoice,
    /// A stored answer: table `semantic_cache`.
    CacheEntry,
    /// Answers that say the same: `semantic_cache.answer_id`.
    CacheAnswer,
    /// A gateway process with its own journal, stable across restarts.
    Node,
    /// A workflow: table `workflows`.
    Workflow,
    /// One run of a workflow: table `workflow_executions`.
    Execution,
    /// One step of a run: table `execution_steps`.
    Step,
    /// A prompt template: table `prompt_templates`.
    Template,
    /// What a model's name means to one organization: table `gateway.routes`.
    Route,
}

impl<T> Id<T> {
    /// A new identifier whose time part is the clock's present.
    pub fn new(clock: &dyn Clock) -> Self {
        let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let random: [u8; 10] = rand::random();
        Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The identifier that a name always gives inside this one (`UUIDv5`, RFC 9562, section 5.5).
    ///
    /// Used where the same fact must get the same id however often it is written.
    pub fn derive<U>(&self, name: &str) -> Id<U> {
        Id::from_uuid(Uuid::new_v5(&self.uuid, name.as_bytes()))
    }

    /// Takes a uuid read from the database or the wire.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The plain uuid, for the database.
    pub const fn uuid(&self) -> Uuid {
        self.uuid
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<T> Eq for Id<T> {}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uuid, f)
    }
}

impl<T> FromStr for Id<T> {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self::from_uuid)
    }
}

impl<T> From<Uuid> for Id<T> {
    fn from(uuid: Uuid) -> Self {
        Self::from_uuid(uuid)
    }
}

impl<T> From<Id<T>> for Uuid {
    fn from(id: Id<T>) -> Self {
        id.uuid
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::from_uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestClock;

    #[test]
    fn ids_made_later_sort_later() {
        let clock = TestClock::at("2026-11-22T10:00:00Z");
        let first: Id<Request> = Id::new(&clock);
        clock.advance(std::time::Duration::from_millis(1));
        let second: Id<Request> = Id::new(&clock);

        assert!(first < second);
        assert_eq!(first.uuid().get_version_num(), 7);
    }

    #[test]
    fn the_same_name_derives_the_same_id_and_another_name_another() {
        let request: Id<Request> = Id::new(&TestClock::at("2026-01-01T00:00:00Z"));
        let event: Id<Event> = request.derive("attempt-1");

        assert_eq!(event, request.derive("attempt-1"));
        assert_ne!(event, request.derive("attempt-2"));
    }
}
