//! The mock's listener: connections, and a graceful stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Options;
use super::answer::Provider;
use super::books::Books;
use crate::{clock, output};

/// Answers under way are given this long when the mock stops.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Out of file descriptors, say: try again, but do not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running mock.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    provider: Arc<Provider>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// What a mock says when it stops.
#[derive(Debug, Clone, Serialize)]
pub struct Closing {
    /// Where it listened.
    pub listened: String,
    /// Requests of any kind.
    pub requests: u64,
    /// Calls in the books.
    pub calls: usize,
    /// Calls turned away because the books were full.
    pub turned_away: u64,
}

impl Server {
    /// Listens and serves on the current runtime, until stopped.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let address = options.address()?;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let provider = Arc::new(Provider {
            books: Books::new(options.books_max),
            required_key: options.require_key.clone(),
            dialect: options.only_dialect(),
            models: options.models.clone(),
            run: u32::try_from(clock::seed() & u64::from(u32::MAX)).unwrap_or_default(),
            requests: AtomicU64::new(0),
        });
        let server = Self {
            address,
            provider,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        server.tasks.spawn(accept(
            listener,
            Arc::clone(&server.provider),
            server.stopping.clone(),
            server.tasks.clone(),
        ));
        Ok(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://…`, without a path.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its books.
    pub fn books(&self) -> &Books {
        &self.provider.books
    }

    /// Stops listening, and ends when the answers under way are out or their time is.
    pub async fn stop(self) -> Closing {
        self.stopping.cancel();
        self.tasks.close();
        if timeout(STOP_MAX, self.tasks.wait()).await.is_err() {
            output::note("the mock stops with answers under way");
        }
        Closing {
            listened: self.base_url(),
            requests: self.provider.requests.load(Ordering::Relaxed),
            calls: self.provider.books.len(),
            turned_away: self.provider.books.turned_away(),
        }
    }
}

async fn accept(
    listener: TcpListener,
    provider: Arc<Provider>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, Arc::clone(&provider), stopping.clone());
                tasks.spawn(connection);
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// A connection that fails is its client's affair: the books say what was not completed.
async fn serve(stream: TcpStream, provider: Arc<Provider>, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let provider = Arc::clone(&provider);
        async move { Ok::<_, Infallible>(provider.answer(request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(STOP_MAX, connection).await;
}
