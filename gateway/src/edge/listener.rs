//! Accepts connections until told to stop, then lets those that are open finish.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use config::section::Server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::router;
use crate::app::Shared;

/// How long to wait when the system has no file handle for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    connections: Arc<Semaphore>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    drain_grace: Duration,
}

impl Listener {
    /// Binds the address of the configuration.
    pub(crate) async fn bind(server: &Server) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(server.listen).await;
        let socket = socket.with_context(|| format!("cannot listen on {}", server.listen))?;
        Ok(Self {
            socket,
            connections: Arc::new(Semaphore::new(server.connections_max)),
            builder: Arc::new(builder(server)),
            drain_grace: server.drain_grace,
        })
    }

    /// The address, with the port that the system chose where it was left open.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Serves until the token is cancelled, then waits for open connections up to the grace period.
    pub(crate) async fn serve(
        self,
        shared: Arc<Shared>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            let Some((stream, peer, place)) = accepted else {
                continue;
            };
            let service = {
                let shared = Arc::clone(&shared);
                service_fn(move |request| router::serve(Arc::clone(&shared), peer, request))
            };
            let connection = self.builder.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection.into_owned());
            tasks.spawn(async move {
                // A connection that breaks is the client's business; what was asked on it is booked all the same.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(self.socket);
        if tokio::time::timeout(self.drain_grace, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("the grace period is over; open connections are cut");
        }
    }

    async fn accept(&self) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => {
                // Without this, the last small packet of an answer waits for the client's acknowledgement.
                let _ = stream.set_nodelay(true);
                Some((stream, peer, place))
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                None
            }
        }
    }
}

fn builder(server: &Server) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(server.header_read_timeout)
        .max_headers(server.request_headers_max)
        .max_buf_size(usize::try_from(server.request_header_bytes_max).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(server.request_header_bytes_max)
        .max_concurrent_streams(server.http2_streams_max)
        .initial_stream_window_size(server.http2_stream_window_bytes)
        .initial_connection_window_size(server.http2_connection_window_bytes);
    builder
}
