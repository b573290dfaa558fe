//! What the mock charges for.

use std::time::{Duration, Instant};

use http::Method;
use loadtest::client::Connection;
use loadtest::provider::books::{Call, Statement};
use loadtest::provider::{Options, Server};
use serde_json::json;

use crate::mock::{chat, contents, post, send, start};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn the_books_hold_what_clients_were_told() {
    let server = start().await;
    let whole = post(
        &server,
        CHAT,
        &chat("Hi [[thoughts=2]] [[cached=4]]", json!({})),
    )
    .await
    .json();
    let gemini = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let stream = post(&server, gemini, &contents("Hi", json!({})))
        .await
        .chunks();

    let seen = send(&server, None, Method::GET, "/books", String::new()).await;
    let books: Statement = serde_json::from_str(&seen.body).unwrap();
    let [first, second] = books.calls.as_slice() else {
        panic!("two calls");
    };
    assert_eq!(whole["id"], first.id);
    let usage = &whole["usage"];
    assert_eq!(usage["prompt_tokens"], first.input_tokens);
    assert_eq!(usage["completion_tokens"], first.output_tokens);
    assert_eq!((first.cache_read_tokens, first.reasoning_tokens), (4, 2));
    assert_eq!(stream[0]["responseId"], second.id);
    assert!(first.completed && second.completed && second.stream);
    assert_eq!(books.totals["gpt-4o-mini"].input_tokens, first.input_tokens);
}

#[tokio::test]
async fn a_client_that_leaves_is_charged_in_full_for_a_call_that_was_not_completed() {
    let server = start().await;
    let prompt = "Hi [[tokens=40]] [[events=4]] [[pace=60000]]";
    let body = chat(prompt, json!({ "stream": true })).to_string();
    let target = server.base_url().parse().unwrap();
    let mut connection = Connection::open(&target, Some("any")).await.unwrap();
    drop(
        connection
            .send(Method::POST, CHAT, body.into())
            .await
            .unwrap(),
    );

    let call = &server.books().statement().calls[0];
    assert_eq!((call.completed, call.output_tokens), (false, 40));
}

#[tokio::test]
async fn delay_and_pace_are_kept() {
    let server = start().await;
    let started = Instant::now();
    let prompt = "Hi [[delay=20]] [[pace=10]] [[events=2]]";
    post(&server, CHAT, &chat(prompt, json!({ "stream": true }))).await;
    // Role, two contents, finish and [DONE] are five events with four pauses.
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn full_books_refuse_and_cleared_ones_start_again() {
    let options = Options {
        books_max: 1,
        ..Options::default()
    };
    let server = Server::start(&options).await.unwrap();
    let body = chat("Hi", json!({}));
    let statuses = [
        post(&server, CHAT, &body).await,
        post(&server, CHAT, &body).await,
    ];
    assert_eq!(statuses.map(|seen| seen.status.as_u16()), [200, 503]);

    send(&server, None, Method::DELETE, "/books", String::new()).await;
    assert_eq!(server.books().statement().calls, Vec::<Call>::new());
    assert_eq!(server.stop().await.turned_away, 1);
}
