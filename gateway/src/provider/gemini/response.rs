//! Reads `GenerateContentResponse`, whole or as one event of a stream.
//!
//! Traps that shaped it: usage is cumulative and repeated, so the last one counts; thoughts are output that
//! `candidatesTokenCount` leaves out; a turn that calls tools ends with `STOP`; a candidate may lack content;
//! a blocked prompt has no candidates at all; every function call arrives whole and needs an index of its own.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use types::reply::{Delta, Event, Finish};

use crate::wire::gemini::usage::WireUsage;

/// What has been seen of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    candidates: Vec<Candidate>,
    model_told: bool,
    blocked: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    tool_calls: usize,
    finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(default, borrow)]
    candidates: Vec<WireCandidate<'a>>,
    #[serde(default, borrow)]
    prompt_feedback: Option<WireFeedback<'a>>,
    #[serde(default)]
    usage_metadata: Option<WireUsage>,
    #[serde(default, borrow)]
    model_version: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCandidate<'a> {
    #[serde(default, borrow)]
    content: Option<WireContent<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    index: usize,
    #[serde(default)]
    citation_metadata: Option<IgnoredAny>,
    #[serde(default)]
    grounding_metadata: Option<IgnoredAny>,
    #[serde(default)]
    url_context_metadata: Option<IgnoredAny>,
    #[serde(default)]
    logprobs_result: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireContent<'a> {
    #[serde(default, borrow)]
    parts: Vec<WirePart<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePart<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    #[serde(default)]
    thought_signature: Option<String>,
    #[serde(default, borrow)]
    function_call: Option<WireFunctionCall<'a>>,
    #[serde(default)]
    inline_data: Option<IgnoredAny>,
    #[serde(default)]
    file_data: Option<IgnoredAny>,
    #[serde(default)]
    executable_code: Option<IgnoredAny>,
    #[serde(default)]
    code_execution_result: Option<IgnoredAny>,
}

impl WireCandidate<'_> {
    /// Whether it says something beside its parts.
    const fn is_annotated(&self) -> bool {
        self.citation_metadata.is_some()
            || self.grounding_metadata.is_some()
            || self.url_context_metadata.is_some()
            || self.logprobs_result.is_some()
    }
}

impl WirePart<'_> {
    /// Whether it is something other than text, a thought or a call.
    const fn is_unsayable(&self) -> bool {
        self.inline_data.is_some()
            || self.file_data.is_some()
            || self.executable_code.is_some()
            || self.code_execution_result.is_some()
    }
}

#[derive(Deserialize)]
struct WireFunctionCall<'a> {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default, borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireFeedback<'a> {
    #[serde(default, borrow)]
    block_reason: Option<Cow<'a, str>>,
}

