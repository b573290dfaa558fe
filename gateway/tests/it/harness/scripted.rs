//! A provider that answers what a test says, and remembers what it was asked, byte by byte.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
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
    _task: AbortOnDropHandle<()>,
}

type Asked = Arc<Mutex<Vec<Value>>>;

impl Scripted {
    /// Answers whole requests with the one text, streamed ones with the other.
    pub(crate) async fn start(whole: String, streamed: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let texts = Arc::new((Bytes::from(whole), Bytes::from(streamed)));
        let serving = serve(listener, texts, Arc::clone(&asked));
        Self {
            address,
            asked,
            _task: AbortOnDropHandle::new(TaskTracker::new().spawn(serving)),
        }
    }

    /// Where it is, as `base_url` of an OpenAI-compatible provider.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of all requests.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().clone()
    }
}

async fn serve(listener: TcpListener, texts: Arc<(Bytes, Bytes)>, asked: Asked) {
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (texts, asked) = (Arc::clone(&texts), Arc::clone(&asked));
        let service = service_fn(move |request| answer(request, Arc::clone(&texts), asked.clone()));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tasks.spawn(async move { drop(connection.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
    texts: Arc<(Bytes, Bytes)>,
    asked: Asked,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (kind, text) = match body["stream"] {
        Value::Bool(true) => ("text/event-stream", &texts.1),
        _ => ("application/json", &texts.0),
    };
    asked.lock().push(body);
    let answer = Response::builder().header("content-type", kind);
    Ok(answer.body(Full::new(text.clone())).unwrap())
}
