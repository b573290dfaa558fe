//! A plain HTTP client: whole answers, and streams event by event.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The path of the main job.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// A whole answer. Status 0 means that there was none.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A streamed answer.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    received: String,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { base, http }
    }

    pub(crate) async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        self.send(Method::GET, path, key, None).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(key), Some(body)).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.request(method, path, key);
        let mut bytes = Bytes::new();
        if let Some(body) = body {
            request = request.header("content-type", "application/json");
            bytes = body.to_string().into();
        }
        self.exchange(request.body(Full::new(bytes)).unwrap()).await
    }

    /// Asks for a chat completion.
    pub(crate) async fn chat(&self, key: &str, body: &Value) -> Answer {
        self.post(CHAT, key, body).await
    }

    /// Asks for a streamed chat completion.
    pub(crate) async fn stream(&self, key: &str, body: &Value) -> Stream {
        let request = self.request(Method::POST, CHAT, Some(key));
        let body = Full::new(Bytes::from(body.to_string()));
        let response = self
            .http
            .request(request.body(body).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        Stream {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            received: String::new(),
        }
    }

    /// Sends any request; a connection that fails is an answer with status 0.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Answer {
        match self.http.request(request).await {
            Ok(response) => Answer::of(response).await,
            Err(_) => Answer::default(),
        }
    }

    /// The beginning of a request.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
    ) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        match key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Self {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
            },
            Err(_) => Self::default(),
        }
    }

    /// The same answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The body.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let json = serde_json::from_slice(&self.body);
        json.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A text in the body.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        let json = self.json();
        let text = json[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {self:?}"))
            .to_owned()
    }

    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }
}

impl Stream {
    /// The data of the next event; none at the end, however that comes.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.received.split_once("\n\n") {
                let data = event.strip_prefix("data: ").unwrap_or(event).to_owned();
                self.received = rest.to_owned();
                return Some(data);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.received.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }

    /// All events that are left.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}
