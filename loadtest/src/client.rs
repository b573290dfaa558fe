//! A light HTTP/1.1 client: one keep-alive connection to a server on loopback, one request at a time.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::loopback::Target;

/// Nothing on loopback takes longer to accept a connection, unless it is broken.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    host: HeaderValue,
    credential: Option<HeaderValue>,
}

impl Connection {
    /// Connects, and will present this key as a bearer token.
    pub async fn open(target: &Target, key: Option<&str>) -> anyhow::Result<Self> {
        let address = target.address;
        let stream = timeout(CONNECT_MAX, TcpStream::connect(address))
            .await
            .with_context(|| format!("{address} does not accept connections"))?
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends by itself when the sender is dropped or the server closes.
        TaskTracker::new().spawn(connection);
        let credential = key.map(|key| HeaderValue::from_str(&format!("Bearer {key}")));
        Ok(Self {
            sender,
            target: target.clone(),
            host: HeaderValue::from_str(&address.to_string())?,
            credential: credential
                .transpose()
                .context("the key is not a header's value")?,
        })
    }

    /// Sends a request, and returns when its head is answered.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.path(path).parse().context("not a path")?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(credential) = &self.credential {
            headers.insert(AUTHORIZATION, credential.clone());
        }
        self.sender
            .ready()
            .await
            .context("the connection is closed")?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Whether the server closed it.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Sends one request on a connection of its own, and returns the whole answer.
pub async fn fetch(
    target: &Target,
    key: Option<&str>,
    method: Method,
    path: &str,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let mut connection = Connection::open(target, key).await?;
    let response = connection.send(method, path, Bytes::new()).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

/// Fetches JSON that must be there.
pub async fn get_json<T: DeserializeOwned>(
    target: &Target,
    key: Option<&str>,
    path: &str,
) -> anyhow::Result<T> {
    let url = format!("{}{path}", target.url());
    let (status, body) = fetch(target, key, Method::GET, path)
        .await
        .with_context(|| format!("cannot fetch {url}"))?;
    anyhow::ensure!(status.is_success(), "{url} answers {status}");
    serde_json::from_slice(&body).with_context(|| format!("{url} answers something else"))
}