impl Reader {
    /// Reads one response, and appends what it says.
    pub(super) fn read(
        &mut self,
        body: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), serde_json::Error> {
        let wire: Wire<'_> = serde_json::from_slice(body)?;
        if let Some(model) = wire.model_version.filter(|_| !self.model_told) {
            self.model_told = true;
            events.push(Event::Start {
                model: model.into_owned(),
            });
        }
        let blocked = wire
            .prompt_feedback
            .and_then(|feedback| feedback.block_reason)
            .is_some();
        if blocked && wire.candidates.is_empty() {
            self.blocked = true;
            events.push(Event::Finish {
                choice: 0,
                finish: Finish::ContentFilter,
            });
        }
        for candidate in wire.candidates {
            self.read_candidate(candidate, events);
        }
        events.extend(wire.usage_metadata.map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    /// Whether every candidate seen has finished, or the prompt was blocked.
    pub(super) fn is_finished(&self) -> bool {
        self.blocked
            || (!self.candidates.is_empty()
                && self.candidates.iter().all(|candidate| candidate.finished))
    }

    fn read_candidate(&mut self, wire: WireCandidate<'_>, events: &mut Vec<Event>) {
        let choice = wire.index;
        if choice >= types::reply::CHOICES_MAX {
            return;
        }
        if self.candidates.len() <= choice {
            self.candidates.resize(choice + 1, Candidate::default());
        }
        let Some(candidate) = self.candidates.get_mut(choice) else {
            return;
        };
        events.extend(wire.is_annotated().then_some(Event::Unsaid));
        let parts = wire
            .content
            .map(|content| content.parts)
            .unwrap_or_default();
        let has_more = parts.iter().any(WirePart::is_unsayable);
        events.extend(has_more.then_some(Event::Unsaid));
        let deltas = parts.into_iter().filter_map(|part| candidate.delta(part));
        events.extend(deltas.map(|delta| Event::Delta { choice, delta }));
        if let Some(reason) = wire.finish_reason {
            candidate.finished = true;
            let finish = finish_from(&reason, candidate.tool_calls > 0);
            events.push(Event::Finish { choice, finish });
        }
    }
}

impl Candidate {
    fn delta(&mut self, part: WirePart<'_>) -> Option<Delta> {
        if let Some(call) = part.function_call {
            let index = self.tool_calls;
            self.tool_calls += 1;
            return Some(Delta::ToolCall {
                index,
                id: Some(call.id.unwrap_or_else(|| synthetic_id(index))),
                name: Some(call.name),
                arguments: call
                    .args
                    .map_or_else(|| "{}".to_owned(), |args| args.get().to_owned()),
                signature: part.thought_signature,
            });
        }
        let text = part.text.filter(|text| !text.is_empty())?;
        Some(if part.thought {
            Delta::Reasoning(text)
        } else {
            Delta::Text(text)
        })
    }
}

/// Gemini often leaves a call's id out, OpenAI's clients need one: unique within the conversation's turn.
fn synthetic_id(index: usize) -> String {
    let random: u64 = rand::random();
    format!("call_{random:016x}{index}")
}

fn finish_from(reason: &str, calls_tools: bool) -> Finish {
    match reason {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE"
        | "MODEL_ARMOR" => Finish::ContentFilter,
        reason if reason.starts_with("IMAGE_") => Finish::ContentFilter,
        _ if calls_tools => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        _ => Finish::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::reply::Assembly;

    fn assembled(bodies: &[&str]) -> (types::reply::Answer, bool) {
        let mut reader = Reader::default();
        let mut assembly = Assembly::default();
        for body in bodies {
            let mut events = Vec::new();
            reader.read(body.as_bytes(), &mut events).unwrap();
            for event in &events {
                assembly.add(event);
            }
        }
        (assembly.into_answer(), reader.is_finished())
    }

    #[test]
    fn usage_is_cumulative_and_thoughts_are_output() {
        let (answer, finished) = assembled(&[
            r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1,"totalTokenCount":11},"modelVersion":"gemini-2.5-flash"}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":5,"totalTokenCount":17}}"#,
        ]);
        let usage = answer.usage.unwrap();
        assert!(finished);
        assert_eq!(answer.first_text(), "Hello");
        assert_eq!(usage.total_tokens(), 17);
        assert_eq!(
            (
                usage.output_tokens,
                usage.reasoning_tokens,
                usage.cache_read_tokens
            ),
            (7, 5, 4)
        );
    }

    #[test]
    fn parallel_calls_keep_their_own_index_over_the_whole_stream_and_stop_means_tool_calls() {
        let (answer, _) = assembled(&[
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","args":{"x":1}},"thoughtSignature":"s"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"b"}}]},"finishReason":"STOP"}]}"#,
        ]);
        let choice = &answer.choices[0];
        assert_eq!(choice.tool_calls.len(), 2);
        assert_eq!(choice.tool_calls[0].arguments, r#"{"x":1}"#);
        assert_eq!(choice.tool_calls[0].signature.as_deref(), Some("s"));
        assert_eq!(choice.finish, Some(Finish::ToolCalls));
        assert_ne!(choice.tool_calls[0].id, choice.tool_calls[1].id);
    }

    #[test]
    fn what_our_form_cannot_say_is_noted() {
        for part in [r#"{"inlineData":{}}"#, r#"{"executableCode":{}}"#] {
            let body = format!(
                r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"STOP"}}]}}"#
            );
            assert!(assembled(&[&body]).0.unsaid, "{part}");
        }
        let grounded = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"groundingMetadata":{},"finishReason":"STOP"}]}"#;
        assert!(assembled(&[grounded]).0.unsaid);
    }

    #[test]
    fn a_blocked_prompt_is_a_filtered_answer() {
        let (answer, finished) = assembled(&[
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}}"#,
        ]);
        assert!(finished);
        assert_eq!(answer.choices[0].finish, Some(Finish::ContentFilter));
    }

    #[test]
    fn a_stream_without_a_reason_to_finish_is_not_complete() {
        let (_, finished) =
            assembled(&[r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#]);
        assert!(!finished);
    }
}
