//! The main job: a client asks, a provider answers, and the books say exactly what that was and what it costs.

use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use loadtest::oracle::price::{Prices, Usd, decimal};
use loadtest::provider::books::Call;
use serde_json::{Value, json};

use crate::harness::{
    CHAT, GEMINI, OPENAI, Request, Stack, Tenant, Tokens, ask, ask_stream, ask_stream_with_usage,
};

/// The shipped price list, read by the oracle.
const PRICES: &str = include_str!("../../../config/prices.toml");

/// Every class of tokens is used.
const PROMPT: &str = "Name the capital of France. [[thoughts=7]] [[cached=5]] [[events=6]]";

#[tokio::test]
async fn tokens_and_cost_from_gemini_are_booked_to_the_last_digit() {
    is_booked_to_the_last_digit(GEMINI, "gemini").await;
}

#[tokio::test]
async fn tokens_and_cost_from_openai_are_booked_to_the_last_digit() {
    is_booked_to_the_last_digit(OPENAI, "openai").await;
}

async fn is_booked_to_the_last_digit(model: &str, price_provider: &str) {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let prompt = |kind: &str| format!("{kind}: {PROMPT}");

    let whole = client
        .chat(&tenant.key, &ask(model, &prompt("whole")))
        .await;
    let whole = whole.expect(200);
    assert_eq!(whole.header("x-flowpilot-cache"), "miss");
    let silent = ask_stream(model, &prompt("streamed"));
    let silent = client.stream(&tenant.key, &silent).await.rest().await;
    let told = ask_stream_with_usage(model, &prompt("streamed with usage"));
    let told = client.stream(&tenant.key, &told).await.rest().await;

    let calls = stack.calls();
    assert_eq!(shown_usage(&whole.json()), Some(Tokens::from(&calls[0])));
    assert_eq!(usage_in(&silent), []);
    assert_eq!(usage_in(&told), [Tokens::from(&calls[2])]);
    for events in [&silent, &told] {
        assert_eq!(events.last().unwrap(), "[DONE]");
        let text = text_of(events);
        assert_eq!(text.split(' ').count(), 6, "{text}");
    }

    let rows = stack.ledger.booked(3).await;
    let costs = costs(&calls, price_provider);
    for ((row, call), cost) in rows.iter().zip(&calls).zip(&costs) {
        assert!(*cost > Usd::default());
        assert_eq!(row.tokens, Tokens::from(call));
        assert_eq!(row.total_tokens, row.tokens.total());
        assert_eq!(row.cost, *cost);
        assert_eq!(row.saved, Usd::default());
        assert_eq!(row.organization, tenant.organization);
        let said = (&*row.status, &*row.source, &*row.cache);
        assert_eq!(said, ("completed", "provider", "miss"));
        assert_eq!(format!("{}/{}", row.provider, row.model), model);
    }
    events_agree(&stack, &rows).await;
    let sums = stack.ledger.balanced().await;
    assert_eq!(sums.calls, 3);
    assert_eq!(sums.cost, costs.iter().sum::<Usd>());
    let report = usage_report(&stack, &tenant).await;
    let tokens: Vec<_> = calls.iter().map(Tokens::from).collect();
    let sum = |of: fn(&Tokens) -> i64| json!(tokens.iter().map(of).sum::<i64>());
    assert_eq!(report["input_tokens"], sum(|tokens| tokens.input));
    assert_eq!(report["cache_read_tokens"], sum(|tokens| tokens.cache_read));
    assert_eq!(report["output_tokens"], sum(|tokens| tokens.output));
    assert_eq!(report["reasoning_tokens"], sum(|tokens| tokens.reasoning));
    assert_eq!(
        (&report["requests"], &report["hits"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(usd(&report, "cost_usd"), sums.cost);
}

#[tokio::test]
async fn the_second_identical_request_costs_nothing_and_says_what_it_saved() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();

    let first = client.chat(&tenant.key, &ask("default", PROMPT)).await;
    let first = first.expect(200).json();
    stack.ledger.cached(1).await;
    let second = client.chat(&tenant.key, &ask("default", PROMPT)).await;
    let second = second.expect(200);
    let mut streamed = client
        .stream(&tenant.key, &ask_stream_with_usage("default", PROMPT))
        .await;

    assert_eq!(second.header("x-flowpilot-cache"), "exact");
    assert_eq!(streamed.header("x-flowpilot-cache"), "exact");
    let text = first["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(second.json()["choices"], first["choices"]);
    assert_eq!(text_of(&streamed.rest().await), text);
    let calls = stack.calls();
    assert_eq!(calls.len(), 1, "the provider was asked again");

    let rows = stack.ledger.booked(3).await;
    let paid = &costs(&calls, "gemini")[0];
    for hit in &rows[1..] {
        assert_eq!((&*hit.status, &*hit.cache), ("cached", "exact"));
        assert_eq!((&hit.cost, &hit.saved), (&Usd::default(), paid));
        assert_eq!(hit.tokens, Tokens::default());
    }
    events_agree(&stack, &rows).await;
    let sums = stack.ledger.balanced().await;
    assert_eq!((sums.calls, &sums.cost), (3, paid));
    assert_eq!(sums.tokens, Tokens::from(&calls[0]).total());
    let report = usage_report(&stack, &tenant).await;
    assert_eq!(
        (&report["requests"], &report["hits"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(usd(&report, "cost_usd"), *paid);
    assert_eq!(usd(&report, "saved_cost_usd"), paid + paid);
}

/// What the organization is told of its usage, in one row.
async fn usage_report(stack: &Stack, tenant: &Tenant) -> Value {
    let report = stack
        .gateway
        .client()
        .get("/api/v1/usage", Some(&tenant.key));
    let report = report.await.expect(200).json();
    let rows = report["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{report}");
    rows[0].clone()
}

/// An amount in a report: a text, so that no reader rounds it.
fn usd(report: &Value, field: &str) -> Usd {
    decimal(report[field].as_str().unwrap()).unwrap()
}

/// Asserts that the usage events say what the requests say.
async fn events_agree(stack: &Stack, rows: &[Request]) {
    let events = stack.ledger.usage_events().await;
    assert_eq!(events.len(), rows.len());
    for (event, row) in events.iter().zip(rows) {
        assert_eq!(event.request, row.id);
        assert_eq!(event.tokens, row.tokens);
        assert_eq!(event.quantity, row.tokens.total());
        assert_eq!((&event.cost, &event.saved), (&row.cost, &row.saved));
        assert_eq!(event.source, row.source);
    }
}

/// What the provider's calls cost, by the oracle's arithmetic.
fn costs(calls: &[Call], price_provider: &str) -> Vec<Usd> {
    let prices = Prices::parse(PRICES).unwrap();
    let costs = calls.iter().map(|call| prices.cost(price_provider, call));
    costs.map(Result::unwrap).collect()
}

/// The usage a client is shown.
fn shown_usage(answer: &Value) -> Option<Tokens> {
    let usage = answer.get("usage").filter(|usage| !usage.is_null())?;
    let count = |pointer: &str| usage.pointer(pointer).unwrap().as_i64().unwrap();
    let tokens = Tokens {
        input: count("/prompt_tokens"),
        cache_read: count("/prompt_tokens_details/cached_tokens"),
        output: count("/completion_tokens"),
        reasoning: count("/completion_tokens_details/reasoning_tokens"),
    };
    assert_eq!(count("/total_tokens"), tokens.total());
    Some(tokens)
}

fn usage_in(events: &[String]) -> Vec<Tokens> {
    let events = events.iter().filter(|event| *event != "[DONE]");
    let chunks = events.map(|event| serde_json::from_str::<Value>(event).unwrap());
    chunks.filter_map(|chunk| shown_usage(&chunk)).collect()
}

/// The text of a stream.
fn text_of(events: &[String]) -> String {
    let events = events.iter().filter(|event| *event != "[DONE]");
    let chunks = events.map(|event| serde_json::from_str::<Value>(event).unwrap());
    let pieces = chunks.filter_map(|chunk| {
        let text = chunk.pointer("/choices/0/delta/content")?.as_str()?;
        Some(text.to_owned())
    });
    pieces.collect()
}

#[tokio::test]
async fn what_a_request_is_for_stands_in_the_books() {
    let stack = Stack::start().await;
    let tenant = stack.tenant("mine").await;
    let client = stack.gateway.client();
    let workflow = "01993752-0000-7000-8000-000000000001";
    let ask_for = async |tags: &str| {
        let request = client.request(Method::POST, CHAT, Some(&tenant.key));
        let request = request
            .header("x-flowpilot-tags", tags)
            .header("x-flowpilot-workflow", workflow);
        let body = Full::new(Bytes::from(ask(OPENAI, "What for?").to_string()));
        client.exchange(request.body(body).unwrap()).await
    };

    ask_for("no pair").await.expect(400);
    ask_for("team=search, feature=autocomplete")
        .await
        .expect(200);
    let hit = ask_for("team=search, feature=autocomplete")
        .await
        .expect(200);
    assert_eq!(hit.header("x-flowpilot-cache"), "exact");

    stack.ledger.booked(2).await;
    let attributed = "SELECT count(*) FROM usage_events AS event JOIN ai_requests AS request ON request.id = event.request_id
                       WHERE event.tags = '{\"team\": \"search\", \"feature\": \"autocomplete\"}' AND request.tags = event.tags
                         AND event.workflow_id = '01993752-0000-7000-8000-000000000001' AND request.workflow_id = event.workflow_id";
    assert_eq!(stack.ledger.count(attributed).await, 4);
}
