//! OpenAI's chat completions.

use http::Method;
use serde_json::{Value, json};

use crate::mock::{Seen, chat, post, send, start};

const PATH: &str = "/v1/chat/completions";

fn content(seen: &Seen) -> String {
    let chunks = seen.chunks();
    let deltas = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["content"]);
    deltas.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says_and_uses_the_same() {
    let server = start().await;
    let prompt = "What is a fjord? [[thoughts=3]] [[cached=2]]";
    let whole = post(&server, PATH, &chat(prompt, json!({}))).await.json();
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let stream = post(&server, PATH, &chat(prompt, options)).await;

    assert_eq!(whole["choices"][0]["message"]["content"], content(&stream));
    let usage = stream.chunks().last().unwrap()["usage"].clone();
    assert_eq!(usage, whole["usage"]);
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(
        count("total_tokens"),
        count("prompt_tokens") + count("completion_tokens")
    );
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 3);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 2);
}

#[tokio::test]
async fn a_stream_has_role_content_finish_usage_and_done_in_that_order() {
    let server = start().await;
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let seen = post(&server, PATH, &chat("Hi [[events=34]]", options)).await;

    assert_eq!(
        seen.headers["content-type"],
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(seen.events().last().unwrap(), "[DONE]");
    let chunks = seen.chunks();
    let [role, content @ .., finish, usage] = chunks.as_slice() else {
        panic!("too few chunks");
    };
    assert_eq!(
        role["choices"][0]["delta"],
        json!({ "role": "assistant", "content": "" })
    );
    assert_eq!(content.len(), 34);
    let unfinished = |chunk: &Value| chunk["choices"][0]["finish_reason"].is_null();
    assert!(content.iter().all(unfinished));
    assert_eq!(finish["choices"][0]["delta"], json!({}));
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    let null = |chunk: &Value| chunk.as_object().unwrap()["usage"].is_null();
    assert!(chunks[..chunks.len() - 1].iter().all(null));
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for_and_never_when_hidden() {
    let server = start().await;
    let plain = post(&server, PATH, &chat("Hi", json!({ "stream": true }))).await;
    assert!(!plain.body.contains("usage"));
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let hidden = post(&server, PATH, &chat("Hi [[usage=none]]", options)).await;
    assert!(!hidden.body.contains("\"usage\""));
    assert_eq!(hidden.events().last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn a_cut_closes_the_connection_without_done_and_charges_what_was_generated() {
    let server = start().await;
    let prompt = "Hi [[events=10]] [[tokens=100]] [[cut=6]]";
    let seen = post(&server, PATH, &chat(prompt, json!({ "stream": true }))).await;

    assert!(!seen.whole);
    assert_eq!(
        seen.events().len(),
        6,
        "the role and five of ten content events"
    );
    assert!(!seen.body.contains("[DONE]"));
    let call = &server.books().statement().calls[0];
    assert_eq!((call.completed, call.output_tokens), (false, 50));
}

#[tokio::test]
async fn tools_are_called_in_fragments_under_a_stable_index() {
    let server = start().await;
    let tool = |name| json!({ "type": "function", "function": { "name": name } });
    let tools = json!({ "stream": true, "tools": [tool("look"), tool("listen")] });
    let seen = post(&server, PATH, &chat("Hi [[tool=look,listen]]", tools)).await;

    let mut calls = vec![(String::new(), String::new()); 2];
    for chunk in seen.chunks() {
        let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
        let Some(index) = call["index"].as_u64() else {
            continue;
        };
        let (name, arguments) = &mut calls[usize::try_from(index).unwrap()];
        name.push_str(call["function"]["name"].as_str().unwrap_or_default());
        arguments.push_str(call["function"]["arguments"].as_str().unwrap());
    }
    assert_eq!([&calls[0].0, &calls[1].0], ["look", "listen"]);
    assert!(serde_json::from_str::<Value>(&calls[1].1).unwrap()["input"].is_string());
    let finish = seen.chunks().last().unwrap()["choices"][0]["finish_reason"].clone();
    assert_eq!(finish, "tool_calls");
}

#[tokio::test]
async fn errors_carry_all_four_keys_and_a_refusal_costs_nothing() {
    let server = start().await;
    let limited = post(&server, PATH, &chat("[[status=429]]", json!({}))).await;
    assert_eq!(
        (limited.status.as_u16(), &limited.headers["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    let body = chat("Hi", json!({})).to_string();
    let keyless = send(&server, None, Method::POST, PATH, body).await;
    assert_eq!(keyless.json()["error"]["code"], "invalid_api_key");
    let senseless = post(&server, PATH, &json!({ "model": "m", "messages": [] })).await;
    for (seen, status) in [(limited, 429), (keyless, 401), (senseless, 400)] {
        assert_eq!(seen.status, status);
        let error = seen.json()["error"].as_object().unwrap().clone();
        assert!(
            ["message", "type", "param", "code"]
                .iter()
                .all(|key| error.contains_key(*key))
        );
    }
    let calls = server.books().statement().calls;
    assert_eq!(
        (calls.len(), calls[0].status, calls[0].input_tokens),
        (1, 429, 0)
    );
}

#[tokio::test]
async fn models_are_listed_in_the_dialect_of_who_asks() {
    let server = start().await;
    let get = |path: &'static str| send(&server, Some("any"), Method::GET, path, String::new());
    assert_eq!(get("/v1/models").await.json()["object"], "list");
    assert_eq!(get("/v1/models/any-model").await.json()["id"], "any-model");
    let gemini = get("/v1/models?key=any").await.json();
    assert_eq!(gemini["models"][0]["name"], "models/gpt-4o-mini");
}
