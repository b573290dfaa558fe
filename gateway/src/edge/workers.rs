//! The threads that serve connections: one for each core, each with a runtime of its own.
//!
//! A request and its provider's connection stay on one thread, so that nothing is woken, locked or freed across threads
//! on the way; a runtime that shares its work among threads paid for that with two futex calls per request.
//! Background work has the main runtime, and a slow query there delays no request.

use std::cell::Cell;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::router;
use crate::app::Shared;

thread_local! {
    /// Which worker this thread is, from 1; 0 on every other thread.
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// A connection that was let in.
pub(crate) struct Accepted {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Tells it to finish.
    pub(crate) watcher: Watcher,
    /// Its place among the connections; bounds what waits for a worker.
    pub(crate) place: OwnedSemaphorePermit,
}

/// What a worker serves with.
#[derive(Clone)]
pub(crate) struct Serving {
    /// The answers.
    pub(crate) shared: Arc<Shared>,
    /// The protocol.
    pub(crate) builder: Arc<auto::Builder<TokioExecutor>>,
    /// Where connections run.
    pub(crate) connections: TaskTracker,
    /// How long a new connection may be silent.
    pub(crate) first_byte_max: Duration,
}

/// The running threads.
#[derive(Debug)]
pub(crate) struct Workers {
    inboxes: Vec<UnboundedSender<Accepted>>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
    stop: CancellationToken,
}

/// How many workers there are: one for each core we may use.
pub(crate) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Which worker the current thread is, from 1; 0 for threads that are none.
pub(crate) fn index() -> usize {
    INDEX.get()
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(serving: &Serving) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let mut inboxes = Vec::new();
        let mut threads = Vec::new();
        for index in 1..=count() {
            let (inbox, arrivals) = unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.context("a worker's runtime cannot be started")?;
            let (serving, stop) = (serving.clone(), stop.clone());
            let thread = std::thread::Builder::new().name(format!("edge-{index}"));
            let thread = thread.spawn(move || {
                INDEX.set(index);
                runtime.block_on(stop.run_until_cancelled(serve(serving, arrivals)));
            });
            inboxes.push(inbox);
            threads.push(thread.context("a worker cannot be started")?);
        }
        Ok(Self {
            inboxes,
            threads,
            next: AtomicUsize::new(0),
            stop,
        })
    }

    /// Gives a connection to the next worker.
    pub(crate) fn give(&self, accepted: Accepted) {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(inbox) = self.inboxes.get(next % self.inboxes.len().max(1)) {
            // Only a worker that has been stopped does not listen; then the connection is closed.
            let _ = inbox.send(accepted);
        }
    }

    /// Ends the threads and whatever still runs on them. Blocks for as long as that takes to be dropped.
    pub(crate) fn end(self) {
        self.stop.cancel();
        for thread in self.threads {
            // A panic is the only error; it has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// One worker: takes connections until it is stopped.
async fn serve(serving: Serving, mut arrivals: UnboundedReceiver<Accepted>) {
    while let Some(accepted) = arrivals.recv().await {
        begin(&serving, accepted);
    }
    // Nobody gives connections any more, but those that are open go on until the runtime is stopped.
    std::future::pending::<()>().await;
}

fn begin(serving: &Serving, accepted: Accepted) {
    let Accepted {
        stream,
        peer,
        watcher,
        place,
    } = accepted;
    let stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a connection could not be taken over"),
    };
    let shared = Arc::clone(&serving.shared);
    let service = service_fn(move |request| router::serve(Arc::clone(&shared), peer, request));
    let (builder, first_byte_max) = (Arc::clone(&serving.builder), serving.first_byte_max);
    serving.connections.spawn(async move {
        // The protocol is told by the first bytes; who never sends any keeps no place.
        if tokio::time::timeout(first_byte_max, stream.readable())
            .await
            .is_err()
        {
            return;
        }
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = watcher.watch(connection.into_owned());
        // A connection that breaks is the client's business; what was asked on it is booked all the same.
        let _ = connection.await;
        drop(place);
    });
}
