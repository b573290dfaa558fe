//! The durable journal: what was intended and how it was settled, on disk before anyone is told.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::oneshot;

/// Why the journal takes no record. All of them mean: no billable call can be made now (503).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// Writing or syncing failed; only a restart helps, because what the disk holds is unknown until it is read again.
    #[error("the journal failed and takes no more records until a restart")]
    Failed,
    /// The byte budget is used up, because PostgreSQL has not taken the records for long.
    #[error("the journal is full")]
    Full,
    /// It was stopped.
    #[error("the journal is closed")]
    Closed,
    /// One record is larger than any honest one.
    #[error("the record is too large")]
    TooLarge,
}

/// Resolves when the settlement is as durable as the configuration asks. Dropping it is fine: the record is written anyway.
#[must_use = "the answer's last byte waits for this"]
pub struct Durable {
    reached: Option<oneshot::Receiver<Result<(), Error>>>,
}

impl Future for Durable {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(reached) = &mut self.reached else {
            return Poll::Ready(Ok(()));
        };
        Pin::new(reached)
            .poll(context)
            .map(|reached| reached.unwrap_or(Err(Error::Failed)))
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").finish_non_exhaustive()
    }
}
