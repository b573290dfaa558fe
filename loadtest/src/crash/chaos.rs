//! The load, and the kills.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Options;
use crate::bench::load::exchange;
use crate::bench::workload::Job;
use crate::client::Connection;
use crate::gateway::{Gateway, Installation, MODEL};
use crate::loopback::Target;

/// A client whose gateway is away tries again after this.
const RETRY: Duration = Duration::from_millis(20);
/// No answer takes longer; a gateway that was killed closes its connections at once.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What the clients of a run share.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    clients: u16,
    requests_max: u64,
    requests: AtomicU64,
    answered: AtomicU64,
    over: AtomicBool,
}

impl Chaos {
    /// Nothing sent yet.
    pub fn new(options: &Options, seed: u64) -> Self {
        Self {
            seed,
            clients: options.connections,
            requests_max: options.requests_max,
            requests: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Requests sent, and those of them that were answered.
    pub fn counts(&self) -> (u64, u64) {
        let requests = self.requests.load(Ordering::Relaxed).min(self.requests_max);
        (requests, self.answered.load(Ordering::Relaxed))
    }

    async fn client(self: Arc<Self>, number: u64, target: Target, key: String) {
        let mut random = StdRng::seed_from_u64(self.seed ^ number);
        let mut connection: Option<Connection> = None;
        while !self.over.load(Ordering::Relaxed) {
            let Some(open) = connection
                .as_mut()
                .filter(|connection| !connection.is_closed())
            else {
                connection = Connection::open(&target, Some(&key)).await.ok();
                if connection.is_none() {
                    sleep(RETRY).await;
                }
                continue;
            };
            let request = self.requests.fetch_add(1, Ordering::Relaxed);
            if request >= self.requests_max {
                return;
            }
            let job = job(self.seed, request, &mut random);
            let answer = timeout(ANSWER_MAX, exchange(open, &job)).await;
            if answer.is_ok_and(|answer| answer.is_ok()) {
                self.answered.fetch_add(1, Ordering::Relaxed);
            } else {
                connection = None;
            }
        }
    }
}

/// A prompt that was never asked before; some answers are slow, so that kills find them under way.
fn job(seed: u64, request: u64, random: &mut StdRng) -> Job {
    let stream = random.random_bool(0.5);
    let events = random.random_range(2..40);
    let slow = match random.random_range(0..4) {
        0 if stream => format!("[[pace={}]]", random.random_range(1..20)),
        1 => format!("[[delay={}]]", random.random_range(1..200)),
        _ => String::new(),
    };
    let thoughts = random.random_range(0..3);
    let prompt = format!(
        "Request {request} of run {seed}. [[events={events}]] [[thoughts={thoughts}]] {slow}"
    );
    Job::new(MODEL, &prompt, stream)
}

/// Runs the load and kills the gateway meanwhile; the gateway that is left at the end is running.
pub async fn run(
    chaos: &Arc<Chaos>,
    installation: &Installation,
    seconds: Duration,
    kills: u32,
) -> anyhow::Result<Gateway> {
    let mut gateway = installation.start().await?;
    let mut clients = JoinSet::new();
    for number in 0..chaos.clients {
        let (target, key) = (gateway.target.clone(), gateway.key.clone());
        clients.spawn(Arc::clone(chaos).client(number.into(), target, key));
    }

    let mut random = StdRng::seed_from_u64(!chaos.seed);
    let progress = ProgressBar::new(kills.into());
    let stretch = seconds / (kills + 1);
    for _ in 0..kills {
        sleep(stretch.mul_f64(random.random_range(0.1..1.9))).await;
        gateway.process.kill().await?;
        gateway = installation.start().await?;
        progress.inc(1);
    }
    sleep(stretch).await;
    progress.finish_and_clear();

    chaos.over.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    Ok(gateway)
}
