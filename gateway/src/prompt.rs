//! A call made ready: authenticated, rendered, and bound to the deployment that will answer it.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use metering::{Attribution, Estimate, Spender};
use types::call::{Call, Endpoint, Part};
use types::id::Request;
use types::{Caller, Id};

use crate::provider::Provider;
use crate::route::Deployment;

/// Everything that is known before the first look-up, and never changes after it.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    /// The request's identity, in the answer's headers, the journal and the ledger.
    pub(crate) request: Id<Request>,
    /// When it was admitted: the time it is booked at.
    pub(crate) at: DateTime<Utc>,
    /// The same moment on the clock that only runs forward, for durations.
    pub(crate) received: Instant,
    /// Who asks.
    pub(crate) caller: Caller,
    /// What it is for.
    pub(crate) attribution: Attribution,
    /// What is asked.
    pub(crate) call: Call,
    /// Who will answer.
    pub(crate) deployment: Arc<Deployment>,
}

/// Tokens a provider adds around one message at most: role marks and separators. OpenAI documents 3 to 4.
const MESSAGE_TOKENS_MAX: u64 = 16;
/// Tokens of one image at most. Large images are tiled; the dearest published case stays below this.
const IMAGE_TOKENS_MAX: u64 = 16_384;
/// Tokens at most of what the provider fetches itself, and whose size is not known here: no model takes more.
const REMOTE_TOKENS_MAX: u64 = 2_097_152;
/// Fields that name such a thing, as they are written in JSON.
const REMOTE_FIELDS: [&[u8]; 7] = [
    b"\"file_id\"",
    b"\"file_uri\"",
    b"\"fileUri\"",
    b"\"file_url\"",
    b"\"cached_content\"",
    b"\"cachedContent\"",
    b"\"previous_response_id\"",
];

/// Searches of one answer that may search the web, at most: providers publish no limit, and say what was searched only at the end.
const WEB_SEARCHES_MAX: u64 = 10;
/// What tools are called that search the web.
const SEARCH_TOOLS: [&[u8]; 3] = [b"web_search", b"google_search", b"googleSearch"];

impl Prompt {
    /// The same prompt for a deployment: itself if it is that one's already. Copied only where somebody else holds it.
    pub(crate) fn at(prompt: Arc<Self>, deployment: &Arc<Deployment>) -> Arc<Self> {
        if Arc::ptr_eq(&prompt.deployment, deployment) {
            return prompt;
        }
        Arc::new(Self {
            deployment: Arc::clone(deployment),
            ..Arc::unwrap_or_clone(prompt)
        })
    }

    /// The time of day, as the request knows it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.at + self.received.elapsed()
    }

    /// Who spends, and what for.
    pub(crate) const fn spender(&self) -> Spender<'_> {
        Spender {
            caller: &self.caller,
            attribution: &self.attribution,
        }
    }

    /// Answers that are asked for.
    pub(crate) fn answers(&self) -> u64 {
        self.call.parameters.n.unwrap_or(1)
    }

    /// Searches that are reserved for: none where the body names no such tool.
    pub(crate) fn web_searches_max(&self) -> u64 {
        if self.names(&SEARCH_TOOLS) {
            WEB_SEARCHES_MAX
        } else {
            0
        }
    }

    /// Estimates from above: a token is never less than a byte of the body, media apart, whose bytes say little.
    pub(crate) fn estimate(&self, output_tokens_default: u32) -> Estimate {
        if self.call.endpoint == Endpoint::Embeddings {
            return Estimate {
                input_tokens_max: self.input_tokens_max(),
                output_tokens_max: 0,
            };
        }
        let parameters = &self.call.parameters;
        let per_answer = parameters
            .output_tokens_max
            .unwrap_or(output_tokens_default.into());
        Estimate {
            input_tokens_max: self.input_tokens_max(),
            output_tokens_max: per_answer.saturating_mul(self.answers()),
        }
    }

    /// The limit of one answer that has to be sent along, because the caller set none.
    pub(crate) fn missing_cap(&self, output_tokens_default: u32) -> Option<u64> {
        let is_missing = self.call.parameters.output_tokens_max.is_none()
            && self.call.endpoint != Endpoint::Embeddings;
        is_missing.then_some(output_tokens_default.into())
    }

    fn input_tokens_max(&self) -> u64 {
        let parts = self
            .call
            .messages
            .iter()
            .flat_map(|message| &message.content);
        let (mut media_bytes, mut media_tokens) = (0, 0);
        for part in parts {
            match part {
                Part::Image { url, .. } => {
                    media_bytes += count(url.len());
                    media_tokens += IMAGE_TOKENS_MAX;
                }
                Part::Document { url, .. } if !url.starts_with("data:") => {
                    media_tokens += REMOTE_TOKENS_MAX;
                }
                Part::Text(_) | Part::Audio { .. } | Part::Document { .. } | Part::Other(_) => {}
            }
        }
        if self.names(&REMOTE_FIELDS) {
            media_tokens += REMOTE_TOKENS_MAX;
        }
        let messages = count(self.call.messages.len()) * MESSAGE_TOKENS_MAX;
        count(self.call.body.len()).saturating_sub(media_bytes) + media_tokens + messages
    }

    /// Whether one of these stands in the body; in a text, a quotation mark has a backslash before it.
    fn names(&self, names: &[&[u8]]) -> bool {
        let body = &self.call.body;
        let mut found = names.iter().map(|name| memchr::memmem::find(body, name));
        found.any(|at| at.is_some())
    }

    /// Whether the provider speaks the client's dialect, so that bytes can pass through.
    pub(crate) fn is_pass_through(&self, provider: &dyn Provider) -> bool {
        // No provider is asked in the form of items yet (decision 0049).
        self.call.dialect == provider.dialect() && self.call.endpoint != Endpoint::Responses
    }

    /// Whether the client is shown what the model thought, in the dialects where it has to ask for that.
    pub(crate) fn shows_reasoning(&self) -> bool {
        self.call.parameters.reasoning_shown == Some(true)
    }

    /// All text of the conversation, as `ai_requests.prompt_text` keeps it, cut at so many bytes.
    pub(crate) fn text(&self, bytes_max: usize) -> String {
        let mut text = String::new();
        for message in &self.call.messages {
            if text.len() > bytes_max {
                break;
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(role_word(message.role));
            text.push_str(": ");
            message.write_text(&mut text);
        }
        text
    }
}

const fn role_word(role: types::call::Role) -> &'static str {
    match role {
        types::call::Role::System => "system",
        types::call::Role::User => "user",
        types::call::Role::Assistant => "assistant",
        types::call::Role::Tool => "tool",
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
