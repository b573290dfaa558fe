//! kill -9: whatever the provider was asked is booked exactly once, by the next start.

use tokio_util::task::TaskTracker;

use crate::harness::{
    GEMINI, OPENAI, Request, Stack, Tokens, ask, ask_stream_with_usage, eventually,
};

#[tokio::test]
async fn after_a_kill_every_call_of_the_provider_is_booked_exactly_once() {
    let mut stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client().clone();
    for (number, model) in [GEMINI, OPENAI, GEMINI].into_iter().enumerate() {
        let text = format!("question {number} [[thoughts={number}]]");
        client
            .chat(&tenant.key, &ask(model, &text))
            .await
            .expect(200);
    }
    stack.ledger.cached(3).await;
    let hit = client
        .chat(&tenant.key, &ask(GEMINI, "question 0 [[thoughts=0]]"))
        .await;
    assert_eq!(hit.expect(200).header("x-flowpilot-cache"), "exact");

    let tasks = TaskTracker::new();
    for model in [GEMINI, OPENAI] {
        let (client, key) = (client.clone(), tenant.key.clone());
        let body = ask(model, "nobody gets this [[delay=300000]]");
        tasks.spawn(async move { client.chat(&key, &body).await });
        let body = ask_stream_with_usage(model, "half of it [[events=9]] [[pace=300000]]");
        let mut stream = client_stream(&stack, &tenant.key, &body).await;
        stream.next().await.unwrap();
        tasks.spawn(async move { drop(stream.next().await) });
    }
    eventually("the provider has all calls", async || {
        stack.calls().len() == 7
    })
    .await;
    stack = restart(stack).await;

    // Three answered, one hit, four that nobody saw the end of.
    let rows = stack.ledger.booked(8).await;
    is_booked_exactly(&stack, &rows);
    let sums = stack.ledger.balanced().await;
    assert_eq!(sums.calls, 8);

    // Started again, there is nothing left to recover; and a new request is just one more.
    stack = restart(stack).await;
    let client = stack.gateway.client();
    client
        .chat(&tenant.key, &ask(GEMINI, "afterwards"))
        .await
        .expect(200);
    let again = stack.ledger.booked(9).await;
    assert_eq!(again[..8], rows);
    stack.ledger.balanced().await;
}

async fn client_stream(
    stack: &Stack,
    key: &str,
    body: &serde_json::Value,
) -> crate::harness::Stream {
    stack.gateway.client().stream(key, body).await
}

/// Kills the gateway and starts it again on the same data.
async fn restart(stack: Stack) -> Stack {
    stack.gateway.kill().await;
    Stack {
        gateway: stack.installation.start().await,
        ..stack
    }
}

/// Asserts that calls which were answered are booked as they were, and the others as unknown.
fn is_booked_exactly(stack: &Stack, rows: &[Request]) {
    let (settled, open): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.source != "unknown");
    let asked: Vec<_> = settled
        .iter()
        .filter(|row| row.status != "cached")
        .collect();
    let calls = stack.calls();
    let (answered, left) = calls.split_at(3);
    let booked: Vec<_> = asked.iter().map(|row| row.tokens).collect();
    let charged: Vec<_> = answered.iter().map(Tokens::from).collect();
    assert_eq!(booked, charged);
    assert_eq!(settled.len(), 4);
    assert_eq!(open.len(), left.len());
    for row in open {
        assert_eq!(row.status, "failed", "{row:?}");
    }
}
