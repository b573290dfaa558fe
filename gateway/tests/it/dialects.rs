//! Every dialect in reaches every provider out: whole and streamed, with tools, and the books say what the provider's do.

use http::Method;
use http_body_util::Full;
use loadtest::oracle::price::Prices;
use serde_json::{Value, json};

use crate::harness::{ANTHROPIC, GEMINI, OPENAI, Scripted, Stack, Tokens, ask};
use client::Client::{self, Anthropic, Gemini, GeminiArray, Openai, Responses};
use client::{CLIENTS, anthropic_events};

pub(crate) mod client;

const MODELS: [&str; 3] = [GEMINI, OPENAI, ANTHROPIC];

#[tokio::test]
async fn every_dialect_reaches_every_provider_and_both_sides_book_the_same() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let mut shown = Vec::new();
    for client in CLIENTS {
        for model in MODELS {
            for streamed in [false, true] {
                let case = format!("{client:?} {model} {streamed}");
                let prompt = format!("{case} [[thoughts=7]] [[cached=5]] [[events=6]]");
                let body = client.body(model, &prompt, streamed);
                let answer = client.ask(&stack, &tenant, (model, streamed), &body).await;
                assert_eq!(answer.text.split(' ').count(), 6, "{case}: {answer:?}");
                assert_eq!(answer.reasoning, "", "{case}");
                let finish = match client {
                    Openai => "stop",
                    Responses => "completed",
                    Anthropic => "end_turn",
                    Gemini | GeminiArray => "STOP",
                };
                assert_eq!(answer.finish, finish, "{case}");
                shown.push(answer.tokens);
            }
        }
    }
    let calls = stack.calls();
    let charged: Vec<_> = calls.iter().map(Tokens::from).collect();
    assert_eq!(
        shown, charged,
        "clients are shown what the provider charges"
    );
    assert!(
        charged
            .iter()
            .all(|tokens| tokens.reasoning == 7 && tokens.cache_read == 5)
    );
    let rows = stack.ledger.booked(calls.len()).await;
    let prices = Prices::parse(include_str!("../../../config/prices.toml")).unwrap();
    for (row, call) in rows.iter().zip(&calls) {
        assert_eq!(row.tokens, Tokens::from(call));
        assert_eq!(row.cost, prices.cost(&call.dialect, call).unwrap());
        assert_eq!((&*row.status, &*row.source), ("completed", "provider"));
    }
    stack.ledger.balanced().await;
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_answered_whoever_asks_and_whoever_answers() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    for client in CLIENTS {
        for model in MODELS {
            for streamed in [false, true] {
                let case = format!("{client:?} {model} {streamed}");
                let prompt = format!("{case} [[tool=weather]]");
                let body = client.with_tool(client.body(model, &prompt, streamed));
                let first = client.ask(&stack, &tenant, (model, streamed), &body).await;
                assert_eq!(first.calls.len(), 1, "{case}: {first:?}");
                assert_eq!(first.calls[0].1, "weather", "{case}");
                assert!(first.calls[0].2["input"].is_string(), "{case}: {first:?}");
                let finish = match client {
                    Openai => "tool_calls",
                    Responses => "completed",
                    Anthropic => "tool_use",
                    Gemini | GeminiArray => "STOP",
                };
                assert_eq!(first.finish, finish, "{case}");
                let body = client.with_result(body, &first);
                let second = client.ask(&stack, &tenant, (model, streamed), &body).await;
                assert!(
                    !second.text.is_empty() && second.calls.is_empty(),
                    "{case}: {second:?}"
                );
            }
        }
    }
    stack.ledger.booked(stack.calls().len()).await;
    stack.ledger.balanced().await;
}

#[tokio::test]
async fn thoughts_are_shown_to_those_who_asked_and_writes_to_the_cache_have_their_own_prices() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let text = "Think. [[thoughts=7]] [[cached=50]] [[written=30]] [[written1h=10]] [[events=2]]";
    for (streamed, model) in [(false, ANTHROPIC), (true, ANTHROPIC)] {
        let mut body = Anthropic.body(model, &format!("{text} {streamed}"), streamed);
        body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
        let answer = Anthropic
            .ask(&stack, &tenant, (model, streamed), &body)
            .await;
        assert_eq!(answer.reasoning, "Thinking it over.", "{model} {streamed}");
    }
    let mut body = Gemini.body(GEMINI, text, true);
    body["generationConfig"] = json!({ "thinking_config": { "include_thoughts": true } });
    let answer = Gemini.ask(&stack, &tenant, (GEMINI, true), &body).await;
    assert_eq!(answer.reasoning, "Thinking it over.");

    let calls = stack.calls();
    let rows = stack.ledger.booked(3).await;
    let prices = Prices::parse(include_str!("../../../config/prices.toml")).unwrap();
    for (row, call) in rows.iter().zip(&calls).take(2) {
        assert_eq!(
            (call.cache_write_5m_tokens, call.cache_write_1h_tokens),
            (30, 10)
        );
        assert_eq!(row.cost, prices.cost("anthropic", call).unwrap());
    }
}

