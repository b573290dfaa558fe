//! The only place that talks to providers: one pooled HTTP client per provider, with a limit on everything.
//!
//! Redirects are not followed, nothing is retried here, and an answer is never asked for compressed.

use std::time::Duration;

use anyhow::anyhow;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use crate::edge::workers;
use crate::error::UpstreamError;

/// How long an unused connection is kept: providers close theirs after a minute or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// Bytes of an error answer that are read at most.
const ERROR_BYTES_MAX: usize = 64 * 1024;

type Https = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client for one provider.
#[derive(Debug)]
pub(crate) struct Client {
    /// One for each worker, and the first for all other threads: a connection is never used from two threads.
    https: Vec<Https>,
    first_byte_timeout: Duration,
    chunk_timeout: Duration,
    total_timeout: Duration,
    response_bytes_max: usize,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A stream begins soon; an answer in one piece when it is complete.
    pub(crate) is_stream: bool,
    /// When the request is given up: a stream has to have begun by then, an answer in one piece to be complete.
    pub(crate) deadline: Instant,
}

/// A provider's answer whose head has come.
#[derive(Debug)]
pub(crate) struct Response {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// What follows.
    pub(crate) body: Body,
}

/// The rest of an answer, with its limits.
#[derive(Debug)]
pub(crate) struct Body {
    incoming: Incoming,
    chunk_timeout: Duration,
    deadline: Instant,
    bytes_left: usize,
}

impl Client {
    /// A client with the limits of the provider's section.
    pub(crate) fn new(provider: &config::section::Provider) -> Self {
        let slots = 1 + workers::count();
        Self {
            https: (0..slots).map(|_| https(provider, slots)).collect(),
            first_byte_timeout: provider.first_byte_timeout,
            chunk_timeout: provider.chunk_timeout,
            total_timeout: provider.total_timeout,
            response_bytes_max: provider.response_bytes_max,
        }
    }

    /// Sends a request and waits for the head of the answer; that of a whole answer comes when it is complete.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        patience: Patience,
    ) -> Result<Response, UpstreamError> {
        let now = Instant::now();
        let total = now + self.total_timeout;
        let (first_byte, deadline) = if patience.is_stream {
            (now + self.first_byte_timeout, total)
        } else {
            (total, total.min(patience.deadline))
        };
        let https = self
            .https
            .get(workers::index())
            .or_else(|| self.https.first());
        let https =
            https.ok_or_else(|| UpstreamError::Unreachable(anyhow!("there is no client")))?;
        let request = https.request(request.map(Full::new));
        let answer = timeout_at(first_byte.min(patience.deadline), request).await;
        let answer = answer.map_err(|_| UpstreamError::TimedOut("first byte"))?;
        let answer = answer.map_err(|error| {
            if error.is_connect() {
                UpstreamError::Unreachable(error.into())
            } else {
                UpstreamError::Broken(error.into())
            }
        })?;
        let (head, incoming) = answer.into_parts();
        Ok(Response {
            status: head.status,
            headers: head.headers,
            body: Body {
                incoming,
                chunk_timeout: self.chunk_timeout,
                deadline,
                bytes_left: self.response_bytes_max,
            },
        })
    }
}

/// A pooled client with its share of the idle connections.
fn https(provider: &config::section::Provider, slots: usize) -> Https {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(provider.connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(connector);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(provider.connections_idle_max.div_ceil(slots))
        .build(connector)
}

impl Body {
    /// The next piece of the answer, or nothing at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            let patience = self.deadline.min(Instant::now() + self.chunk_timeout);
            let frame = timeout_at(patience, self.incoming.frame()).await;
            let frame = frame.map_err(|_| UpstreamError::TimedOut("next byte"))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| UpstreamError::Broken(error.into()))?;
            if let Ok(data) = frame.into_data() {
                self.bytes_left = self
                    .bytes_left
                    .checked_sub(data.len())
                    .ok_or_else(too_large)?;
                return Ok(Some(data));
            }
        }
    }

    /// The whole answer.
    pub(crate) async fn collect(mut self) -> Result<Bytes, UpstreamError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// An error answer: read as far as it is of use, whatever happens.
    pub(crate) async fn collect_error(mut self) -> Bytes {
        self.bytes_left = self.bytes_left.min(ERROR_BYTES_MAX);
        self.collect().await.unwrap_or_default()
    }
}

fn too_large() -> UpstreamError {
    UpstreamError::Malformed(anyhow!(
        "the answer is larger than the provider's response_bytes_max"
    ))
}
