//! A call made ready: authenticated, rendered, and bound to the deployment that will answer it.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use types::call::{Call, Dialect, Part};
use types::id::Request;
use types::{Caller, Id};

use crate::route::Deployment;

/// Everything that is known before the first look-up, and never changes after it.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The request's identity, in the answer's headers, the journal and the ledger.
    pub(crate) request: Id<Request>,
    /// When it was admitted: the time it is booked at.
    pub(crate) at: DateTime<Utc>,
    /// The same moment on the clock that only runs forward, for durations.
    pub(crate) received: Instant,
    /// Who asks.
    pub(crate) caller: Caller,
    /// What is asked.
    pub(crate) call: Call,
    /// Who will answer.
    pub(crate) deployment: Arc<Deployment>,
}

/// An upper limit of what a prompt may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Input tokens at most.
    pub(crate) input_tokens_max: u64,
    /// Output tokens at most.
    pub(crate) output_tokens_max: u64,
}

/// Tokens a provider adds around one message at most: role marks and separators. OpenAI documents 3 to 4.
const MESSAGE_TOKENS_MAX: u64 = 16;
/// Tokens of one image at most. Large images are tiled; the dearest published case stays below this.
const IMAGE_TOKENS_MAX: u64 = 16_384;
/// Tokens of one second of sound are about 32; a byte of compressed sound is never worth a whole token.
const AUDIO_BYTES_PER_TOKEN: u64 = 1;

impl Prompt {
    /// Estimates from above: a token is never less than a byte of text.
    pub(crate) fn estimate(&self, output_tokens_default: u64) -> Estimate {
        let parameters = &self.call.parameters;
        let answers = parameters.n.unwrap_or(1);
        let per_answer = parameters
            .output_tokens_max
            .unwrap_or(output_tokens_default);
        Estimate {
            input_tokens_max: self.input_tokens_max(),
            output_tokens_max: per_answer.saturating_mul(answers),
        }
    }

    fn input_tokens_max(&self) -> u64 {
        let parts = self
            .call
            .messages
            .iter()
            .flat_map(|message| &message.content);
        let parts: u64 = parts.map(part_tokens_max).sum();
        let calls = self
            .call
            .messages
            .iter()
            .flat_map(|message| &message.tool_calls);
        let calls: u64 = calls
            .map(|call| length(&call.arguments) + length(&call.name))
            .sum();
        let messages = count(self.call.messages.len()) * MESSAGE_TOKENS_MAX;
        parts + calls + messages + self.definitions_bytes()
    }

    /// Tools, schemas and unknown parameters: they are few, and in the body byte for byte.
    fn definitions_bytes(&self) -> u64 {
        let parameters = &self.call.parameters;
        if parameters.tools.is_empty()
            && parameters.response_format.is_none()
            && parameters.extra.is_empty()
        {
            return 0;
        }
        count(self.call.body.len())
    }

    /// Whether the provider speaks the client's dialect, so that bytes can pass through.
    pub(crate) fn is_pass_through(&self, provider: Dialect) -> bool {
        self.call.dialect == provider
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

fn part_tokens_max(part: &Part) -> u64 {
    match part {
        Part::Text(text) => length(text),
        Part::Image { .. } => IMAGE_TOKENS_MAX,
        Part::Audio { data, .. } => length(data) / AUDIO_BYTES_PER_TOKEN,
        Part::Other(value) => count(value.to_string().len()),
    }
}

fn length(text: &str) -> u64 {
    count(text.len())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
