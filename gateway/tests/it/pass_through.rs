//! Between a client and a provider of the same dialect nothing gets lost, known to us or not.

use serde_json::{Value, json};

use crate::harness::{Scripted, Stack, ask, ask_stream, ask_stream_with_usage};
use crate::quota::put_quota;

const WHOLE: &str = r#"{"id":"chatcmpl-7","object":"chat.completion","created":1,"model":"m-2026","choices":[{"index":0,"message":{"role":"assistant","content":"hi","annotations":[],"future":{"a":1.50}},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"future_tokens":9},"future":["x"]}"#;

fn streamed() -> String {
    let chunk = |rest: &Value| {
        let mut chunk = json!({ "id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m-2026" });
        let fields = rest.as_object().unwrap().clone();
        chunk.as_object_mut().unwrap().extend(fields);
        format!("data: {chunk}\n\n")
    };
    let text = json!({ "choices": [{ "index": 0, "delta": { "content": "hi", "future": 1 } }], "usage": null, "obfuscation": "abc" });
    let finish =
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }], "usage": null });
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } });
    let chunks = [text, finish, usage].map(|rest| chunk(&rest));
    format!("{}data: [DONE]\n\n", chunks.concat())
}

async fn start() -> (Scripted, Stack) {
    let provider = Scripted::start(WHOLE.to_owned(), streamed()).await;
    let base_url = provider.base_url();
    let settings = format!(
        r#"
[providers.scripted]
kind = "openai"
base_url = "{base_url}"
api_key = "x"
price_provider = "openai"
"#
    );
    (provider, Stack::with(&settings).await)
}

const MODEL: &str = "scripted/gpt-4o-mini";

#[tokio::test]
async fn unknown_fields_reach_the_provider_and_the_client_as_they_were() {
    let (provider, stack) = start().await;
    let tenant = stack.tenant("mine").await;
    let mut body = ask(MODEL, "hello");
    body["future_switch"] = json!({ "depth": [1, 2.50, "three"] });
    body["metadata"] = json!({ "team": "blue" });
    body["messages"][0]["future_field"] = json!(true);

    let answer = stack
        .gateway
        .client()
        .chat(&tenant.key, &body)
        .await
        .expect(200);

    assert_eq!(answer.body, WHOLE.as_bytes(), "the answer was changed");
    let mut expected = body;
    expected["model"] = "gpt-4o-mini".into();
    assert_eq!(provider.asked(), [expected]);
    let rows = stack.ledger.booked(1).await;
    assert_eq!((rows[0].tokens.input, rows[0].tokens.output), (3, 2));
    assert_eq!(rows[0].status, "completed");
}

#[tokio::test]
async fn the_usage_chunk_is_for_those_who_asked_and_the_provider_is_always_asked() {
    let (provider, stack) = start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    let silent = client
        .stream(&tenant.key, &ask_stream(MODEL, "one"))
        .await
        .rest()
        .await;
    let told = ask_stream_with_usage(MODEL, "two");
    let told = client.stream(&tenant.key, &told).await.rest().await;

    assert_eq!(silent.len(), 3, "{silent:#?}");
    assert_eq!(told.len(), 4, "{told:#?}");
    let events = streamed();
    for event in &told {
        assert!(events.contains(&format!("data: {event}\n\n")), "{event}");
    }
    for asked in provider.asked() {
        assert_eq!(asked["stream_options"]["include_usage"], true);
    }
    for row in stack.ledger.booked(2).await {
        assert_eq!((row.tokens.input, row.tokens.output), (3, 2));
        assert_eq!(row.source, "provider");
    }
}

#[tokio::test]
async fn a_quota_caps_only_those_answers_that_the_caller_left_open() {
    let (provider, stack) = start().await;
    let tenant = stack.tenant("mine").await;
    put_quota(&stack, &tenant, "ai_tokens", 1_000_000).await;
    let client = stack.gateway.client();
    let mut limited = ask(MODEL, "limited");
    limited["max_tokens"] = 7.into();
    limited["n"] = 2.into();
    let open = ask(MODEL, "open");

    for body in [&limited, &open] {
        client.chat(&tenant.key, body).await.expect(200);
    }

    let asked = provider.asked();
    assert_eq!(
        asked[0]["max_tokens"], 7,
        "the caller's own limit was changed"
    );
    assert_eq!(
        asked[0].get("max_completion_tokens"),
        None,
        "a second limit was sent beside it"
    );
    assert!(
        asked[1]["max_completion_tokens"]
            .as_u64()
            .is_some_and(|cap| cap > 0),
        "an open answer was not capped"
    );
}
