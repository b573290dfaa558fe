//! Tests of streamed messages.

use super::*;
use types::reply::{Answer, Assembly};

/// The data of every event of a stream, with its name checked.
fn data(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        data
    });
    events.collect()
}

fn assembled(events: &[&str]) -> (Answer, Incoming) {
    let (mut reader, mut assembly, mut last) =
        (Reader::default(), Assembly::default(), Incoming::More);
    for event in events {
        let mut read = Vec::new();
        last = reader.read(event.as_bytes(), &mut read).unwrap();
        for event in &read {
            assembly.add(event);
        }
    }
    (assembly.into_answer(), last)
}

const STREAM: [&str; 13] = [
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":10,"cache_creation_input_tokens":0,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sealed"}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hello"}}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}"#,
    r#"{"type":"message_stop"}"#,
];

#[test]
fn the_placeholder_at_the_start_is_no_count_of_what_was_answered() {
    let (answer, _) = assembled(&STREAM[..7]);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (35, 0));
}

#[test]
fn a_stream_is_understood_and_its_usage_replaces_rather_than_adds() {
    let (answer, last) = assembled(&STREAM);
    let choice = &answer.choices[0];
    let usage = answer.usage.unwrap();
    assert_eq!(last, Incoming::Stop);
    assert_eq!(
        (
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.output_tokens
        ),
        (35, 10, 15)
    );
    assert_eq!(choice.text.as_deref(), Some("Hello"));
    assert_eq!(choice.reasoning.as_deref(), Some("hm"));
    assert_eq!(choice.signature.as_deref(), Some("sealed"));
    assert_eq!(choice.tool_calls[0].arguments, r#"{"x":1}"#);
    assert_eq!(choice.finish, Some(Finish::ToolCalls));
    assert!(!answer.unsaid);
}

#[test]
fn what_is_written_reads_back_as_the_same_answer() {
    let (answer, _) = assembled(&STREAM);
    let mut encoder = Encoder::new("msg_2".to_owned(), "asked".to_owned(), true);
    let mut out = BytesMut::new();
    for event in answer.events() {
        encoder.write(&event, &mut out);
    }
    out.extend_from_slice(&encoder.finish());

    let written = data(&out);
    assert_eq!(written[0]["message"]["id"], "msg_2");
    let texts: Vec<_> = written.iter().map(Value::to_string).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(assembled(&texts), (answer, Incoming::Stop));
}

#[test]
fn blocks_are_opened_and_closed_one_after_the_other_and_reasoning_is_only_for_those_who_asked() {
    let (answer, _) = assembled(&STREAM);
    let mut encoder = Encoder::new("msg_2".to_owned(), "asked".to_owned(), false);
    let mut out = BytesMut::new();
    for event in answer.events() {
        encoder.write(&event, &mut out);
    }
    out.extend_from_slice(&encoder.finish());

    let kinds: Vec<_> = data(&out)
        .iter()
        .map(|event| {
            (
                event["type"].as_str().unwrap().to_owned(),
                event["index"].as_u64(),
            )
        })
        .collect();
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, index)| (kind.as_str(), *index))
        .collect();
    assert_eq!(
        kinds,
        [
            ("message_start", None),
            ("content_block_start", Some(0)),
            ("content_block_delta", Some(0)),
            ("content_block_stop", Some(0)),
            ("content_block_start", Some(1)),
            ("content_block_delta", Some(1)),
            ("content_block_stop", Some(1)),
            ("message_delta", None),
            ("message_stop", None),
        ]
    );
}

#[test]
fn an_error_in_the_middle_is_one() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let (_, last) = assembled(&[error]);
    assert!(matches!(last, Incoming::Error(error) if error["type"] == "overloaded_error"));
}
