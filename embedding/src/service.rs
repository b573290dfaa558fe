//! The embedder as everybody shares it: never waits for longer than its budget, never fails a request.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metrics::counter;
use moka::sync::Cache;
use tokio::sync::{oneshot, watch};

use crate::breaker::Breaker;
use crate::queue::{Job, Queue};
use crate::{Error, Model, Options, Vector, metric, worker};

/// Texts longer than this are not worth tokenizing to learn that they are over every window. Bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The embedder; cheap to clone.
#[derive(Debug, Clone)]
pub struct Embedder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    queue: Arc<Queue>,
    remembered: Cache<Arc<str>, Vector>,
    breaker: Breaker,
    loaded: OnceLock<Loaded>,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct Loaded {
    id: Arc<str>,
    words: Arc<HashSet<Box<str>>>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Loading,
    Ready,
    Absent,
}

/// Why there is no vector; never an error to a caller of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no model, or not yet.
    #[error("there is no embedding model")]
    Absent,
    /// The text is longer than the model's window.
    #[error("the text is longer than the model's window")]
    TooLong,
    /// Too many texts wait.
    #[error("too many texts wait to be embedded")]
    Full,
    /// It took too long.
    #[error("embedding took too long")]
    Late,
    /// The model is left alone, because it has been failing.
    #[error("the embedding model has been failing")]
    Paused,
    /// The model failed.
    #[error("the embedding model failed")]
    Failed,
}

impl Unavailable {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::TooLong => "too_long",
            Self::Full => "full",
            Self::Late => "late",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

impl Embedder {
    /// Begins to load in the background and returns at once. `load` is called once per thread.
    pub fn start<L>(options: Options, load: L) -> Self
    where
        L: Fn() -> Result<Box<dyn Model>, Error> + Send + Sync + 'static,
    {
        let embedder = Self::unloaded(options, State::Loading);
        let load = Arc::new(load);
        for _ in 0..options.threads.max(1) {
            embedder.spawn(Arc::clone(&load));
        }
        embedder
    }

    /// One that has no model and never will.
    pub fn absent() -> Self {
        Self::unloaded(Options::default(), State::Absent)
    }

    fn unloaded(options: Options, state: State) -> Self {
        let shared = Shared {
            queue: Arc::new(Queue::new(options.queue_texts_max)),
            remembered: Cache::new(options.remembered_texts_max),
            breaker: Breaker::default(),
            loaded: OnceLock::new(),
            state: watch::Sender::new(state),
            options,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A thread owns its model. It holds the queue alone, so that it ends when the last handle is gone.
    fn spawn<L>(&self, load: Arc<L>)
    where
        L: Fn() -> Result<Box<dyn Model>, Error> + Send + Sync + 'static,
    {
        let (queue, weak) = (Arc::clone(&self.shared.queue), Arc::downgrade(&self.shared));
        let batch_max = self.shared.options.batch_texts_max.max(1);
        let work = move || {
            let loaded = load();
            drop(load);
            let Some(shared) = weak.upgrade() else {
                return;
            };
            let Some(mut model) = shared.take_over(loaded) else {
                return;
            };
            drop(shared);
            worker::run(&queue, model.as_mut(), batch_max);
        };
        let spawned = std::thread::Builder::new()
            .name("embedding".to_owned())
            .spawn(work);
        if let Err(error) = spawned {
            tracing::warn!(error = %error, "a thread for embeddings could not be started");
            self.shared.state.send_replace(State::Absent);
        }
    }

    /// Name and version of the model, once it is loaded.
    pub fn id(&self) -> Option<Arc<str>> {
        self.shared
            .loaded
            .get()
            .map(|loaded| Arc::clone(&loaded.id))
    }

    /// The whole words that the model knows, once it is loaded.
    pub fn words(&self) -> Option<Arc<HashSet<Box<str>>>> {
        self.shared
            .loaded
            .get()
            .map(|loaded| Arc::clone(&loaded.words))
    }

    /// Waits until the model is loaded; says whether there is one. For tools and tests: requests never wait.
    pub async fn ready(&self) -> bool {
        let mut state = self.shared.state.subscribe();
        let state = state.wait_for(|state| *state != State::Loading).await;
        state.is_ok_and(|state| *state == State::Ready)
    }

    /// The vector of a text, within the time budget. May be dropped at any time.
    pub async fn embed(&self, text: &str) -> Result<Vector, Unavailable> {
        self.embed_within(text, self.shared.options.budget).await
    }

    /// As [`Embedder::embed`], with a budget of one's own: for work that nobody waits for.
    pub async fn embed_within(&self, text: &str, budget: Duration) -> Result<Vector, Unavailable> {
        if let Some(vector) = self.shared.remembered.get(text) {
            count("remembered");
            return Ok(vector);
        }
        let vector = self.ask(text, budget).await;
        match &vector {
            Ok(vector) => {
                count("embedded");
                self.shared.remembered.insert(text.into(), vector.clone());
            }
            Err(unavailable) => count(unavailable.as_str()),
        }
        vector
    }

    async fn ask(&self, text: &str, budget: Duration) -> Result<Vector, Unavailable> {
        let shared = &self.shared;
        if *shared.state.borrow() != State::Ready {
            return Err(Unavailable::Absent);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unavailable::TooLong);
        }
        let now = Instant::now();
        if shared.breaker.is_open(now) {
            return Err(Unavailable::Paused);
        }
        let (answer, waiting) = oneshot::channel();
        let job = Job {
            text: text.into(),
            deadline: now + budget,
            answer,
        };
        if !shared.queue.push(job) {
            return Err(Unavailable::Full);
        }
        let result = match tokio::time::timeout(budget, waiting).await {
            Ok(Ok(result)) => result,
            // A worker drops what has waited for too long.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Late),
        };
        shared.note(&result);
        result
    }
}

impl Shared {
    fn take_over(&self, loaded: Result<Box<dyn Model>, Error>) -> Option<Box<dyn Model>> {
        match loaded {
            Ok(model) => {
                let _ = self.loaded.set(Loaded {
                    id: model.id().into(),
                    words: Arc::new(model.words()),
                });
                self.state.send_replace(State::Ready);
                Some(model)
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "there is no embedding model; only the exact tiers of the cache answer"
                );
                // Another thread may have loaded it all the same.
                self.state.send_if_modified(|state| {
                    let loading = *state == State::Loading;
                    if loading {
                        *state = State::Absent;
                    }
                    loading
                });
                None
            }
        }
    }

    fn note(&self, result: &Result<Vector, Unavailable>) {
        match result {
            Ok(_) | Err(Unavailable::TooLong) => self.breaker.success(),
            Err(_) if self.breaker.failure(Instant::now()) => {
                tracing::warn!(
                    "the embedding model is left alone for a while; semantic look-ups count as misses"
                );
            }
            Err(_) => {}
        }
    }
}

/// The workers end with the last handle.
impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn count(outcome: &'static str) {
    counter!(metric::TEXTS, "outcome" => outcome).increment(1);
}
