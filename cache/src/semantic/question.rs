//! What may be looked up by meaning: a question in plain words whose answer depends on nothing else.

use types::call::{Call, Part, Role};

use crate::key::{Hash, Key};
use crate::text::{Sketch, normal};

/// Above this temperature a caller wants another answer each time. It is the default of every dialect.
const TEMPERATURE_MAX: f64 = 1.0;

/// A longer text is over every embedder's window. Bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Words whose answer is another one tomorrow, or in another room; lower case.
const PASSING: &[&str] = &[
    "today",
    "tonight",
    "tomorrow",
    "yesterday",
    "now",
    "currently",
    "latest",
    "recent",
    "recently",
    "breaking",
    "weather",
    "forecast",
    "stock",
    "score",
];

/// Words that point at what was said before; lower case.
const POINTING: &[&str] = &[
    "it", "that", "this", "these", "those", "they", "them", "he", "she", "one", "same", "again",
];

/// In a conversation, a text this short depends on what was said before. Words.
const CONVERSATION_WORDS_MIN: usize = 4;

/// A call that may be answered with the answer to a similar one.
#[derive(Debug, Clone)]
pub struct Question {
    pub(crate) key: Key,
    /// The text without its politeness: what is embedded.
    pub(crate) plain: String,
    pub(crate) sketch: Sketch,
    /// Whether its answer is a passing one: then only the normalised tier may answer.
    pub(crate) passing: bool,
}

impl Question {
    /// The question of a call, if there is one in it.
    ///
    /// There is none in what has tools, several answers, anything but text, or more than one text in the last message;
    /// nor where the sampling is wilder than usual.
    pub fn of(call: &Call, key: &Key) -> Option<Self> {
        let parameters = &call.parameters;
        let wild = parameters
            .temperature
            .as_ref()
            .and_then(serde_json::Number::as_f64);
        let plain_call = parameters.tools.is_empty()
            && parameters.n.unwrap_or(1) == 1
            && wild.unwrap_or(TEMPERATURE_MAX) <= TEMPERATURE_MAX
            && key.is_reusable()
            && call.messages.iter().all(is_text);
        let text = plain_call.then(|| last_text(call)).flatten()?;
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0') {
            return None;
        }
        let plain = normal::plain(text);
        let conversation = call
            .messages
            .iter()
            .any(|message| message.role == Role::Assistant);
        (!conversation || stands_alone(&plain)).then(|| Self {
            key: key.clone(),
            sketch: Sketch::of(text),
            passing: has_any(&plain, PASSING),
            plain,
        })
    }

    /// The identity of all calls that differ in politeness at most: `semantic_cache.normalized_hash`.
    pub(crate) fn normalized(&self) -> Hash {
        self.key.with_text(&normal::normal(&self.plain))
    }

    /// The key of the call.
    pub const fn key(&self) -> &Key {
        &self.key
    }
}

fn is_text(message: &types::call::Message) -> bool {
    let text = message
        .content
        .iter()
        .all(|part| matches!(part, Part::Text(_)));
    text && message.tool_calls.is_empty() && message.role != Role::Tool
}

/// The text of the last message, which must be the user's, in one piece.
fn last_text(call: &Call) -> Option<&str> {
    let last = call
        .messages
        .last()
        .filter(|message| message.role == Role::User)?;
    match last.content.as_slice() {
        [Part::Text(text)] => Some(text),
        _ => None,
    }
}

fn stands_alone(text: &str) -> bool {
    text.split_whitespace().count() >= CONVERSATION_WORDS_MIN && !has_any(text, POINTING)
}

fn has_any(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|own| words.iter().any(|word| own.eq_ignore_ascii_case(word)))
}
