//! The texts that wait for a worker: bounded, and taken in batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{Unavailable, Vector};

/// A text that somebody waits for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) text: Arc<str>,
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<Result<Vector, Unavailable>>,
}

/// The queue between requests and workers.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    jobs_max: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(jobs_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            jobs_max,
        }
    }

    /// Adds a job, if there is room; never waits.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut state = self.state.lock();
        if state.closed || state.jobs.len() >= self.jobs_max {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Waits for jobs and takes some whose callers still wait; `None` once closed.
    pub(crate) fn take(&self, batch_max: usize) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let count = state.jobs.len().min(batch_max);
            let now = Instant::now();
            let batch: Vec<_> = state
                .jobs
                .drain(..count)
                .filter(|job| job.deadline > now && !job.answer.is_closed())
                .collect();
            if !batch.is_empty() {
                return Some(batch);
            }
            if state.jobs.is_empty() {
                self.filled.wait(&mut state);
            }
        }
    }

    /// Ends the workers; whoever waits is told.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.filled.notify_all();
    }
}
