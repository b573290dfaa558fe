//! Load in a closed loop, and what it costs: latency as clients see it, processor time as the system accounts it.
//!
//! With a baseline, rounds of both take turns, so that a machine that drifts does so for both. What a subject does in
//! the background for its requests is counted too: a round's processor time ends when the subject is idle again.

pub mod load;
pub mod nginx;
pub mod report;
pub mod stream34;
pub mod subject;
pub mod tally;
pub mod workload;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use crate::gateway::{self, Gateway, Installation};
use crate::loopback::Target;
use crate::mock::{self, Mock};
use crate::output::{self, Verdict};
use crate::scratch::Scratch;
use crate::{clock, gateway::MODEL};
use load::{Load, Share};
use nginx::Nginx;
use report::Report;
use subject::Subject;
use workload::{Scenario, Workload};

/// What to measure, and on what.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What the requests are like.
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// The proxy to measure; without it, a gateway and a mock provider are started for this run.
    #[arg(long, value_name = "URL")]
    pub target: Option<Target>,
    /// A key that the target accepts.
    #[arg(long, requires = "target")]
    pub key: Option<String>,
    /// The target's process; by default the one that listens on its port.
    #[arg(long, requires = "target")]
    pub pid: Option<u32>,
    /// The mock provider behind the target; the baseline needs it.
    #[arg(long, value_name = "URL", requires = "target")]
    pub provider_url: Option<Target>,
    /// The model that is asked for.
    #[arg(long, default_value = MODEL)]
    pub model: String,
    /// Keep-alive connections, each with one request at a time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub connections: u16,
    /// Requests to measure, for each subject.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    pub requests: Option<u64>,
    /// Seconds to measure, for each subject.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub seconds: u64,
    /// Requests before measuring, for each subject.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=REQUESTS_MAX))]
    pub warmup: u64,
    /// Turns that each subject takes.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rounds: u64,
    /// Content events of a streamed answer.
    #[arg(long, value_name = "N", default_value_t = 34, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub events: u32,
    /// What to compare with, in the same run.
    #[arg(long, value_enum)]
    pub baseline: Option<Baseline>,
    /// What makes this run's prompts its own; by default the time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Which gateway to start.
    #[command(flatten)]
    pub gateway: gateway::Options,
}

/// A proxy that does nothing but forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Baseline {
    /// A plain reverse proxy with keep-alive on both sides.
    Nginx,
}

/// The books of a mock hold two million calls.
const REQUESTS_MAX: u64 = 1_000_000;
const SECONDS_MAX: u64 = 600;

/// What is running for this measurement, besides the baseline.
struct Stage {
    provider: Option<Target>,
    mock: Option<Mock>,
    gateway: Option<Gateway>,
    scratch: Scratch,
}

/// Measures, and fails when any request failed.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let workload = Workload::new(&options, options.seed.unwrap_or_else(clock::seed));
    let (stage, subject) = set(&options).await?;
    let mut subjects = vec![subject];
    let mut nginx = None;
    if options.baseline.is_some() {
        let provider = stage.provider.as_ref();
        let provider = provider.context("the baseline needs --provider-url")?;
        let Some(started) =
            Nginx::start(&stage.scratch, provider, options.scenario.streams()).await?
        else {
            return unavailable(stage).await;
        };
        subjects.push(Subject::new(
            "nginx",
            started.target(),
            subjects.first(),
            started.processes()?,
        ));
        nginx = Some(started);
    }

    let report = measure(&options, &workload, &stage, &mut subjects).await;
    if let Some(nginx) = nginx {
        nginx.stop().await?;
    }
    strike(stage).await?;
    let report = report?;
    output::json(&report)?;
    Ok(Verdict::when(report.holds()))
}

async fn measure(
    options: &Options,
    workload: &Workload,
    stage: &Stage,
    subjects: &mut [Subject],
) -> anyhow::Result<Report> {
    if options.scenario == Scenario::Stream34 {
        return stream34::measure(options, workload, subjects).await;
    }
    let share = Share {
        requests: options
            .requests
            .map(|requests| requests.div_ceil(options.rounds)),
        seconds: Duration::from_secs(options.seconds).div_f64(rounds(options)),
    };
    for subject in subjects.iter_mut() {
        warm(options, workload, subject).await?;
    }
    let progress = ProgressBar::new(options.rounds * subjects.len() as u64);
    for _ in 0..options.rounds {
        for (place, subject) in subjects.iter_mut().enumerate() {
            let before = provider_calls(stage).await?;
            let load = Load::new(subject, options.connections.into(), share);
            subject.measure(load.run(workload)).await?;
            if place == 0
                && let (Some(before), Some(after)) = (before, provider_calls(stage).await?)
            {
                subject.tally.provider_calls += after.saturating_sub(before);
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Report::new(options, subjects)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are at most a hundred rounds"
)]
const fn rounds(options: &Options) -> f64 {
    options.rounds as f64
}

/// Opens connections, fills caches, and stores the answer that hits are to hit.
async fn warm(options: &Options, workload: &Workload, subject: &Subject) -> anyhow::Result<()> {
    let share = Share {
        requests: Some(options.warmup),
        seconds: Duration::from_secs(SECONDS_MAX),
    };
    let load = Load::new(subject, options.connections.into(), share);
    let tally = load.run(workload).await;
    let failed = tally.errors == 0;
    ensure!(
        failed,
        "{} fails before anything is measured: {}",
        subject.name,
        tally.first_error.unwrap_or_default()
    );
    Ok(())
}

async fn provider_calls(stage: &Stage) -> anyhow::Result<Option<u64>> {
    match &stage.provider {
        Some(provider) => mock::calls(provider).await.map(Some),
        None => Ok(None),
    }
}

async fn set(options: &Options) -> anyhow::Result<(Stage, Subject)> {
    let scratch = Scratch::new()?;
    if let Some(target) = &options.target {
        let subject = Subject::of_target(target, options.key.clone(), options.pid)?;
        let stage = Stage {
            provider: options.provider_url.clone(),
            mock: None,
            gateway: None,
            scratch,
        };
        return Ok((stage, subject));
    }
    let mock = Mock::start(&scratch).await?;
    let installation = Installation::new(&options.gateway, &scratch, mock.target())?;
    let gateway = installation.start().await?;
    let subject = Subject::of_gateway(&gateway);
    let stage = Stage {
        provider: Some(mock.target().clone()),
        mock: Some(mock),
        gateway: Some(gateway),
        scratch,
    };
    Ok((stage, subject))
}

async fn strike(stage: Stage) -> anyhow::Result<()> {
    if let Some(gateway) = stage.gateway {
        gateway.stop().await?;
    }
    if let Some(mock) = stage.mock {
        mock.stop().await?;
    }
    Ok(())
}

async fn unavailable(stage: Stage) -> anyhow::Result<Verdict> {
    strike(stage).await?;
    let remedy = "nginx is not installed; the package nginx-light is enough";
    output::note(remedy);
    output::json(&serde_json::json!({ "error": remedy }))?;
    Ok(Verdict::Unavailable)
}
