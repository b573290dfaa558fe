//! What a client of responses sees of a stream.

use chrono::DateTime;
use types::reply::{Answer, Finish};

use super::*;
use crate::wire::openai::responses::request;

fn frame() -> Frame {
    let body = r#"{"model":"m","input":"x","metadata":{"a":"b"},"temperature":0.5}"#;
    let call = request::decode(&Bytes::from(body)).unwrap();
    Frame::new("resp_1".to_owned(), DateTime::UNIX_EPOCH, &call)
}

fn answer(finish: Finish) -> Answer {
    Answer {
        model: "m-1".to_owned(),
        choices: vec![Choice {
            text: Some("hi".to_owned()),
            tool_calls: vec![ToolCall {
                id: "call_1".to_owned(),
                name: "f".to_owned(),
                arguments: "{}".to_owned(),
                signature: None,
            }],
            finish: Some(finish),
            ..Choice::default()
        }],
        usage: Some(types::Usage {
            input_tokens: 3,
            output_tokens: 2,
            ..types::Usage::default()
        }),
        ..Answer::default()
    }
}

fn streamed(answer: &Answer) -> Vec<Value> {
    let mut encoder = Encoder::new(frame());
    let mut out = BytesMut::new();
    for event in answer.events() {
        encoder.write(&event, &mut out);
    }
    out.extend_from_slice(&encoder.finish());
    let text = String::from_utf8(out.to_vec()).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    events.collect()
}

#[test]
fn events_are_typed_and_numbered_and_every_item_is_opened_and_closed() {
    let events = streamed(&answer(Finish::ToolCalls));
    let names: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], position);
    }
}

#[test]
fn a_stream_ends_with_the_response_that_would_have_come_whole() {
    for finish in [Finish::Stop, Finish::Length] {
        let answer = answer(finish);
        let whole: Value = serde_json::from_slice(&frame().whole(&answer)).unwrap();
        let last = streamed(&answer).pop().unwrap();
        assert_eq!(last["response"], whole);
        assert_eq!(whole["metadata"]["a"], "b");
        assert_eq!(whole["usage"]["total_tokens"], 5);
    }
}

#[test]
fn an_answer_cut_by_the_limit_says_so() {
    let last = streamed(&answer(Finish::Length)).pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    let reason = &last["response"]["incomplete_details"]["reason"];
    assert_eq!(reason, "max_output_tokens");
}

#[test]
fn an_error_in_a_stream_is_an_event_with_the_next_number() {
    let mut encoder = Encoder::new(frame());
    let mut out = BytesMut::new();
    encoder.write(&answer(Finish::Stop).events()[0], &mut out);
    let failed = encoder.fail(&Error::invalid("no".to_owned(), Some("input")));
    let text = String::from_utf8(failed.to_vec()).unwrap();
    assert!(text.starts_with("event: error\ndata: "), "{text}");
    assert!(text.contains(r#""sequence_number":2"#), "{text}");
}
