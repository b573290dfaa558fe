//! Providers that speak another's protocol, at an address and with a credential of their own; none of them was reached live.

use serde_json::json;

use crate::harness::{Scene, Scripted, Stack, ask, ask_stream};

const GEMINI_ANSWER: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;
const TOKEN: &str = r#"{"access_token":"t-1","expires_in":3600,"token_type":"Bearer"}"#;

/// Made for this test: it opens nothing.
const PRIVATE_KEY: &str = include_str!("providers/test-key.pem");

#[tokio::test]
async fn azure_is_asked_at_the_deployments_address_with_its_own_header() {
    let azure = Scripted::playing(&[]).await;
    let address = azure.address();
    let settings = format!(
        "[providers.azure]\nkind = \"azure\"\nbase_url = \"{address}\"\napi_key = \"secret\""
    );
    let stack = Stack::with(&settings).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    let model = "azure/gpt-4o-mini";
    let answer = client.chat(&tenant.key, &ask(model, "whole")).await;
    assert_eq!(answer.expect(200).header("x-flowpilot-provider"), "azure");
    let body = ask_stream(model, "streamed");
    let mut stream = client.stream(&tenant.key, &body).await;
    assert_eq!(stream.rest().await.last().unwrap(), "[DONE]");

    for request in azure.heard() {
        let target = "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21";
        assert_eq!(request.target, target);
        assert_eq!(request.headers["api-key"], "secret");
        assert_eq!(request.headers.get("authorization"), None);
    }
    for row in stack.ledger.booked(2).await {
        assert_eq!((row.tokens.input, row.tokens.output), (3, 2));
        assert!(row.cost > loadtest::oracle::price::Usd::default());
    }
}

#[tokio::test]
async fn vertex_is_asked_with_a_token_that_is_fetched_once() {
    let streamed = format!("data: {GEMINI_ANSWER}\n\n");
    let vertex = Scripted::start(GEMINI_ANSWER.to_owned(), streamed).await;
    let google = Scripted::start(TOKEN.to_owned(), String::new()).await;
    let settings = vertex_settings(&vertex, &google);
    let stack = Stack::with(&settings).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    let model = "vertex/gemini-2.5-flash";
    let whole = client.chat(&tenant.key, &ask(model, "whole")).await;
    whole.expect(200);
    let body = ask_stream(model, "streamed");
    let mut stream = client.stream(&tenant.key, &body).await;
    assert_eq!(stream.rest().await.last().unwrap(), "[DONE]");

    let heard = vertex.heard();
    let collection = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash";
    for (request, method) in heard
        .iter()
        .zip(["generateContent", "streamGenerateContent?alt=sse"])
    {
        assert_eq!(request.target, format!("{collection}:{method}"));
        assert_eq!(request.headers["authorization"], "Bearer t-1");
    }
    let [exchange] = google.heard().try_into().unwrap();
    assert_eq!(exchange.target, "/token");
    let body = exchange.body.as_str().unwrap();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    assert!(body.starts_with(grant), "{body}");
    assert!(!stack.gateway.log().contains("t-1"));
}

#[tokio::test]
async fn where_no_token_can_be_had_vertex_is_not_asked_and_nothing_is_charged() {
    let vertex = Scripted::playing(&[]).await;
    let google = Scripted::playing(&[]).await;
    google.always(Scene::Refuse(401, None));
    let settings = vertex_settings(&vertex, &google);
    let stack = Stack::with(&format!("{settings}\n[routing]\nattempts_max = 1")).await;
    let tenant = stack.tenant("mine").await;
    let body = ask("vertex/gemini-2.5-flash", "hello");
    let refused = stack.gateway.client().chat(&tenant.key, &body).await;
    assert_eq!(
        refused.expect(502).json()["error"]["code"],
        "upstream_unreachable"
    );
    assert_eq!(vertex.heard().len(), 0);
    assert_eq!(stack.ledger.booked(1).await[0].tokens.input, 0);
}

fn vertex_settings(vertex: &Scripted, google: &Scripted) -> String {
    let key_file = json!({
        "type": "service_account",
        "client_email": "robot@example.test",
        "private_key_id": "k1",
        "private_key": PRIVATE_KEY,
        "token_uri": format!("{}/token", google.address()),
    });
    let account = toml::Value::from(key_file.to_string());
    let address = vertex.address();
    format!(
        "[providers.vertex]\nkind = \"vertex\"\nbase_url = \"{address}/v1/projects/p/locations/l\"\nservice_account = {account}"
    )
}
