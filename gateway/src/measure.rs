//! Measures an answer while it passes: what it says, what it used, when it began.

use std::time::Instant;

use types::call::Part;
use types::reply::{Answer, Assembly, Event};
use types::{Usage, UsageSource};

use crate::prompt::Prompt;

/// Bytes of text per token, for an estimate: English has about four. Code and dense scripts have fewer, so that their
/// estimate is too low; the provider's own count replaces it wherever there is one.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of an image: OpenAI counts 765 for one of 1024 × 1024 points, Gemini 258 a tile, Anthropic about 1,400.
const IMAGE_TOKENS: u64 = 1_024;
/// Base64 bytes of sound per token: Gemini counts 32 tokens a second, in which MP3 of 128 kbit/s has 21,000 such bytes.
const AUDIO_BYTES_PER_TOKEN: u64 = 667;
/// Base64 bytes of a document per token: a page of a usual PDF has about 66,000 and comes to some 1,500 tokens.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 44;
/// Tokens of a document of which only the address is known: ten pages.
const DOCUMENT_TOKENS: u64 = 15_000;

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    assembly: Assembly,
    first_at: Option<Instant>,
    /// Whether the provider said everything it had to say: usage told before that is only part of it.
    complete: bool,
}

impl Measure {
    /// A whole answer, which began when it was complete.
    pub(crate) fn of(answer: Answer) -> Self {
        Self {
            assembly: Assembly::from(answer),
            first_at: Some(Instant::now()),
            complete: true,
        }
    }

    /// Takes note of events as they pass.
    pub(crate) fn observe(&mut self, events: &[Event]) {
        if self.first_at.is_none() && !events.is_empty() {
            self.first_at = Some(Instant::now());
        }
        for event in events {
            self.assembly.add(event);
        }
    }

    /// The provider came to its end.
    pub(crate) const fn end(&mut self) {
        self.complete = true;
    }

    /// The answer so far.
    pub(crate) const fn answer(&self) -> &Answer {
        self.assembly.answer()
    }

    /// The answer.
    pub(crate) fn into_answer(self) -> Answer {
        self.assembly.into_answer()
    }

    /// When the first event came.
    pub(crate) const fn first_at(&self) -> Option<Instant> {
        self.first_at
    }

    /// What was used: as the provider said at its end, or else estimated from the text that went in and came out.
    ///
    /// Reported zeros are zeros. A report that contradicts itself keeps its totals and is marked as an estimate;
    /// one that was not the last is all that is known of it, and marked too.
    pub(crate) fn usage(&self, prompt: &Prompt) -> (Usage, UsageSource) {
        match self.answer().usage {
            Some(usage) if !usage.is_consistent() => (totals_of(usage), UsageSource::Estimated),
            Some(usage) if self.complete => (usage, UsageSource::Provider),
            Some(partial) => (self.completed(partial, prompt), UsageSource::Estimated),
            None => (self.estimate(prompt), UsageSource::Estimated),
        }
    }

    /// Some providers begin with the input's count and tell the output's at the end only.
    fn completed(&self, partial: Usage, prompt: &Prompt) -> Usage {
        if partial.output_tokens > 0 {
            return partial;
        }
        Usage {
            output_tokens: self.estimate(prompt).output_tokens,
            ..partial
        }
    }

    fn estimate(&self, prompt: &Prompt) -> Usage {
        let choices = self.answer().choices.iter();
        let written = choices.map(|choice| {
            let texts = [&choice.text, &choice.reasoning, &choice.refusal];
            let texts: usize = texts.into_iter().flatten().map(String::len).sum();
            let calls = choice
                .tool_calls
                .iter()
                .map(|call| call.name.len() + call.arguments.len());
            texts + calls.sum::<usize>()
        });
        Usage {
            input_tokens: input_tokens(prompt),
            output_tokens: tokens(written.sum()),
            ..Usage::default()
        }
    }
}

/// What a request used whose answer never began: its input, if the provider may have read it.
pub(crate) fn input_estimate(prompt: &Prompt) -> Usage {
    Usage {
        input_tokens: input_tokens(prompt),
        ..Usage::default()
    }
}

fn totals_of(usage: Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        ..Usage::default()
    }
}

/// What went in: texts, tool calls and what tools there are by their bytes, media by what they usually come to.
fn input_tokens(prompt: &Prompt) -> u64 {
    let media = parts_of(prompt).map(media_tokens);
    tokens(input_bytes(prompt)).saturating_add(media.sum())
}

fn parts_of(prompt: &Prompt) -> impl Iterator<Item = &Part> {
    let messages = prompt.call.messages.iter();
    messages.flat_map(|message| &message.content)
}

/// Nobody but the provider can look into a medium; where it says nothing, this is booked and marked.
fn media_tokens(part: &Part) -> u64 {
    match part {
        Part::Image { .. } => IMAGE_TOKENS,
        Part::Audio { data, .. } => per_bytes(data.len(), AUDIO_BYTES_PER_TOKEN),
        Part::Document { url, .. } if url.starts_with("data:") => {
            per_bytes(url.len(), DOCUMENT_BYTES_PER_TOKEN)
        }
        Part::Document { .. } => DOCUMENT_TOKENS,
        Part::Text(_) | Part::Other(_) => 0,
    }
}

fn per_bytes(bytes: usize, bytes_per_token: u64) -> u64 {
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .div_ceil(bytes_per_token)
}

fn input_bytes(prompt: &Prompt) -> usize {
    let parameters = &prompt.call.parameters;
    let calls = prompt
        .call
        .messages
        .iter()
        .flat_map(|message| &message.tool_calls);
    let calls = calls.map(|call| call.name.len() + call.arguments.len());
    let others = parts_of(prompt).filter_map(|part| match part {
        Part::Other(value) => Some(json_bytes(value)),
        _ => None,
    });
    let tools = json_bytes(&parameters.tools) * usize::from(!parameters.tools.is_empty());
    let format = parameters.response_format.as_ref().map_or(0, json_bytes);
    text_bytes(prompt) + calls.sum::<usize>() + others.sum::<usize>() + tools + format
}

/// How long it is as JSON.
fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

fn text_bytes(prompt: &Prompt) -> usize {
    let texts = parts_of(prompt).filter_map(|part| match part {
        Part::Text(text) => Some(text.len()),
        _ => None,
    });
    texts.sum()
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .div_ceil(BYTES_PER_TOKEN)
}