#[tokio::test]
async fn every_mistake_is_told_in_the_dialect_of_whoever_made_it() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let body = |client: Client, text: &str| client.body(ANTHROPIC, text, false);
    let refused = async |client: Client, key: &str, model: &str, body: &Value| {
        client
            .send(&stack, key, &client.path(model, false), body)
            .await
    };

    let answer = refused(Anthropic, "fp_x", ANTHROPIC, &body(Anthropic, "x"))
        .await
        .expect(401);
    let error = answer.json();
    assert_eq!(
        (&error["type"], &error["error"]["type"]),
        (&json!("error"), &json!("authentication_error"))
    );
    assert_eq!(error["request_id"], answer.header("request-id"));
    assert_eq!(error["error"]["details"]["error_code"], "invalid_api_key");
    let answer = refused(Gemini, "fp_x", GEMINI, &body(Gemini, "x"))
        .await
        .expect(400);
    assert_eq!(
        answer.json()["error"]["details"][0]["reason"],
        "API_KEY_INVALID"
    );

    let none = refused(
        Anthropic,
        &tenant.key,
        "",
        &Anthropic.body("claude-99", "x", false),
    )
    .await
    .expect(404);
    assert_eq!(none.json()["error"]["type"], "not_found_error");
    let none = refused(Gemini, &tenant.key, "gemini-99", &body(Gemini, "x"))
        .await
        .expect(404);
    assert_eq!(none.json()["error"]["status"], "NOT_FOUND");

    let missing = Anthropic
        .send(&stack, &tenant.key, "/v1/messages/batches", &json!({}))
        .await
        .expect(501);
    assert_eq!(
        missing.json()["error"]["details"]["error_code"],
        "not_supported"
    );
}

#[tokio::test]
async fn what_anthropic_rejects_is_told_in_the_dialect_of_whoever_asked() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let body = |client: Client, text: &str| client.body(ANTHROPIC, text, false);
    let refused = async |client: Client, key: &str, model: &str, body: &Value| {
        client
            .send(&stack, key, &client.path(model, false), body)
            .await
    };
    for client in [Openai, Anthropic, Gemini] {
        let limited = refused(
            client,
            &tenant.key,
            ANTHROPIC,
            &body(client, "[[status=429]]"),
        )
        .await
        .expect(429);
        assert_eq!(limited.header("retry-after"), "1", "{client:?}");
        let busy = refused(
            client,
            &tenant.key,
            ANTHROPIC,
            &body(client, "[[status=529]]"),
        )
        .await;
        assert_eq!(busy.status, 503, "{client:?}");
        let unfit = client.body(ANTHROPIC, "[[events=0]]", false);
        let unfit = refused(client, &tenant.key, ANTHROPIC, &unfit)
            .await
            .expect(400)
            .json();
        let word = match client {
            Anthropic => &unfit["error"]["type"],
            Openai | Responses => &unfit["error"]["code"],
            Gemini | GeminiArray => &unfit["error"]["status"],
        };
        let expected = if client == Gemini {
            "INVALID_ARGUMENT"
        } else {
            "invalid_request_error"
        };
        assert_eq!(word, expected, "{client:?}: {unfit}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_error_of_its_dialect_and_not_with_its_end() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let mut attempts = 0;
    for client in [Responses, Anthropic, Gemini, GeminiArray] {
        for model in MODELS {
            let case = format!("{client:?} {model}");
            let body = client.body(model, &format!("{case} [[events=9]] [[cut=5]]"), true);
            let path = client.path(model, true);
            let answer = client
                .send(&stack, &tenant.key, &path, &body)
                .await
                .expect(200);
            attempts += 1;
            let text = std::str::from_utf8(&answer.body).unwrap();
            let last: Value = match client {
                Responses => json!({ "error": anthropic_events(text).pop().unwrap() }),
                Anthropic => anthropic_events(text).pop().unwrap(),
                GeminiArray => serde_json::from_str::<Vec<Value>>(text)
                    .unwrap()
                    .pop()
                    .unwrap(),
                _ => {
                    let last = text.rsplit_once("data: ").unwrap().1;
                    serde_json::from_str(last).unwrap()
                }
            };
            assert!(last["error"]["message"].is_string(), "{case}: {last}");
            assert!(!text.contains("message_stop"), "{case}");
            assert!(!text.contains("response.completed"), "{case}");
        }
    }
    for row in stack.ledger.booked(attempts).await {
        assert_eq!(row.status, "failed");
    }
}

#[tokio::test]
async fn an_answer_stored_for_one_dialect_is_given_again_in_every_other() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let mut open = ask(GEMINI, "Once only. [[events=3]]");
    open["max_completion_tokens"] = 4096.into();
    let path = Openai.path(GEMINI, false);
    let first = Openai
        .send(&stack, &tenant.key, &path, &open)
        .await
        .expect(200);
    let first = Openai.read(&first.json()).text;
    stack.ledger.cached(1).await;
    for streamed in [false, true] {
        let body = Anthropic.body(GEMINI, "Once only. [[events=3]]", streamed);
        let answer = Anthropic
            .ask(&stack, &tenant, (GEMINI, streamed), &body)
            .await;
        assert_eq!(answer.text, first);
        for client in [Gemini, GeminiArray] {
            let mut body = client.body(GEMINI, "Once only. [[events=3]]", streamed);
            body["generationConfig"] = json!({ "maxOutputTokens": 4096 });
            let answer = client.ask(&stack, &tenant, (GEMINI, streamed), &body).await;
            assert_eq!(answer.text, first);
        }
    }
    assert_eq!(stack.calls().len(), 1, "the provider was asked again");
}

