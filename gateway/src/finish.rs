//! Work that is finished even when whoever waits for it goes away.
//!
//! It runs in the waiting task, which costs nothing; only when that is dropped does it move to a task of its own.
//! Spawning every request instead would wake another thread for each of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

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

/// Waits for work, and leaves it to the tracker when dropped.
pub(crate) struct Finish<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    presence: Presence,
    tasks: TaskTracker,
}

impl<T: Send + 'static> Finish<T> {
    /// Work that may rely on being finished; it learns from the presence when nobody waits any more.
    pub(crate) fn new(
        tasks: TaskTracker,
        presence: Presence,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self {
            work: Some(Box::pin(work)),
            presence,
            tasks,
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
        // Without a runtime the process is ending, and the journal settles the rest at the next start.
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(
                async move {
                    work.await;
                },
                &runtime,
            );
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

        let mut waiting = Finish::new(tasks.clone(), presence, work);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        go.send(()).unwrap();

        assert_eq!(end.await, Ok(true));
        tasks.close();
        tasks.wait().await;
    }
}
