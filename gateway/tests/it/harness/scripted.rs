//! A provider that answers what a test says, and remembers what it was asked, byte by byte.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The provider, on a port of its own.
#[derive(Debug)]
pub(crate) struct Scripted {
    address: SocketAddr,
    asked: Asked,
    script: Arc<Script>,
    _task: AbortOnDropHandle<()>,
}

/// An answer of three tokens in and two out.
const WHOLE: &str = r#"{"id":"chatcmpl-7","object":"chat.completion","created":1,"model":"m-2026","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
const STREAMED: &str = concat!(
    r#"data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"m-2026","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1,"model":"m-2026","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    "\n\ndata: [DONE]\n\n",
);

type Asked = Arc<Mutex<Vec<Heard>>>;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Where it went, with what follows the path.
    pub(crate) target: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body; one that is no JSON is a text.
    pub(crate) body: Value,
}

/// What happens to a request instead of an ordinary answer.
#[derive(Debug, Clone)]
pub(crate) enum Scene {
    /// An error of this status, with a header.
    Refuse(u16, Option<(&'static str, &'static str)>),
    /// The connection is closed without a word.
    Break,
    /// Nothing, for ever.
    Hang,
    /// Events that are these.
    Stream(&'static str),
    /// An ordinary answer after all.
    Answer,
}

/// What a provider has to say.
#[derive(Debug)]
struct Script {
    whole: Bytes,
    streamed: Bytes,
    /// For the next requests, one each; `forever` is for all that follow.
    scenes: Mutex<VecDeque<Scene>>,
    forever: Mutex<Scene>,
}

impl Scripted {
    /// Plays these scenes, one for each request, and then answers like [`Scripted::start`].
    pub(crate) async fn playing(scenes: &[Scene]) -> Self {
        let scripted = Self::start(WHOLE.to_owned(), STREAMED.to_owned()).await;
        scripted.script.scenes.lock().extend(scenes.iter().cloned());
        scripted
    }

    /// Plays this scene for every request.
    pub(crate) fn always(&self, scene: Scene) {
        self.script.scenes.lock().clear();
        *self.script.forever.lock() = scene;
    }

    /// Answers whole requests with the one text, streamed ones with the other.
    pub(crate) async fn start(whole: String, streamed: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let script = Arc::new(Script {
            whole: whole.into(),
            streamed: streamed.into(),
            scenes: Mutex::default(),
            forever: Mutex::new(Scene::Answer),
        });
        let serving = serve(listener, Arc::clone(&script), Arc::clone(&asked));
        Self {
            address,
            asked,
            script,
            _task: AbortOnDropHandle::new(TaskTracker::new().spawn(serving)),
        }
    }

    /// Where it is, as `base_url` of an OpenAI-compatible provider.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of all requests.
    pub(crate) fn asked(&self) -> Vec<Value> {
        let heard = self.heard();
        heard.into_iter().map(|request| request.body).collect()
    }

    /// All requests.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.asked.lock().clone()
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>, asked: Asked) {
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (script, asked) = (Arc::clone(&script), Arc::clone(&asked));
        let service =
            service_fn(move |request| answer(request, Arc::clone(&script), asked.clone()));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tasks.spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
    asked: Asked,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8(body.to_vec()).unwrap().into());
    let target = head.uri.to_string();
    let is_stream = body["stream"] == Value::Bool(true) || target.contains("alt=sse");
    asked.lock().push(Heard {
        target,
        headers: head.headers,
        body,
    });
    let next = script.scenes.lock().pop_front();
    let scene = next.unwrap_or_else(|| script.forever.lock().clone());
    let ok = |kind: &str, text: Bytes| {
        let answer = Response::builder().header("content-type", kind);
        Ok(answer.body(Full::new(text)).unwrap())
    };
    match scene {
        Scene::Answer if is_stream => ok("text/event-stream", script.streamed.clone()),
        Scene::Answer => ok("application/json", script.whole.clone()),
        Scene::Stream(events) => ok("text/event-stream", Bytes::from_static(events.as_bytes())),
        Scene::Break => Err(io::ErrorKind::ConnectionReset.into()),
        Scene::Hang => std::future::pending().await,
        Scene::Refuse(status, header) => {
            let mut answer = Response::builder().status(status);
            if let Some((name, value)) = header {
                answer = answer.header(name, value);
            }
            let body = r#"{"error":{"message":"no","type":"x","param":null,"code":null}}"#;
            Ok(answer
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .unwrap())
        }
    }
}
