//! Accepts connections until told to stop, then lets those that are open finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use config::section::Server;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::workers::{Accepted, Workers};

/// How long to wait when the system has no file handle for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    connections: Arc<Semaphore>,
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
            drain_grace: server.drain_grace,
        })
    }

    /// The address, with the port that the system chose where it was left open.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Hands connections to the workers until the token is cancelled, then waits for open ones up to the grace period.
    pub(crate) async fn serve(self, workers: Arc<Workers>, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer, place)) => workers.give(Accepted {
                    stream,
                    peer,
                    place,
                    watcher: graceful.watcher(),
                }),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(self.socket);
        let drained = tokio::time::timeout(self.drain_grace, graceful.shutdown()).await;
        if drained.is_err() {
            tracing::warn!("the grace period is over; open connections will be cut");
        }
    }

    async fn accept(&self) -> io::Result<(std::net::TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.connections).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, peer) = self.socket.accept().await?;
        // Without this, the last small packet of an answer waits for the client's acknowledgement.
        stream.set_nodelay(true)?;
        Ok((stream.into_std()?, peer, place))
    }
}

/// The protocols, with their limits.
pub(crate) fn builder(server: &Server) -> auto::Builder<TokioExecutor> {
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
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(server.request_header_bytes_max)
        .max_concurrent_streams(server.http2_streams_max)
        .initial_stream_window_size(server.http2_stream_window_bytes)
        .initial_connection_window_size(server.http2_connection_window_bytes);
    builder
}
