//! A closed loop: every connection sends its next request when the answer to its last one is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::subject::Subject;
use super::tally::Tally;
use super::workload::{Job, Workload};
use crate::client::Connection;
use crate::loopback::Target;

/// A request that takes longer failed.
const ANSWER_MAX: Duration = Duration::from_mins(1);
/// A connection that failed this often in a row gives up: nobody is there.
const FAILURES_MAX: u32 = 10;

/// How much of a run one round is; whichever ends first.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Requests.
    pub requests: Option<u64>,
    /// Time, where requests are not given.
    pub seconds: Duration,
}

/// One round of load.
#[derive(Debug)]
pub struct Load {
    target: Target,
    key: Option<String>,
    connections: usize,
    share: Share,
    numbers: Arc<AtomicU64>,
}

impl Load {
    /// A round on this subject; its requests continue where the subject's last ones ended.
    pub fn new(subject: &Subject, connections: usize, share: Share) -> Self {
        Self {
            target: subject.target.clone(),
            key: subject.key.clone(),
            connections,
            share,
            numbers: Arc::clone(&subject.numbers),
        }
    }

    /// Sends the requests.
    pub async fn run(self, workload: &Workload) -> Tally {
        let started = Instant::now();
        let budget = AtomicU64::new(self.share.requests.unwrap_or(u64::MAX));
        let connections = (0..self.connections).map(|_| self.connection(workload, &budget));
        let tallies = join_all(connections).await;
        let mut sum = Tally::default();
        for tally in tallies {
            sum.join(tally);
        }
        sum.elapsed = started.elapsed();
        sum
    }

    async fn connection(&self, workload: &Workload, budget: &AtomicU64) -> Tally {
        let started = Instant::now();
        let over = || self.share.requests.is_none() && started.elapsed() >= self.share.seconds;
        let mut tally = Tally::default();
        let mut connection = None;
        let mut failures = 0;
        while !over() && failures < FAILURES_MAX && take(budget) {
            let job = workload.job(self.numbers.fetch_add(1, Ordering::Relaxed));
            match self.exchange(&mut connection, &job).await {
                Ok((latency, first_byte)) => {
                    tally.answered(latency, first_byte);
                    failures = 0;
                }
                Err(error) => {
                    tally.failed(format!("{error:#}"));
                    connection = None;
                    failures += 1;
                }
            }
        }
        tally
    }

    async fn exchange(
        &self,
        connection: &mut Option<Connection>,
        job: &Job,
    ) -> anyhow::Result<(Duration, Duration)> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(&self.target, self.key.as_deref()).await?),
        };
        timeout(ANSWER_MAX, exchange(connection, job))
            .await
            .with_context(|| format!("no complete answer within {ANSWER_MAX:?}"))?
    }
}

/// Sends one request and checks its answer; how long until it was complete, and until its first byte.
pub async fn exchange(
    connection: &mut Connection,
    job: &Job,
) -> anyhow::Result<(Duration, Duration)> {
    let sent = Instant::now();
    let path = "/v1/chat/completions";
    let response = connection
        .send(Method::POST, path, job.body.clone())
        .await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut first_byte = None;
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the answer breaks off")?;
        if let Some(data) = frame.data_ref() {
            first_byte.get_or_insert_with(|| sent.elapsed());
            answer.extend_from_slice(data);
        }
    }
    let latency = sent.elapsed();
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&answer));
    }
    if let Some(fault) = job.fault(&answer) {
        bail!("{fault}");
    }
    Ok((latency, first_byte.unwrap_or(latency)))
}

/// Most answers fit, so that the buffer does not grow.
const ANSWER_BYTES: usize = 16 * 1024;

fn take(budget: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    budget
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
