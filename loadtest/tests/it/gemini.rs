//! Gemini's generateContent.

use http::Method;
use serde_json::{Value, json};

use crate::mock::{contents, post, send, start};

const WHOLE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1/models/gemini-2.5-flash:streamGenerateContent";

fn text(responses: &[Value]) -> String {
    let parts = responses
        .iter()
        .filter_map(|response| response["candidates"][0]["content"]["parts"].as_array());
    let texts = parts.flatten().filter_map(|part| part["text"].as_str());
    texts.collect()
}

#[tokio::test]
async fn whole_events_and_array_say_and_use_the_same() {
    let server = start().await;
    let prompt = contents("What is kelp? [[thoughts=5]] [[cached=3]]", json!({}));
    let whole = post(&server, WHOLE, &prompt).await.json();
    let events = post(&server, &format!("{STREAM}?alt=sse"), &prompt).await;
    let array = post(&server, STREAM, &prompt).await.json();
    let array = array.as_array().unwrap();

    assert!(!events.body.contains("[DONE]"));
    assert_eq!(text(&events.chunks()), text(std::slice::from_ref(&whole)));
    assert_eq!(text(array), text(&events.chunks()));
    let usage = &whole["usageMetadata"];
    assert_eq!(events.chunks().last().unwrap()["usageMetadata"], *usage);
    assert_eq!(array.last().unwrap()["usageMetadata"], *usage);
    let count = |name: &str| usage[name].as_u64().unwrap();
    let parts = [
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    ];
    assert_eq!(
        count("totalTokenCount"),
        parts.iter().map(|name| count(name)).sum::<u64>()
    );
    assert_eq!(
        (
            count("thoughtsTokenCount"),
            count("cachedContentTokenCount")
        ),
        (5, 3)
    );
}

#[tokio::test]
async fn usage_is_cumulative_on_every_chunk_and_only_the_last_one_finishes() {
    let server = start().await;
    let prompt = contents("Hi [[events=34]] [[tokens=68]]", json!({}));
    let chunks = post(&server, &format!("{STREAM}?alt=sse"), &prompt)
        .await
        .chunks();

    let counts = chunks
        .iter()
        .map(|chunk| &chunk["usageMetadata"]["candidatesTokenCount"]);
    let counts: Vec<u64> = counts.filter_map(Value::as_u64).collect();
    assert_eq!(counts, (1..=34).map(|event| event * 2).collect::<Vec<_>>());
    let finished = |chunk: &Value| chunk["candidates"][0]["finishReason"].is_string();
    assert_eq!(chunks.iter().position(finished), Some(33));
}

#[tokio::test]
async fn a_cut_stream_charges_what_its_last_chunk_said() {
    let server = start().await;
    let prompt = contents(
        "Hi [[events=10]] [[tokens=100]] [[thoughts=7]] [[cut=3]]",
        json!({}),
    );
    let seen = post(&server, &format!("{STREAM}?alt=sse"), &prompt).await;

    assert!(!seen.whole);
    let usage = seen.chunks().last().unwrap()["usageMetadata"].clone();
    assert_eq!(usage["candidatesTokenCount"], 30);
    let call = &server.books().statement().calls[0];
    assert_eq!((call.output_tokens, call.reasoning_tokens), (37, 7));
}

#[tokio::test]
async fn snake_case_is_read_and_parallel_calls_come_whole_with_one_signature() {
    let server = start().await;
    let declarations = json!([{ "name": "look" }, { "name": "listen" }]);
    let tools = json!({
        "tools": [{ "function_declarations": declarations }],
        "system_instruction": { "parts": [{ "text": "Be brief. [[tool=look,listen]]" }] },
        "generation_config": { "max_output_tokens": 500 },
    });
    let whole = post(&server, WHOLE, &contents("Hi", tools)).await.json();

    let candidate = &whole["candidates"][0];
    let parts = candidate["content"]["parts"].as_array().unwrap();
    assert_eq!(parts[0]["functionCall"]["name"], "look");
    assert!(parts[1]["functionCall"]["args"].is_object());
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1]["thoughtSignature"].is_null());
    assert_eq!(candidate["finishReason"], "STOP");
}

#[tokio::test]
async fn a_lost_thought_signature_is_refused_by_gemini_3() {
    let server = start().await;
    let call = json!({ "functionCall": { "name": "look", "args": {} } });
    let body = json!({ "contents": [{ "role": "model", "parts": [call] }] });
    let seen = post(
        &server,
        "/v1beta/models/gemini-3-pro:generateContent",
        &body,
    )
    .await;
    assert_eq!(seen.json()["error"]["status"], "INVALID_ARGUMENT");
    assert!(seen.body.contains("thought_signature"));
}

#[tokio::test]
async fn errors_are_googles_and_tell_when_to_retry() {
    let server = start().await;
    let limited = post(&server, WHOLE, &contents("[[status=429]]", json!({}))).await;
    let error = &limited.json()["error"];
    assert_eq!(
        (&error["code"], &error["status"]),
        (&json!(429), &json!("RESOURCE_EXHAUSTED"))
    );
    assert_eq!(error["details"][0]["retryDelay"], "1s");
    let body = contents("Hi", json!({})).to_string();
    let keyless = send(&server, None, Method::POST, WHOLE, body).await;
    assert_eq!(keyless.status, 400);
    assert_eq!(
        keyless.json()["error"]["details"][0]["reason"],
        "API_KEY_INVALID"
    );
}
