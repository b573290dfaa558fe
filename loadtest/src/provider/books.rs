//! The provider's own record of what it served and charges for; the truth that the gateway's ledger is held against.
//!
//! A call is entered when it has been understood, with everything the answer will cost, because a provider goes on
//! generating when its client leaves. Only what the provider itself does changes that: a refusal costs nothing, and a
//! cut is charged for what was generated until then.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::plan::Tokens;
use crate::clock;

/// One call, as the provider booked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The id in the answer: `chatcmpl-…`, `msg_…`, or Gemini's `responseId`; a refusal's is in its `x-request-id`.
    pub id: String,
    /// `openai`, `anthropic` or `gemini`.
    pub dialect: String,
    /// As the client named it.
    pub model: String,
    /// Whether it was asked to stream.
    pub stream: bool,
    /// The HTTP status answered.
    pub status: u16,
    /// Whether the last byte was handed to the connection.
    pub completed: bool,
    /// Input, cache reads included.
    pub input_tokens: u64,
    /// The part of the input that came from the provider's cache.
    pub cache_read_tokens: u64,
    /// The part of the input that was written to the provider's cache for five minutes.
    #[serde(default)]
    pub cache_write_5m_tokens: u64,
    /// The part of the input that was written to it for an hour.
    #[serde(default)]
    pub cache_write_1h_tokens: u64,
    /// Output, reasoning included.
    pub output_tokens: u64,
    /// The part of the output that is reasoning.
    pub reasoning_tokens: u64,
    /// When the call came in.
    pub at: DateTime<Utc>,
    /// What the prompt wanted written beside the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// The sums over the calls of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Calls, refused ones included.
    pub calls: u64,
    /// Calls whose last byte was handed to the connection with status 200.
    pub completed: u64,
    /// Sum of `input_tokens`.
    pub input_tokens: u64,
    /// Sum of `cache_read_tokens`.
    pub cache_read_tokens: u64,
    /// Sum of `output_tokens`.
    pub output_tokens: u64,
    /// Sum of `reasoning_tokens`.
    pub reasoning_tokens: u64,
}

/// What `GET /books` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// In the order in which they came in.
    pub calls: Vec<Call>,
    /// By model.
    pub totals: BTreeMap<String, Total>,
}

/// The books of one mock; cheap to clone.
#[derive(Debug, Clone)]
pub struct Books {
    inner: Arc<Mutex<Inner>>,
    calls_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<Call>,
    /// Counts the times the books were cleared, so that a call in flight then does not touch a newer one.
    generation: u64,
    turned_away: u64,
}

/// A call's place in the books, while it is being answered.
#[derive(Debug)]
pub struct Entry {
    books: Books,
    position: usize,
    generation: u64,
}

impl Books {
    /// Empty books with room for this many calls.
    pub fn new(calls_max: usize) -> Self {
        Self {
            inner: Arc::default(),
            calls_max,
        }
    }

    /// Enters a call; none when the books are full.
    pub fn open(&self, call: Call) -> Option<Entry> {
        let mut inner = self.inner.lock();
        if inner.calls.len() >= self.calls_max {
            inner.turned_away += 1;
            return None;
        }
        inner.calls.push(call);
        Some(Entry {
            books: self.clone(),
            position: inner.calls.len() - 1,
            generation: inner.generation,
        })
    }

    /// Everything booked so far.
    pub fn statement(&self) -> Statement {
        let calls = self.inner.lock().calls.clone();
        Statement {
            totals: totals(&calls),
            calls,
        }
    }

    /// The sums by model.
    pub fn totals(&self) -> BTreeMap<String, Total> {
        totals(&self.inner.lock().calls)
    }

    /// Calls in the books.
    pub fn len(&self) -> usize {
        self.inner.lock().calls.len()
    }

    /// Whether nothing was booked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls turned away because the books were full.
    pub fn turned_away(&self) -> u64 {
        self.inner.lock().turned_away
    }

    /// Forgets every call.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.calls.clear();
        inner.generation += 1;
    }
}

impl Entry {
    /// The last byte was handed to the connection.
    pub fn complete(&self) {
        self.change(|call| call.completed = true);
    }

    /// The mock broke off after this many output tokens.
    pub fn cut(&self, output_tokens: u64) {
        self.change(|call| call.output_tokens = output_tokens);
    }

    fn change(&self, change: impl FnOnce(&mut Call)) {
        let mut inner = self.books.inner.lock();
        if inner.generation != self.generation {
            return;
        }
        if let Some(call) = inner.calls.get_mut(self.position) {
            change(call);
        }
    }
}

impl Call {
    /// A call that comes in now, charged in full.
    pub fn new(id: String, dialect: &str, model: &str, tokens: Tokens) -> Self {
        Self {
            id,
            dialect: dialect.to_owned(),
            model: model.to_owned(),
            stream: false,
            status: 200,
            completed: false,
            input_tokens: tokens.input,
            cache_read_tokens: tokens.cache_read,
            cache_write_5m_tokens: tokens.cache_write_5m,
            cache_write_1h_tokens: tokens.cache_write_1h,
            output_tokens: tokens.output,
            reasoning_tokens: tokens.reasoning,
            at: clock::now(),
            mark: None,
        }
    }
}

fn totals(calls: &[Call]) -> BTreeMap<String, Total> {
    let mut totals = BTreeMap::<String, Total>::new();
    for call in calls {
        match totals.get_mut(&call.model) {
            Some(total) => total.add(call),
            None => totals.entry(call.model.clone()).or_default().add(call),
        }
    }
    totals
}

impl Total {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.completed += u64::from(call.completed && call.status == 200);
        self.input_tokens += call.input_tokens;
        self.cache_read_tokens += call.cache_read_tokens;
        self.output_tokens += call.output_tokens;
        self.reasoning_tokens += call.reasoning_tokens;
    }
}
