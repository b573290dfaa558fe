//! Tells the waiters of one thread together, so that the thread is woken once for all of them.
//!
//! Waking a task on another thread's runtime is a system call each time; waking it from its own thread is none.
//! A group commit resolves dozens of waiters at once, and a thread that serves connections has half of them.

use std::cell::RefCell;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::{Error, Waiters};

type Reached = oneshot::Sender<Result<(), Error>>;

thread_local! {
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// A thread with a runtime of its own, where waiters wait. What is sent there is bounded by who waits.
#[derive(Debug, Clone)]
pub(super) struct Home {
    inbox: UnboundedSender<Vec<Reached>>,
}

impl Home {
    /// The current thread, if it has a runtime of its own; other waiters are told one by one.
    pub(super) fn here() -> Option<Self> {
        HOME.with_borrow_mut(|home| {
            if home.as_ref().is_none_or(|home| home.inbox.is_closed()) {
                *home = Self::found();
            }
            home.clone()
        })
    }

    fn found() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            return None;
        }
        let (inbox, letters) = unbounded_channel();
        // It ends with its runtime, and holds nothing but what it is told.
        runtime.spawn(hand_out(letters));
        Some(Self { inbox })
    }
}

async fn hand_out(mut letters: UnboundedReceiver<Vec<Reached>>) {
    while let Some(reached) = letters.recv().await {
        tell_all(reached);
    }
}

fn tell_all(reached: Vec<Reached>) {
    for reached in reached {
        // The caller may be gone; the record stays.
        let _ = reached.send(Ok(()));
    }
}

/// Tells waiters that they have what they waited for.
pub(super) fn tell(waiters: Waiters) {
    let mut homes: Vec<(Home, Vec<Reached>)> = Vec::new();
    let mut others = Vec::new();
    for waiter in waiters {
        let Some(home) = waiter.home else {
            others.push(waiter.reached);
            continue;
        };
        let known = homes
            .iter_mut()
            .find(|(known, _)| known.inbox.same_channel(&home.inbox));
        match known {
            Some((_, reached)) => reached.push(waiter.reached),
            None => homes.push((home, vec![waiter.reached])),
        }
    }
    for (home, reached) in homes {
        if let Err(unsent) = home.inbox.send(reached) {
            tell_all(unsent.0);
        }
    }
    tell_all(others);
}
