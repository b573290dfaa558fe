//! A proxy under measurement: where it is, which processes it consists of, and what was seen of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::tally::Tally;
use crate::gateway::Gateway;
use crate::loopback::Target;
use crate::process::account;

/// How often a subject is asked whether it is idle again.
const IDLE_POLL: Duration = Duration::from_millis(100);
/// Idle is less than this much processor time in that interval: one clock tick may be anything.
const IDLE_CPU_US: u64 = 10_000;
/// A subject that is never idle is not waited for.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// A proxy under measurement.
#[derive(Debug)]
pub struct Subject {
    /// For people.
    pub name: &'static str,
    /// Where it serves.
    pub target: Target,
    /// A key that it accepts.
    pub key: Option<String>,
    /// Numbers of requests: no two have the same, whoever they go to.
    pub numbers: Arc<AtomicU64>,
    /// The sum of its rounds.
    pub tally: Tally,
    /// Processor time of its rounds, in microseconds.
    pub cpu_us: u64,
    processes: Vec<u32>,
}

impl Subject {
    /// A proxy that consists of these processes, and takes turns with another.
    pub fn new(
        name: &'static str,
        target: Target,
        beside: Option<&Self>,
        processes: Vec<u32>,
    ) -> Self {
        Self {
            name,
            target,
            key: beside
                .and_then(|beside| beside.key.clone())
                .or_else(|| Some("any".to_owned())),
            numbers: beside
                .map(|beside| Arc::clone(&beside.numbers))
                .unwrap_or_default(),
            tally: Tally::default(),
            cpu_us: 0,
            processes,
        }
    }

    /// A proxy that was there before.
    pub fn of_target(
        target: &Target,
        key: Option<String>,
        process: Option<u32>,
    ) -> anyhow::Result<Self> {
        let process = match process {
            Some(process) => process,
            None => account::listener(target.address.port())?,
        };
        let subject = Self::new("the target", target.clone(), None, vec![process]);
        Ok(Self { key, ..subject })
    }

    /// A gateway of ours. Its database is not part of it: that is a service of its own.
    pub fn of_gateway(gateway: &Gateway) -> Self {
        let processes = vec![gateway.process.id()];
        Self {
            key: Some(gateway.key.clone()),
            ..Self::new("the gateway", gateway.target.clone(), None, processes)
        }
    }

    /// Adds a round, with all the processor time until the subject is idle again.
    pub async fn measure(&mut self, round: impl Future<Output = Tally>) -> anyhow::Result<()> {
        let before = account::cpu_us(&self.processes)?;
        let tally = round.await;
        self.tally.elapsed += tally.elapsed;
        self.tally.join(tally);
        self.cpu_us += self.idle().await?.saturating_sub(before);
        Ok(())
    }

    /// Mebibytes of memory that it holds.
    pub fn rss_mib(&self) -> anyhow::Result<f64> {
        let kib = account::rss_kib(&self.processes)?;
        Ok(f64::from(u32::try_from(kib)?) / 1024.0)
    }

    async fn idle(&self) -> anyhow::Result<u64> {
        let started = Instant::now();
        let mut last = account::cpu_us(&self.processes)?;
        loop {
            sleep(IDLE_POLL).await;
            let now = account::cpu_us(&self.processes)?;
            if now.saturating_sub(last) < IDLE_CPU_US || started.elapsed() > IDLE_MAX {
                return Ok(now);
            }
            last = now;
        }
    }
}
