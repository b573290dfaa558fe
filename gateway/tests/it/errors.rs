//! Every mistake, the caller's and the provider's, is answered in the caller's dialect, and none harms the gateway.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde_json::Value;

use crate::harness::{
    Answer, CHAT, GEMINI, OPENAI, Stack, Tenant, Tokens, ask, ask_stream, ask_stream_with_usage,
};

const BODY_BYTES_MAX: usize = 50_000;

/// A provider at an address where nobody listens, and a small limit of bodies.
fn settings() -> String {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    format!(
        r#"
server.request_body_bytes_max = {BODY_BYTES_MAX}

[providers.down]
kind = "openai"
base_url = "http://{address}/v1"
api_key = "x"
price_provider = "openai"
"#
    )
}

/// Asserts OpenAI's error object, complete.
#[track_caller]
fn is_error(case: &str, error: &Value, code: &str) {
    let error = error["error"].as_object().unwrap();
    let mut names: Vec<_> = error.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "message", "param", "type"], "{case}");
    assert!(error["message"].is_string(), "{case}: {error:?}");
    assert!(error["type"].is_string(), "{case}: {error:?}");
    assert_eq!(error["code"], code, "{case}: {error:?}");
}

#[track_caller]
fn is_refused(case: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/json", "{case}");
    assert!(!answer.header("x-request-id").is_empty(), "{case}");
    is_error(case, &answer.json(), code);
}

async fn still_answers(stack: &Stack, tenant: &Tenant) {
    let client = stack.gateway.client();
    let body = ask("default", "still there?");
    client.chat(&tenant.key, &body).await.expect(200);
    client.get("/readyz", None).await.expect(200);
}

