//! The cache under evaluation, with a database of its own and one caller.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache::{Alike, Cache, Control, Entry, Hit, Key, Question, Resources, Trace};
use database::testing::TestDatabase;
use embedding::{Embedder, Model};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::call::{Call, Delivery, Dialect, Endpoint, Message, Parameters, Role};
use types::reply::{Assembly, Delta, Event, Finish};
use types::{Caller, Permissions, Principal, SystemClock, Usage};

use super::Options;
use super::vectors::Remembering;

/// Nothing is timed here: a busy machine must not turn hits into misses.
const PATIENCE: Duration = Duration::from_mins(1);

/// The model that is asked, in name.
const MODEL: &str = "demo/demo";

/// Everything that one run needs.
pub(super) struct Setting {
    _database: TestDatabase,
    cache: Cache,
    pub(super) caller: Caller,
}

/// What the cache said.
pub(super) enum Said {
    Hit(Hit),
    Miss(Key, Option<Box<Trace>>),
}

impl Setting {
    pub(super) async fn new(options: &Options) -> anyhow::Result<Self> {
        let database = TestDatabase::new().await;
        let seed = database.seed_organization("evaluated").await;
        let budget = embedding::Options {
            budget: PATIENCE,
            remembered_texts_max: 100_000,
            ..embedding::Options::default()
        };
        let embedder = Embedder::start(budget, || {
            let model =
                Remembering::load().map_err(|error| embedding::Error::Missing(error.into()))?;
            Ok(Box::new(model) as Box<dyn Model>)
        });
        anyhow::ensure!(embedder.ready().await, "there is no embedding model");
        let cache_options = cache::Options {
            semantic: true,
            delta: options.delta,
            seed: Some(options.seed),
            lookup_timeout: PATIENCE,
            shard_questions_max: 100_000,
            semantic_questions_max: 1_000_000,
            lessons_max: 100_000,
            write_queue_entries_max: 100_000,
            ..cache::Options::default()
        };
        let resources = Resources {
            database: database.database().clone(),
            clock: Arc::new(SystemClock),
            embedder,
        };
        let cache = Cache::start(
            cache_options,
            resources,
            &TaskTracker::new(),
            &CancellationToken::new(),
        );
        Ok(Self {
            _database: database,
            cache,
            caller: Caller {
                organization: seed.organization,
                principal: Principal::User(seed.user),
                permissions: Permissions::all_of_a_tenant(),
                department: None,
            },
        })
    }

    /// Asks as the gateway does. `context` keeps what has another one apart.
    pub(super) async fn ask(&self, context: &str, text: &str) -> Said {
        let call = call(context, text);
        let key = Key::of(&call, self.caller.organization, MODEL);
        if let Some(hit) = self.cache.lookup(&key, &self.caller, Control::ALL).await {
            return Said::Hit(hit);
        }
        let Some(question) = Question::of(&call, &key) else {
            return Said::Miss(key, None);
        };
        match self
            .cache
            .lookup_alike(question, &self.caller, Control::ALL)
            .await
        {
            Alike::Hit(hit) => Said::Hit(hit),
            Alike::Miss(trace) => Said::Miss(key, Some(trace)),
        }
    }

    /// Stores the provider's answer, and waits until it was compared.
    pub(super) async fn answer(
        &self,
        key: Key,
        trace: Option<Box<Trace>>,
        text: &str,
        answer: &str,
    ) {
        let entry = Entry {
            key,
            endpoint: Endpoint::Chat,
            provider: "demo".into(),
            answer: Arc::new(assembled(answer)),
            prompt_text: text.to_owned(),
            trace,
        };
        self.cache.store(entry, &self.caller, Control::ALL);
        self.cache.settled().await;
    }

    pub(super) async fn stop(self) {
        self.cache.stop().await;
    }
}

fn call(context: &str, text: &str) -> Call {
    let mut messages = vec![Message::text(Role::User, text)];
    if !context.is_empty() {
        messages.insert(0, Message::text(Role::System, context));
    }
    Call {
        dialect: Dialect::Openai,
        endpoint: Endpoint::Chat,
        model: "default".to_owned(),
        messages,
        parameters: Parameters::default(),
        delivery: Delivery::Whole,
        version: None,
        template: None,
        body: Bytes::new(),
    }
}

fn assembled(text: &str) -> types::reply::Answer {
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
            input_tokens: 10,
            output_tokens: 40,
            ..Usage::default()
        }),
    ];
    let mut assembly = Assembly::default();
    for event in &events {
        assembly.add(event);
    }
    assembly.into_answer()
}