#[tokio::test]
async fn models_are_listed_and_tokens_counted_in_the_callers_dialect() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let get = async |path: &str, header: &str| {
        let request = client
            .request(Method::GET, path, Some(&tenant.key))
            .header(header, "2023-06-01");
        client
            .exchange(request.body(Full::default()).unwrap())
            .await
            .expect(200)
            .json()
    };
    let list = get("/v1/models", "anthropic-version").await;
    assert_eq!(list["has_more"], false);
    assert!(
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == "claude-haiku-4-5")
    );
    assert_eq!(
        get("/v1/models/default", "anthropic-version").await["type"],
        "model"
    );
    let list = get("/v1beta/models", "x-none").await;
    assert!(
        list["models"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["name"] == "models/gemini-2.5-flash")
    );
    let query = format!("/v1/models?key={}", tenant.key);
    let list = client.get(&query, None).await.expect(200).json();
    assert!(
        list["models"].is_array(),
        "the key in the address makes it Gemini's list"
    );
    assert_eq!(
        get("/v1/models/default", "x-goog-api-client").await["name"],
        "models/default"
    );

    let text = "x".repeat(40);
    for model in MODELS {
        let body = Anthropic.body(model, &text, false);
        let counted = Anthropic
            .send(&stack, &tenant.key, "/v1/messages/count_tokens", &body)
            .await
            .expect(200);
        assert_eq!(counted.json()["input_tokens"], 10, "{model}");
        let path = format!("/v1beta/models/{model}:countTokens");
        let counted = Gemini
            .send(
                &stack,
                &tenant.key,
                &path,
                &Gemini.body(model, &text, false),
            )
            .await
            .expect(200);
        assert_eq!(counted.json()["totalTokens"], 10, "{model}");
    }
    assert_eq!(stack.calls(), [], "counting is not asking");
}

#[tokio::test]
async fn between_two_of_anthropics_dialect_nothing_gets_lost() {
    const WHOLE: &str = r#"{"id":"msg_7","type":"message","role":"assistant","model":"m-2026","content":[{"type":"text","text":"hi","future":1.50}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2},"future":["x"]}"#;
    let streamed = [
        json!({"type": "message_start", "message": {"id": "msg_7", "model": "m-2026", "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "future_event", "x": 1}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi", "future": 1}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ]
    .map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
    .concat();
    let provider = Scripted::start(WHOLE.to_owned(), streamed.clone()).await;
    let base_url = provider.base_url();
    let base_url = base_url.strip_suffix("/v1").unwrap();
    let settings = format!(
        "[providers.scripted]\nkind = \"anthropic\"\nbase_url = \"{base_url}\"\napi_key = \"x\"\nprice_provider = \"anthropic\"\n"
    );
    let stack = Stack::with(&settings).await;
    let tenant = stack.tenant("mine").await;
    let mut asked = Vec::new();
    for stream in [false, true] {
        let text = format!("hello {stream}");
        let mut body = Anthropic.body("scripted/claude-haiku-4-5", &text, stream);
        body["future_switch"] = json!({ "depth": [1, 2.50] });
        let marked =
            json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } });
        body["messages"][0]["content"] = json!([marked]);
        let answer = Anthropic
            .send(&stack, &tenant.key, "/v1/messages", &body)
            .await
            .expect(200);
        let expected = if stream { streamed.as_str() } else { WHOLE };
        assert_eq!(answer.body, expected, "the answer was changed");
        body["model"] = "claude-haiku-4-5".into();
        asked.push(body);
    }
    assert_eq!(provider.asked(), asked);
    for row in stack.ledger.booked(2).await {
        assert_eq!((row.tokens.input, row.tokens.output), (3, 2));
    }
}

#[tokio::test]
async fn a_response_cannot_be_kept_and_its_client_is_told_so_before_anything_is_booked() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("store", json!(true)),
        ("background", json!(true)),
        ("tools", json!([{ "type": "web_search" }])),
        (
            "input",
            json!([{ "type": "item_reference", "id": "msg_1" }]),
        ),
    ] {
        let mut body = Responses.body(OPENAI, "x", false);
        body[name] = value;
        let answer = Responses
            .send(&stack, &tenant.key, "/v1/responses", &body)
            .await
            .expect(400);
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{name}");
        assert!(
            error["param"].as_str().unwrap().starts_with(name),
            "{name}: {error}"
        );
    }
    let kept = Responses
        .send(&stack, &tenant.key, "/v1/responses/resp_1", &json!({}))
        .await
        .expect(501);
    assert_eq!(kept.json()["error"]["code"], "not_supported");
    assert!(stack.calls().is_empty());
}
