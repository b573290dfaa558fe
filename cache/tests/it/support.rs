//! A database, a clock and callers, and how to wait for something.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be arranged has failed"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::{Cache, Control, Entry, Hit, Key, Options, Resources};
use database::Database;
use database::testing::TestDatabase;
use embedding::Embedder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::call::{Call, Delivery, Dialect, Endpoint, Message, Parameters, Role};
use types::id::Organization;
use types::reply::{Assembly, Delta, Event, Finish};
use types::{Caller, Clock, Id, Permissions, Principal, TestClock, Usage};

/// How long an answer may be given again in these tests.
pub(crate) const TTL: Duration = Duration::from_hours(1);

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A test's surroundings.
pub(crate) struct Setting {
    pub(crate) test: TestDatabase,
    pub(crate) clock: Arc<TestClock>,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        Self {
            test: TestDatabase::new().await,
            clock: Arc::new(TestClock::at("2026-11-22T10:00:00Z")),
            tracker: TaskTracker::new(),
            token: CancellationToken::new(),
        }
    }

    /// A member of a new organization who may read and write the cache.
    pub(crate) async fn caller(&self, name: &str) -> Caller {
        let seed = self.test.seed_organization(name).await;
        Caller {
            organization: seed.organization,
            principal: Principal::User(seed.user),
            permissions: Permissions::all_of_a_tenant(),
            department: None,
        }
    }

    /// A cache as a machine of its own would have it.
    pub(crate) fn cache(&self) -> Cache {
        self.cache_on(self.test.database().clone())
    }

    pub(crate) fn cache_on(&self, database: Database) -> Cache {
        let options = Options {
            enabled: true,
            ttl: TTL,
            memory_bytes_max: 1 << 20,
            entry_bytes_max: 1 << 16,
            write_queue_entries_max: 100,
            lookup_timeout: PATIENCE,
            known_keys_max: 1000,
            ..Options::default()
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let resources = Resources {
            database,
            clock,
            embedder: Embedder::absent(),
        };
        Cache::start(options, resources, &self.tracker, &self.token)
    }

    /// What the table has, past row-level security: the count of rows that meet the condition.
    pub(crate) async fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM semantic_cache WHERE {condition}");
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
        count.fetch_one(&self.test.admin()).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.test.admin()).await.unwrap();
    }
}

pub(crate) fn key(organization: Id<Organization>, question: &str) -> Key {
    let call = Call {
        dialect: Dialect::Openai,
        endpoint: Endpoint::Chat,
        model: "default".to_owned(),
        messages: vec![Message::text(Role::User, question)],
        parameters: Parameters::default(),
        delivery: Delivery::Whole,
        template: None,
        version: None,
        body: Bytes::new(),
    };
    Key::of(&call, organization, "demo/demo")
}

pub(crate) fn entry(caller: &Caller, question: &str, text: &str) -> Entry {
    let events = [
        Event::Start {
            model: "demo-1".to_owned(),
        },
        Event::Delta {
            choice: 0,
            delta: Delta::Text(text.to_owned()),
        },
        Event::Finish {
            choice: 0,
            finish: Finish::Stop,
        },
        Event::Usage(Usage {
            input_tokens: 3,
            output_tokens: 5,
            ..Usage::default()
        }),
    ];
    let mut assembly = Assembly::default();
    for event in &events {
        assembly.add(event);
    }
    Entry {
        key: key(caller.organization, question),
        endpoint: Endpoint::Chat,
        provider: "demo".into(),
        answer: Arc::new(assembly.into_answer()),
        prompt_text: question.to_owned(),
        trace: None,
    }
}

pub(crate) async fn ask(cache: &Cache, caller: &Caller, question: &str) -> Option<Hit> {
    let key = key(caller.organization, question);
    cache.lookup(&key, caller, Control::ALL).await
}

pub(crate) fn text(hit: Option<&Hit>) -> Option<&str> {
    hit.map(|hit| hit.answer.first_text())
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while !condition().await {
            look.tick().await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, wait).await;
    assert!(held.is_ok(), "waited in vain: {what}");
}