/// Bodies that make no sense: case, body, status and code.
const SENSELESS: &[(&str, &str, u16, &str)] = &[
    ("invalid JSON", r#"{"model":"#, 400, "invalid_request"),
    ("no object", "[1]", 400, "invalid_request"),
    ("an empty body", "", 400, "invalid_request"),
    (
        "no messages",
        r#"{"model":"default"}"#,
        400,
        "invalid_request",
    ),
    (
        "no message",
        r#"{"model":"default","messages":[]}"#,
        400,
        "invalid_request",
    ),
    (
        "no model",
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
        400,
        "invalid_request",
    ),
    (
        "a wrong role",
        r#"{"model":"default","messages":[{"role":"king","content":"x"}]}"#,
        400,
        "invalid_request",
    ),
    (
        "a wrong type",
        r#"{"model":"default","messages":[{"role":"user","content":"x"}],"n":"2"}"#,
        400,
        "invalid_request",
    ),
    (
        "an unknown model",
        r#"{"model":"gpt-99","messages":[{"role":"user","content":"x"}]}"#,
        404,
        "model_not_found",
    ),
    (
        "an unknown provider",
        r#"{"model":"x/y","messages":[{"role":"user","content":"x"}]}"#,
        404,
        "model_not_found",
    ),
    (
        "no price",
        r#"{"model":"mock/x","messages":[{"role":"user","content":"x"}]}"#,
        400,
        "model_unpriced",
    ),
];

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_their_reason() {
    let stack = Stack::with(&settings()).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let long = ask("default", &"x".repeat(BODY_BYTES_MAX)).to_string();
    let long = ("too long", long.as_str(), 413, "request_too_large");
    for (case, body, status, code) in SENSELESS.iter().copied().chain([long]) {
        let request = client.request(Method::POST, CHAT, Some(&tenant.key));
        let body = Full::new(Bytes::from(body.to_owned()));
        let answer = client.exchange(request.body(body).unwrap()).await;
        is_refused(case, &answer, status, code);
    }

    let key = Some(tenant.key.as_str());
    let cases = [
        ("no key", Method::POST, CHAT, None, 401, "missing_api_key"),
        (
            "a bad key",
            Method::POST,
            CHAT,
            Some("fp_x"),
            401,
            "invalid_api_key",
        ),
        (
            "an unknown route",
            Method::POST,
            "/v1/guesses",
            key,
            404,
            "unknown_route",
        ),
        (
            "a wrong method",
            Method::DELETE,
            CHAT,
            key,
            405,
            "method_not_allowed",
        ),
    ];
    for (case, method, path, key, status, code) in cases {
        let body = ask("default", "x");
        let answer = client.send(method, path, key, Some(&body)).await;
        is_refused(case, &answer, status, code);
    }
    assert_eq!(stack.calls(), [], "the provider was asked");
    still_answers(&stack, &tenant).await;
    let rows = stack.ledger.booked(1).await;
    assert_eq!(
        rows[0].status, "completed",
        "only what was admitted is booked"
    );
}

#[tokio::test]
async fn a_failing_provider_is_told_from_a_failing_caller_and_costs_nothing() {
    let stack = Stack::with(&settings()).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let cases = [
        (GEMINI, "[[status=429]]", 429, "resource_exhausted"),
        (OPENAI, "[[status=429]]", 429, "rate_limit_exceeded"),
        (GEMINI, "[[status=500]]", 502, "upstream_rejected"),
        (OPENAI, "[[status=500]]", 502, "upstream_rejected"),
        (GEMINI, "[[status=503]]", 503, "upstream_rejected"),
        (OPENAI, "[[status=401]]", 502, "upstream_rejected"),
        ("down/gpt-4o-mini", "hello", 502, "upstream_unreachable"),
    ];
    let mut attempts = 0;
    for (model, text, status, code) in cases {
        for body in [ask(model, text), ask_stream(model, text)] {
            let case = format!("{model} {text}");
            let answer = client.chat(&tenant.key, &body).await;
            is_refused(&case, &answer, status, code);
            attempts += 1;
            if status == 429 {
                assert_eq!(answer.header("retry-after"), "1", "{case}");
                assert_eq!(answer.header("retry-after-ms"), "1000", "{case}");
            }
        }
    }
    for row in stack.ledger.booked(attempts).await {
        assert_eq!(row.status, "failed");
        assert_eq!(row.tokens, Tokens::default());
        assert_eq!(row.cost, loadtest::oracle::price::Usd::default());
    }
    still_answers(&stack, &tenant).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_in_an_error_and_is_booked_once_with_what_is_known() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let text = "Tell me more. [[events=9]] [[cut=4]]";

    for model in [GEMINI, OPENAI] {
        let body = ask_stream_with_usage(model, text);
        let mut stream = client.stream(&tenant.key, &body).await;
        assert_eq!(stream.status, 200);
        let events = stream.rest().await;
        let (error, content) = events.split_last().unwrap();
        assert!(
            content.len() >= 3,
            "what came was not passed on: {events:#?}"
        );
        let error = serde_json::from_str(error).unwrap();
        is_error(model, &error, "upstream_broken");
    }
    let calls = stack.calls();
    let rows = stack.ledger.booked(2).await;
    for (row, call) in rows.iter().zip(&calls) {
        assert_eq!(row.status, "failed", "{row:?}");
        assert_eq!(row.tokens.input, Tokens::from(call).input);
        assert!(row.tokens.output > 0, "{row:?}");
    }
    // Gemini tells the usage with every event, OpenAI only at the end; neither came to its last word.
    assert_eq!(rows[0].tokens, Tokens::from(&calls[0]));
    assert_eq!(
        (&*rows[0].source, &*rows[1].source),
        ("estimated", "estimated")
    );
    stack.ledger.balanced().await;

    client
        .chat(&tenant.key, &ask("default", "another"))
        .await
        .expect(200);
    stack.ledger.cached(1).await;
    let again = ask_stream_with_usage(GEMINI, text);
    let again = client.stream(&tenant.key, &again).await;
    assert_eq!(
        again.header("x-flowpilot-cache"),
        "miss",
        "half an answer was cached"
    );
    still_answers(&stack, &tenant).await;
}
