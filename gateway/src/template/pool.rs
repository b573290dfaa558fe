//! The workers that render what has loops, conditions or filters, and the queue before them.
//!
//! A job is answered within its deadline, or its worker is killed and another one started: a render that runs away
//! ends with its process, and there are never more of them than workers. A caller that goes away leaves its job in
//! the queue, where it is passed over.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use config::section;
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Id;
use types::id::Organization;

use super::engine::{Job, Outcome};
use super::fault::Fault;
use super::{frame, worker};

/// How long a worker may take to start: the machine may be busy, and a start is rare.
const START_MAX: Duration = Duration::from_secs(10);

/// How long a process that broke off is waited for, to learn why.
const END_MAX: Duration = Duration::from_secs(1);

/// How many deadlines a job may wait for its turn before its caller is told to come back.
const TURNS_MAX: u32 = 8;

/// Takes jobs.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: mpsc::Sender<Order>,
    places: Arc<Places>,
    patience: Duration,
}

/// What keeps the workers; without it jobs only wait.
#[derive(Debug)]
pub(crate) struct Keepers {
    orders: mpsc::Receiver<Order>,
    workers: usize,
    deadline: Duration,
    memory_bytes_max: u64,
}

/// A job in the queue.
#[derive(Debug)]
struct Order {
    frame: Vec<u8>,
    answer: oneshot::Sender<Result<Outcome, Stopped>>,
    _place: Place,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stopped {
    /// The job is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Too much is waiting.
    #[error("too many templates are being rendered")]
    Busy,
    /// No worker starts, or it broke off for no reason of the job's.
    #[error("templates cannot be rendered")]
    Broken,
}

/// Counts each organization's jobs, so that one cannot take the whole queue.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<HashMap<Id<Organization>, usize>>,
    each_max: usize,
}

/// A place of an organization, given up when it is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    organization: Id<Organization>,
}

impl Pool {
    /// An empty queue, and what empties it.
    pub(crate) fn new(options: &section::Templates) -> (Self, Keepers) {
        let (queue, orders) = mpsc::channel(options.queue_max);
        let pool = Self {
            queue,
            places: Arc::new(Places {
                taken: Mutex::default(),
                each_max: options.queue_per_organization_max,
            }),
            patience: START_MAX + options.deadline * TURNS_MAX,
        };
        let keepers = Keepers {
            orders,
            workers: options.workers,
            deadline: options.deadline,
            memory_bytes_max: options.memory_bytes_max,
        };
        (pool, keepers)
    }

    /// Has a job done for an organization.
    pub(crate) async fn run(
        &self,
        organization: Id<Organization>,
        job: &Job<'_>,
    ) -> Result<Outcome, Stopped> {
        let place = self.places.enter(organization).ok_or(Stopped::Busy)?;
        let frame = frame::encode(job).map_err(|_| Fault::limit("the variables are too large"))?;
        let (answer, answered) = oneshot::channel();
        let order = Order {
            frame,
            answer,
            _place: place,
        };
        self.queue.try_send(order).map_err(|_| Stopped::Busy)?;
        match timeout(self.patience, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Stopped::Broken),
            Err(_) => Err(Stopped::Busy),
        }
    }
}

impl Keepers {
    /// Starts the tasks that keep the workers; a worker itself is started when it is first needed.
    pub(crate) fn start(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let orders = Arc::new(AsyncMutex::new(self.orders));
        for _ in 0..self.workers {
            let keeper = Keeper {
                orders: Arc::clone(&orders),
                deadline: self.deadline,
                memory_bytes_max: self.memory_bytes_max,
                worker: None,
            };
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(Box::pin(keeper.run())).await;
            });
        }
    }
}

impl Places {
    fn enter(self: &Arc<Self>, organization: Id<Organization>) -> Option<Place> {
        let mut taken = self.taken.lock();
        let count = taken.entry(organization).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Place {
            places: Arc::clone(self),
            organization,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&self.organization) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.organization);
            }
        }
    }
}

/// Keeps one worker.
struct Keeper {
    orders: Arc<AsyncMutex<mpsc::Receiver<Order>>>,
    deadline: Duration,
    memory_bytes_max: u64,
    worker: Option<Worker>,
}

/// A running worker; killed when dropped.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let order = self.orders.lock().await.recv().await;
            let Some(order) = order else {
                return;
            };
            if order.answer.is_closed() {
                continue;
            }
            let outcome = self.work(&order.frame).await;
            // Nobody may be waiting any more.
            let _ = order.answer.send(outcome);
        }
    }

    async fn work(&mut self, frame: &[u8]) -> Result<Outcome, Stopped> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.begin().await?,
        };
        let answer = timeout(self.deadline, worker.exchange(frame)).await;
        match answer {
            Ok(Ok(outcome)) => {
                self.worker = Some(worker);
                Ok(outcome)
            }
            Ok(Err(_)) => Err(self.autopsy(worker).await),
            Err(_) => {
                count("deadline");
                let limit = self.deadline.as_millis();
                let message = format!("the template takes longer than {limit} ms");
                Err(Fault::limit(message).into())
            }
        }
    }

    async fn begin(&self) -> Result<Worker, Stopped> {
        let started = timeout(START_MAX, Worker::start(self.memory_bytes_max)).await;
        let started = started.unwrap_or_else(|elapsed| Err(elapsed.into()));
        started.map_err(|error| {
            tracing::error!(error = %error, "a process for rendering templates does not start");
            Stopped::Broken
        })
    }

    /// Why a worker broke off: one that is refused memory aborts.
    async fn autopsy(&self, mut worker: Worker) -> Stopped {
        let status = timeout(END_MAX, worker.child.wait()).await;
        let signal = match status {
            Ok(Ok(status)) => status.signal(),
            _ => None,
        };
        if signal == Some(Signal::SIGABRT as i32) {
            count("memory");
            let limit = self.memory_bytes_max;
            return Fault::limit(format!(
                "the template needs more than {limit} bytes of memory"
            ))
            .into();
        }
        count("broken");
        tracing::error!(signal, "a process for rendering templates broke off");
        Stopped::Broken
    }
}

impl Worker {
    async fn start(memory_bytes_max: u64) -> io::Result<Self> {
        let mut command = Command::from(worker::command(memory_bytes_max)?);
        let mut child = command.kill_on_drop(true).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(mut output)) = (input, output) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        frame::receive::<()>(&mut output).await?;
        Ok(Self {
            child,
            input,
            output,
        })
    }

    async fn exchange(&mut self, frame: &[u8]) -> io::Result<Outcome> {
        self.input.write_all(frame).await?;
        self.input.flush().await?;
        frame::receive(&mut self.output).await
    }
}

fn count(reason: &'static str) {
    metrics::counter!("flowpilot_template_renders_stopped_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_takes_no_more_than_its_share_of_the_queue() {
        let places = Arc::new(Places {
            taken: Mutex::default(),
            each_max: 2,
        });
        let (one, two) = (
            Id::from_uuid(uuid::Uuid::nil()),
            Id::from_uuid(uuid::Uuid::max()),
        );
        let first = places.enter(one);
        let second = places.enter(one);
        assert!(first.is_some() && second.is_some());
        assert!(places.enter(one).is_none());
        assert!(places.enter(two).is_some());
        drop(first);
        assert!(places.enter(one).is_some());
        drop(second);
        assert!(places.taken.lock().is_empty());
    }
}
