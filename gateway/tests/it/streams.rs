//! Streams whose ends do not come together: the client leaves early, or the gateway is asked to stop.

use nix::sys::signal::Signal;

use crate::harness::{
    GEMINI, OPENAI, Stack, Tokens, ask_stream, ask_stream_with_usage, eventually,
};

#[tokio::test]
async fn a_stream_whose_client_leaves_is_booked_once_and_in_full() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    for model in [GEMINI, OPENAI] {
        let text = "Go on. [[thoughts=3]] [[events=30]] [[pace=20]]";
        let mut stream = client.stream(&tenant.key, &ask_stream(model, text)).await;
        stream.next().await.unwrap();
        stream.next().await.unwrap();
        drop(stream);
    }

    let rows = stack.ledger.booked(2).await;
    for (row, call) in rows.iter().zip(stack.calls()) {
        assert!(call.completed, "the provider was cut");
        assert_eq!((&*row.status, &*row.source), ("cancelled", "provider"));
        assert_eq!(row.tokens, Tokens::from(&call));
    }
    assert_eq!(stack.calls().len(), 2);
    assert_eq!(stack.ledger.balanced().await.calls, 2);
}

#[tokio::test]
async fn where_it_is_to_be_aborted_a_stream_whose_client_leaves_is_cut_and_booked_as_an_estimate() {
    let stack = Stack::with("metering.on_disconnect = \"abort\"").await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let text = "Go on. [[events=1000]] [[pace=50]]";
    let mut stream = client.stream(&tenant.key, &ask_stream(OPENAI, text)).await;
    stream.next().await.unwrap();
    stream.next().await.unwrap();
    drop(stream);

    let rows = stack.ledger.booked(1).await;
    assert_eq!(
        (&*rows[0].status, &*rows[0].source),
        ("cancelled", "estimated")
    );
    assert!(
        rows[0].tokens.input > 0 && rows[0].tokens.output > 0,
        "{:?}",
        rows[0].tokens
    );
    assert!(rows[0].tokens.output < 1000, "it was read to its end");
    let calls = stack.calls();
    assert!(calls.iter().all(|call| !call.completed), "{calls:?}");
}

#[tokio::test]
async fn a_gateway_asked_to_stop_finishes_its_streams_and_books_everything() {
    // Nothing is shipped by the clock, so that stopping has to do it.
    let settings = "server.drain_announce_ms = 1500\nmetering.ship_interval_ms = 60000";
    let mut stack = Stack::with(settings).await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client().clone();
    let body = ask_stream_with_usage("default", "Go on. [[events=50]] [[pace=50]]");
    let mut stream = client.stream(&tenant.key, &body).await;
    stream.next().await.unwrap();

    stack.gateway.signal(Signal::SIGTERM);
    eventually("no more requests are wanted", async || {
        let ready = client.get("/readyz", None).await;
        assert!(matches!(ready.status, 200 | 503), "{ready:?}");
        ready.status == 503
    })
    .await;
    let events = stream.rest().await;

    assert_eq!(events.last().unwrap(), "[DONE]");
    let status = stack.gateway.ended().await;
    assert_eq!(status.code(), Some(0));
    let rows = stack.ledger.requests().await;
    assert_eq!(rows.len(), 1, "booked before the end");
    assert_eq!(rows[0].status, "completed");
    assert_eq!(rows[0].tokens, Tokens::from(&stack.calls()[0]));
    stack.ledger.balanced().await;
}
