//! What is handed to the cache, what it keeps, and what it gives back.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use embedding::Vector;
use types::call::Endpoint;
use types::id::{ApiKey, CacheAnswer, CacheEntry, Organization};
use types::reply::{Answer, Choice};
use types::{Id, Usage};

use crate::Key;
use crate::key::Hash;
use crate::semantic::Trace;

/// What an entry weighs besides its texts: the row, the maps' nodes, the reference counts. Bytes, rounded up.
const OVERHEAD_BYTES: usize = 512;

/// The longest model and provider names that the columns hold, in characters.
const MODEL_CHARS_MAX: usize = 255;
const PROVIDER_CHARS_MAX: usize = 100;

/// A fresh answer, offered to the cache.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The call that was answered.
    pub key: Key,
    /// The kind of work.
    pub endpoint: Endpoint,
    /// The provider that answered.
    pub provider: Arc<str>,
    /// What it answered.
    pub answer: Arc<Answer>,
    /// The last text of the user, as far as the organization's privacy settings let it be kept; may be empty.
    pub prompt_text: String,
    /// What the look-up by meaning found out, if there was one.
    pub trace: Option<Box<Trace>>,
}

/// An answer that was given before.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The entry, for `x-flowpilot-cache-entry` and feedback.
    pub entry: Id<CacheEntry>,
    /// The answer.
    pub answer: Arc<Answer>,
    /// How long ago it was given first.
    pub age: Duration,
    /// The provider that gave it.
    pub provider: Arc<str>,
    /// The model as it was asked for: [`Key::model`].
    pub model: Arc<str>,
    /// What it used then, and would have used now.
    pub usage: Usage,
    /// How the answer was found.
    pub tier: Tier,
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tier {
    /// By the same call.
    Exact,
    /// By the same call, but for politeness and white space.
    Normalized,
    /// By a call of the same meaning.
    Semantic {
        /// The log odds that it is right.
        score: f32,
    },
}

/// Why an offered answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Broken off, cut short, filtered, refused, or asking for tools.
    Incomplete,
    /// The provider did not say what it used.
    WithoutUsage,
    /// Larger than the limit of one entry.
    TooLarge,
    /// It has what the columns cannot hold: a name too long, or a zero character.
    Unstorable,
}

/// An answer as the cache keeps it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: Id<CacheEntry>,
    pub(crate) organization: Id<Organization>,
    pub(crate) model: Arc<str>,
    pub(crate) provider: Arc<str>,
    pub(crate) answer: Arc<Answer>,
    pub(crate) usage: Usage,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// A row on its way to the database.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) endpoint: Endpoint,
    pub(crate) prompt_text: String,
    pub(crate) producer: Option<Id<ApiKey>>,
    pub(crate) stored: Arc<Stored>,
    pub(crate) normalized: Option<Hash>,
    pub(crate) meaning: Option<Meaning>,
}

/// What a row needs to be found by meaning.
#[derive(Debug)]
pub(crate) struct Meaning {
    pub(crate) embedder: Arc<str>,
    pub(crate) vector: Vector,
    pub(crate) answer: Id<CacheAnswer>,
    pub(crate) answer_vector: Option<Vector>,
}

impl Entry {
    /// Whether the answer may be kept, and what it used.
    pub(crate) fn admit(&self, bytes_max: usize) -> Result<Usage, Unfit> {
        let answer = &self.answer;
        if !answer.is_complete() || !answer.choices.iter().all(is_plain) {
            return Err(Unfit::Incomplete);
        }
        let usage = answer.usage.ok_or(Unfit::WithoutUsage)?;
        if answer_bytes(answer) + self.prompt_text.len() > bytes_max {
            return Err(Unfit::TooLarge);
        }
        if !self.is_storable() {
            return Err(Unfit::Unstorable);
        }
        Ok(usage)
    }

    fn is_storable(&self) -> bool {
        let names = [self.key.model(), &self.answer.model, &self.prompt_text];
        let mut texts = self.answer.choices.iter().flat_map(texts).chain(names);
        self.key.model().chars().count() <= MODEL_CHARS_MAX
            && self.provider.chars().count() <= PROVIDER_CHARS_MAX
            && !texts.any(|text| text.contains('\0'))
    }
}

impl Unfit {
    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::WithoutUsage => "without_usage",
            Self::TooLarge => "too_large",
            Self::Unstorable => "unstorable",
        }
    }
}

impl Stored {
    /// What it weighs in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        answer_bytes(&self.answer) + self.model.len() + self.provider.len() + OVERHEAD_BYTES
    }

    /// The hit that it is now, if it is neither expired nor older than asked for.
    pub(crate) fn hit(&self, now: DateTime<Utc>, age_max: Option<Duration>) -> Option<Hit> {
        // A row that another machine wrote may be from a clock slightly ahead of ours.
        let age = (now - self.created_at).to_std().unwrap_or_default();
        let stale = self.expires_at <= now || age_max.is_some_and(|max| age > max);
        (!stale).then(|| Hit {
            entry: self.id,
            answer: Arc::clone(&self.answer),
            age,
            provider: Arc::clone(&self.provider),
            model: Arc::clone(&self.model),
            usage: self.usage,
            tier: Tier::Exact,
        })
    }
}

/// Whether it is a plain answer, which alone means the same when it is given again.
fn is_plain(choice: &Choice) -> bool {
    let says_something = choice.text.as_ref().is_some_and(|text| !text.is_empty());
    says_something && choice.tool_calls.is_empty() && choice.refusal.is_none()
}

fn answer_bytes(answer: &Answer) -> usize {
    let texts = answer.choices.iter().flat_map(texts);
    texts.map(str::len).sum::<usize>() + answer.model.len()
}

fn texts(choice: &Choice) -> impl Iterator<Item = &str> {
    let texts = [&choice.text, &choice.reasoning, &choice.refusal];
    texts.into_iter().filter_map(|text| text.as_deref())
}

#[cfg(test)]
mod tests {
    use types::call::ToolCall;
    use types::reply::Finish;

    use super::*;
    use crate::testing;

    /// A change to an answer, and what comes of it.
    type Change = (fn(&mut Answer), Unfit);

    #[test]
    fn only_a_whole_plain_answer_with_its_usage_is_kept() {
        const BYTES_MAX: usize = 100;
        const CHANGES: &[Change] = &[
            (|a| a.choices.clear(), Unfit::Incomplete),
            (|a| a.choices[0].finish = None, Unfit::Incomplete),
            (
                |a| a.choices[0].finish = Some(Finish::Length),
                Unfit::Incomplete,
            ),
            (
                |a| a.choices[0].finish = Some(Finish::ContentFilter),
                Unfit::Incomplete,
            ),
            (
                |a| a.choices[0].tool_calls.push(ToolCall::default()),
                Unfit::Incomplete,
            ),
            (
                |a| a.choices[0].refusal = Some("no".into()),
                Unfit::Incomplete,
            ),
            (|a| a.usage = None, Unfit::WithoutUsage),
            (
                |a| a.choices[0].text = Some("x".repeat(BYTES_MAX)),
                Unfit::TooLarge,
            ),
            (
                |a| a.choices[0].text = Some("a\0b".into()),
                Unfit::Unstorable,
            ),
        ];

        let entry = testing::entry(&testing::caller(1), "question", "answer");
        assert!(entry.admit(BYTES_MAX).is_ok());
        for (change, unfit) in CHANGES {
            let mut changed = entry.clone();
            change(Arc::make_mut(&mut changed.answer));
            assert_eq!(changed.admit(BYTES_MAX), Err(*unfit));
        }
    }
}
