//! kill -9 under load: whatever is killed and whenever, every call of the provider is booked exactly once.
//!
//! A gateway and a mock provider are started, load runs against the gateway from several connections, and the gateway
//! is killed and started again at random times, on the same data. In the end it stops gracefully, and its usage
//! report is held against the provider's books.

pub mod accounting;
pub mod chaos;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::clock;
use crate::gateway::{self, Installation};
use crate::mock::{self, Mock};
use crate::output::{self, Verdict};
use crate::scratch::Scratch;
use accounting::Account;
use chaos::Chaos;

/// How hard to try.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Seconds of load, starts of the gateway not counted.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Times to kill the gateway.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub kills: u32,
    /// Clients at once, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// Requests at most.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub requests_max: u64,
    /// What the times of the kills and the requests are derived from; by default the time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Which gateway to start.
    #[command(flatten)]
    pub gateway: gateway::Options,
}

/// How it went.
#[derive(Debug, Clone, Serialize)]
struct Report {
    /// What would repeat the run, as far as the scheduler allows.
    seed: u64,
    /// Requests that clients sent.
    requests: u64,
    /// Of them, those completely and rightly answered.
    answered: u64,
    /// Times the gateway was killed.
    kills: u32,
    #[serde(flatten)]
    account: Account,
}

/// Runs, and holds only when nothing is lost and nothing is booked twice.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let seed = options.seed.unwrap_or_else(clock::seed);
    let scratch = Scratch::new()?;
    let mock = Mock::start(&scratch).await?;
    let installation = Installation::new(&options.gateway, &scratch, mock.target())?;

    let chaos = Arc::new(Chaos::new(&options, seed));
    let seconds = Duration::from_secs(options.seconds);
    let gateway = chaos::run(&chaos, &installation, seconds, options.kills).await?;
    // What clients left behind is settled while the gateway drains.
    gateway.stop().await?;
    let charged = mock::books(mock.target()).await?;
    let rows = accounting::booked(&installation).await?;
    mock.stop().await?;

    let (requests, answered) = chaos.counts();
    let account = Account::new(&charged.calls, &rows, answered);
    let holds = account.holds();
    output::json(&Report {
        seed,
        requests,
        answered,
        kills: options.kills,
        account,
    })?;
    if !holds {
        scratch.keep();
    }
    Ok(Verdict::when(holds))
}
