//! A mock under test, and what a client sees of it.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use loadtest::client::Connection;
use loadtest::provider::{Options, Server};
use serde_json::{Value, json};

/// What came back.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
    /// Whether the body ended as it should.
    pub(crate) whole: bool,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The data of every server-sent event.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.body.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| event.strip_prefix("data: ").expect("`data: `").to_owned())
            .collect()
    }

    /// The events that are JSON.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let events = self.events();
        let events = events.iter().filter(|event| *event != "[DONE]");
        events
            .map(|event| serde_json::from_str(event).expect("JSON"))
            .collect()
    }
}

pub(crate) async fn start() -> Server {
    Server::start(&Options::default()).await.expect("a mock")
}

pub(crate) async fn post(server: &Server, path: &str, body: &Value) -> Seen {
    send(server, Some("any"), Method::POST, path, body.to_string()).await
}

pub(crate) async fn send(
    server: &Server,
    key: Option<&str>,
    method: Method,
    path: &str,
    body: String,
) -> Seen {
    let target = server.base_url().parse().expect("a target");
    let mut connection = Connection::open(&target, key).await.expect("a connection");
    let response = connection
        .send(method, path, Bytes::from(body))
        .await
        .expect("a response");
    let (status, headers) = (response.status(), response.headers().clone());
    let (mut bytes, mut whole) = (Vec::new(), true);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().expect("data")),
            Err(_) => whole = false,
        }
    }
    let body = String::from_utf8(bytes).expect("text");
    Seen {
        status,
        headers,
        body,
        whole,
    }
}

pub(crate) fn chat(prompt: &str, more: Value) -> Value {
    let messages = json!([{ "role": "user", "content": prompt }]);
    merge(
        json!({ "model": "gpt-4o-mini", "messages": messages }),
        more,
    )
}

pub(crate) fn contents(prompt: &str, more: Value) -> Value {
    let contents = json!([{ "role": "user", "parts": [{ "text": prompt }] }]);
    merge(json!({ "contents": contents }), more)
}

fn merge(mut base: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut base, more) {
        fields.extend(more);
    }
    base
}
