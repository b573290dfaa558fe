//! A whole message: read from a provider, written to a client.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use types::call::ToolCall;
use types::reply::{Answer, Choice, Finish};

use super::usage::{ToldUsage, WireUsage};
use crate::wire::write;

/// A message as a provider sends it; what we do not need stays in the raw body.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default, borrow)]
    service_tier: Option<Cow<'a, str>>,
}

/// A block of the answer, as far as we understand blocks.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow)]
    pub(super) r#type: Cow<'a, str>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) thinking: Option<String>,
    #[serde(default)]
    pub(super) signature: Option<String>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) citations: Option<Vec<Value>>,
}

/// Reads a provider's message.
pub(crate) fn decode(body: &[u8]) -> Result<Answer, serde_json::Error> {
    let incoming: Incoming<'_> = serde_json::from_slice(body)?;
    let mut choice = Choice::default();
    let mut unsaid = incoming.stop_reason.as_deref().is_some_and(is_unsayable);
    for block in incoming.content {
        unsaid |= !take(block, &mut choice);
    }
    choice.finish = incoming.stop_reason.as_deref().map(finish_from);
    Ok(Answer {
        model: incoming.model,
        choices: vec![choice],
        usage: incoming.usage.map(Into::into),
        service_tier: incoming.service_tier.map(Cow::into_owned),
        unsaid,
        ..Answer::default()
    })
}

/// Takes a block over, and says whether that was all of it.
fn take(block: Block<'_>, choice: &mut Choice) -> bool {
    match &*block.r#type {
        "text" => {
            let text = block.text.unwrap_or_default();
            choice.text.get_or_insert_default().push_str(&text);
            block.citations.is_none_or(|citations| citations.is_empty())
        }
        "thinking" => {
            let is_first = choice.reasoning.is_none() && choice.signature.is_none();
            let thinking = block.thinking.unwrap_or_default();
            choice.reasoning.get_or_insert_default().push_str(&thinking);
            choice.signature = block.signature;
            is_first
        }
        "tool_use" => {
            choice.tool_calls.push(ToolCall {
                id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                arguments: block.input.map_or("{}", RawValue::get).to_owned(),
                signature: None,
            });
            true
        }
        _ => false,
    }
}

/// Anthropic's `stop_reason`.
pub(super) fn finish_from(reason: &str) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" | "pause_turn" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

/// Reasons for which other dialects have the same word as for another one, so that it could not be told again.
pub(super) fn is_unsayable(reason: &str) -> bool {
    matches!(reason, "stop_sequence" | "pause_turn")
}

/// Anthropic's word for a [`Finish`].
pub(super) const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}

#[derive(Serialize)]
pub(super) struct Outgoing<'a> {
    pub(super) id: &'a str,
    pub(super) r#type: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<OutgoingBlock<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<()>,
    pub(super) usage: ToldUsage,
}

/// A block as a client gets it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutgoingBlock<'a> {
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Value,
    },
}

/// Writes an answer for a client under a new id; reasoning only for those who asked to see it.
pub(crate) fn encode(answer: &Answer, id: &str, shows_reasoning: bool) -> Bytes {
    let choice = answer.choices.first();
    write::json(&Outgoing {
        id,
        r#type: "message",
        role: "assistant",
        model: &answer.model,
        content: choice.map_or_else(Vec::new, |choice| blocks(choice, shows_reasoning)),
        stop_reason: Some(finish_word(
            choice
                .and_then(|choice| choice.finish)
                .unwrap_or(Finish::Stop),
        )),
        stop_sequence: None,
        usage: answer.usage.unwrap_or_default().into(),
    })
}

fn blocks(choice: &Choice, shows_reasoning: bool) -> Vec<OutgoingBlock<'_>> {
    let reasoning = choice.reasoning.as_deref().filter(|_| shows_reasoning);
    let thinking = reasoning.map(|thinking| OutgoingBlock::Thinking {
        thinking,
        signature: choice.signature.as_deref().unwrap_or_default(),
    });
    let texts = [choice.text.as_deref(), choice.refusal.as_deref()];
    let texts = texts.into_iter().flatten().filter(|text| !text.is_empty());
    let texts = texts.map(|text| OutgoingBlock::Text { text });
    let calls = choice.tool_calls.iter().map(|call| OutgoingBlock::ToolUse {
        id: &call.id,
        name: &call.name,
        input: write::object(&call.arguments),
    });
    thinking.into_iter().chain(texts).chain(calls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Usage;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let answer = Answer {
            model: "claude".to_owned(),
            choices: vec![Choice {
                text: Some("hello".to_owned()),
                reasoning: Some("they greet".to_owned()),
                signature: Some("sealed".to_owned()),
                tool_calls: vec![ToolCall {
                    id: "toolu_1".to_owned(),
                    name: "f".to_owned(),
                    arguments: r#"{"x":1}"#.to_owned(),
                    signature: None,
                }],
                finish: Some(Finish::ToolCalls),
                ..Choice::default()
            }],
            usage: Some(Usage {
                input_tokens: 9,
                cache_read_tokens: 4,
                output_tokens: 7,
                ..Usage::default()
            }),
            ..Answer::default()
        };
        assert_eq!(decode(&encode(&answer, "msg_1", true)).unwrap(), answer);
    }

    #[test]
    fn what_our_form_cannot_say_is_noted() {
        let cases = [
            (
                r#"[{"type":"redacted_thinking","data":"x"},{"type":"text","text":"a"}]"#,
                "end_turn",
            ),
            (
                r#"[{"type":"text","text":"a","citations":[{"type":"char_location"}]}]"#,
                "end_turn",
            ),
            (
                r#"[{"type":"thinking","thinking":"a","signature":"1"},{"type":"thinking","thinking":"b","signature":"2"}]"#,
                "end_turn",
            ),
            (r#"[{"type":"text","text":"a"}]"#, "stop_sequence"),
        ];
        for (content, reason) in cases {
            let body = format!(r#"{{"model":"m","content":{content},"stop_reason":"{reason}"}}"#);
            assert!(
                decode(body.as_bytes()).unwrap().unsaid,
                "{content} {reason}"
            );
        }
        let plain = br#"{"content":[{"type":"text","text":"a","citations":null}],"stop_reason":"end_turn"}"#;
        assert!(!decode(plain).unwrap().unsaid);
    }
}
