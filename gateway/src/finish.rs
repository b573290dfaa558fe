//! Work that is finished even when whoever waits for it goes away.
//!
//! It is finished within limits of number and time; beyond them it is dropped, and what it had begun is booked as unknown.
//! It runs in the waiting task, which costs nothing; only when that is dropped does it move to a task of its own.
//! Spawning every request instead would wake another thread for each of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::in_flight::InFlight;

/// Whether the client is still there; shared between the work and whoever waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence {
    gone: Arc<AtomicBool>,
}

impl Presence {
    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Waits for work, and leaves it to the tracker when dropped, within limits.
pub(crate) struct Finish<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    presence: Presence,
    leftovers: Leftovers,
}

/// Where work goes on for which nobody waits any more.
#[derive(Debug, Clone)]
pub(crate) struct Leftovers {
    /// Counts it for the shutdown.
    pub(crate) tasks: TaskTracker,
    /// Counts it for the limit.
    pub(crate) running: Arc<InFlight>,
    /// So much of it at once; what is too much is dropped at once.
    pub(crate) at_once_max: usize,
    /// So long, and then it is dropped.
    pub(crate) timeout: Duration,
}

impl<T: Send + 'static> Finish<T> {
    /// Work that may rely on being finished; it learns from the presence when nobody waits any more.
    pub(crate) fn new(
        leftovers: Leftovers,
        presence: Presence,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self {
            work: Some(Box::pin(work)),
            presence,
            leftovers,
        }
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else {
            // Polled after its end, which no caller does.
            return Poll::Pending;
        };
        let result = work.as_mut().poll(context);
        if result.is_ready() {
            self.work = None;
        }
        result
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else {
            return;
        };
        self.presence.gone.store(true, Ordering::Release);
        let Leftovers {
            tasks,
            running,
            at_once_max,
            timeout,
        } = &self.leftovers;
        let Some(place) = running.enter(*at_once_max) else {
            metrics::counter!("flowpilot_drains_refused_total").increment(1);
            return;
        };
        let timeout = *timeout;
        let rest = async move {
            let _ = tokio::time::timeout(timeout, work).await;
            drop(place);
        };
        // Without a runtime the process is ending, and the journal settles the rest at the next start.
        if let Ok(runtime) = Handle::try_current() {
            tasks.spawn_on(rest, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_whose_waiter_leaves_is_finished_all_the_same_and_knows_it() {
        let tasks = TaskTracker::new();
        let presence = Presence::default();
        let (go, gone) = oneshot::channel::<()>();
        let (told, end) = oneshot::channel();
        let seen = presence.clone();
        let work = async move {
            let _ = gone.await;
            let _ = told.send(seen.is_gone());
        };

        let leftovers = leftovers(&tasks, 1);
        let mut waiting = Finish::new(leftovers, presence, work);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        go.send(()).unwrap();

        assert_eq!(end.await, Ok(true));
        tasks.close();
        tasks.wait().await;
    }

    fn leftovers(tasks: &TaskTracker, at_once_max: usize) -> Leftovers {
        Leftovers {
            tasks: tasks.clone(),
            running: Arc::default(),
            at_once_max,
            timeout: Duration::from_mins(1),
        }
    }

    #[tokio::test]
    async fn work_that_is_too_much_is_dropped_with_its_waiter() {
        let tasks = TaskTracker::new();
        let (held, released) = oneshot::channel::<()>();
        let work = async move {
            std::future::pending::<()>().await;
            drop(held);
        };
        drop(Finish::new(leftovers(&tasks, 0), Presence::default(), work));
        assert!(released.await.is_err());
        assert!(tasks.is_empty());
    }
}
