//! A call that is sent twice with one `Idempotency-Key` is answered and billed once.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;
use http_body_util::Full;
use serde_json::Value;

use crate::harness::{Answer, CHAT, Client, OPENAI, Stack, ask, ask_stream};

/// The second answer must not come from the cache.
const SETTINGS: &str = "cache.mode = \"off\"";

async fn send(client: &Client, secret: &str, key: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, CHAT, Some(secret));
    let request = request.header("idempotency-key", key);
    let body = Full::new(Bytes::from(body.to_string()));
    client.exchange(request.body(body).unwrap()).await
}

#[tokio::test]
async fn a_call_sent_again_is_answered_as_before_and_billed_once_at_every_gateway() {
    let stack = Stack::with(SETTINGS).await;
    let tenant = stack.tenant("mine").await;
    let (_kept, other) = stack.another().await;
    for body in [ask(OPENAI, "Once."), ask_stream(OPENAI, "Once, streamed.")] {
        let key = format!("key of {}", body["messages"][0]["content"]);
        let first = send(stack.gateway.client(), &tenant.key, &key, &body)
            .await
            .expect(200);
        assert_eq!(first.header("x-flowpilot-idempotent-replay"), "");
        for client in [stack.gateway.client(), other.client()] {
            let again = send(client, &tenant.key, &key, &body).await.expect(200);
            assert_eq!(again.header("x-flowpilot-idempotent-replay"), "true");
            assert_eq!(again.header("content-type"), first.header("content-type"));
            assert_eq!(again.body, first.body);
        }
    }
    assert_eq!(stack.calls().len(), 2);
    stack.ledger.booked(2).await;
    stack.ledger.balanced().await;
}

#[tokio::test]
async fn whoever_sends_the_same_call_meanwhile_waits_for_its_answer() {
    let stack = Stack::with(SETTINGS).await;
    let tenant = stack.tenant("mine").await;
    let (_kept, other) = stack.another().await;
    let body = ask(OPENAI, "Slowly. [[delay=700]]");
    let clients = [
        stack.gateway.client(),
        other.client(),
        stack.gateway.client(),
    ];
    let answers = join_all(clients.map(|client| send(client, &tenant.key, "one", &body))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(stack.calls().len(), 1);
}

#[tokio::test]
async fn a_key_is_bound_to_its_call_and_its_organization_and_free_again_after_a_failure() {
    let stack = Stack::with(SETTINGS).await;
    let (tenant, theirs) = (stack.tenant("mine").await, stack.tenant("theirs").await);
    let client = stack.gateway.client();
    send(client, &tenant.key, "one", &ask(OPENAI, "Mine."))
        .await
        .expect(200);

    let other = send(client, &tenant.key, "one", &ask(OPENAI, "Another call.")).await;
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(other.json()["error"]["code"], "idempotency_mismatch");
    let stranger = send(client, &theirs.key, "one", &ask(OPENAI, "Mine."))
        .await
        .expect(200);
    assert_eq!(stranger.header("x-flowpilot-idempotent-replay"), "");
    send(client, &tenant.key, "", &ask(OPENAI, "Mine."))
        .await
        .expect(400);

    let fails = ask(OPENAI, "Fail. [[status=400]]");
    let before = stack.calls().len();
    for attempt in 1..=2 {
        send(client, &tenant.key, "two", &fails).await.expect(400);
        assert_eq!(stack.calls().len(), before + attempt, "it was not run anew");
    }
}
