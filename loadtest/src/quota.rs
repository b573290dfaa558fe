//! One quota, many callers, several gateways: never more is used than allowed, and nearly all of it can be.
//!
//! Callers ask until nothing more is admitted for a while. What was admitted is what the provider charges for in the end; all
//! the time used and reserved together are looked at too, since a limit that is exceeded for a moment was exceeded.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures_util::future::try_join_all;
use http::Method;
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::client::Connection;
use crate::cluster::manage::{Limit, Operator};
use crate::cluster::node::Settings;
use crate::cluster::{Cluster, Node};
use crate::loopback::Target;
use crate::output::{self, Verdict};
use crate::{mock, program, store};

/// Slices go back quickly, so that the last of a quota can be had by whoever asks.
const LEASE_IDLE_RETURN_MS: u64 = 200;
/// A caller that was refused asks again after this.
const PAUSE: Duration = Duration::from_millis(50);
/// Nothing admitted for so long: the quota is used up. Far longer than slices take to go back.
const QUIET: Duration = Duration::from_secs(6);
/// How often is looked whether too much is used.
const WATCH: Duration = Duration::from_millis(20);
/// What the callers' answers cost is told by the provider; this caps what is reserved for them.
const OUTPUT_TOKENS_MAX: u64 = 60;
/// The part of a quota that must be usable, of a hundred.
const USABLE_PERCENT_MIN: u64 = 99;

/// How many ask for how much.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Tokens of the quota.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10_000..=10_000_000))]
    pub limit: u64,
    /// Gateways, each a process.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub gateways: u8,
    /// Callers at once, each with one request at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub callers: u16,
    /// The gateway's program; by default `flowpilot` beside this one, built first under `cargo run`.
    #[arg(long, value_name = "PATH")]
    pub gateway: Option<PathBuf>,
}

/// How it went.
#[derive(Debug, Clone, Serialize)]
struct Report {
    limit: u64,
    gateways: u8,
    callers: u16,
    requests: u64,
    answered: u64,
    refused: u64,
    /// Tokens that the provider charges for.
    admitted: u64,
    /// Tokens that the quota says are used.
    used: u64,
    /// The most that was seen used and reserved at once.
    committed_max: u64,
    /// With one decimal.
    usable_percent: f64,
    seconds: u64,
}

/// What the callers share.
#[derive(Debug)]
struct Callers {
    targets: Vec<Target>,
    key: String,
    requests: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

/// Runs, and holds only when the limit was never exceeded and nearly all of it could be used.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let program = program::fresh(options.gateway.as_deref(), &program::SERVING)?;
    let cluster = Cluster::start(program).await?;
    let nodes = start(&cluster, options.gateways).await?;
    let (organization, key) = tenant(&cluster, &nodes, options.limit).await?;
    let pool = cluster.postgres.books()?;
    mock::clear(cluster.provider()).await?;

    let callers = Arc::new(Callers {
        targets: nodes.iter().map(|node| node.target().clone()).collect(),
        key,
        requests: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut asking = JoinSet::new();
    for number in 0..options.callers {
        asking.spawn(Arc::clone(&callers).call(number.into()));
    }
    let committed_max = watch(&pool, organization, &callers).await?;
    while let Some(ended) = asking.join_next().await {
        ended??;
    }
    try_join_all(nodes.iter().map(Node::drain)).await?;

    let (_, used, reserved) = quota(&pool, organization).await?;
    let calls = mock::books(cluster.provider()).await?.calls;
    let admitted = calls
        .iter()
        .map(|call| call.input_tokens + call.output_tokens)
        .sum();
    let report = Report {
        limit: options.limit,
        gateways: options.gateways,
        callers: options.callers,
        requests: callers.requests.load(Ordering::Relaxed),
        answered: callers.answered.load(Ordering::Relaxed),
        refused: callers.refused.load(Ordering::Relaxed),
        admitted,
        used,
        committed_max,
        usable_percent: percent(used, options.limit),
        seconds: began.elapsed().as_secs(),
    };
    let holds = report.holds() && reserved == 0;
    pool.close().await;
    cluster.stop(!holds).await?;
    output::json(&report)?;
    Ok(Verdict::when(holds))
}

impl Report {
    /// What the provider charges for is what is used: not more than the limit, and nearly all of it.
    const fn holds(&self) -> bool {
        self.admitted == self.used
            && self.committed_max <= self.limit
            && self.used <= self.limit
            && self.used * 100 >= self.limit * USABLE_PERCENT_MIN
    }
}

#[expect(clippy::cast_precision_loss, reason = "a thousand or less, for people")]
fn percent(part: u64, whole: u64) -> f64 {
    (part * 1000 / whole) as f64 / 10.0
}

async fn start(cluster: &Cluster, gateways: u8) -> anyhow::Result<Vec<Node>> {
    let settings = Settings {
        cache: false,
        lease_idle_return_ms: LEASE_IDLE_RETURN_MS,
        ..Settings::default()
    };
    let nodes: anyhow::Result<Vec<_>> = (0..gateways)
        .map(|number| {
            let folder = cluster.folder(&format!("gateway-{number}"));
            cluster.node(&folder, settings.clone())
        })
        .collect();
    let nodes = nodes?;
    try_join_all(nodes.iter().map(Node::start)).await?;
    Ok(nodes)
}

async fn tenant(cluster: &Cluster, nodes: &[Node], limit: u64) -> anyhow::Result<(Uuid, String)> {
    let node = nodes.first().context("there is no gateway")?;
    let mut operator = Operator::new(node.target(), &cluster.operator).await?;
    let organization = operator.organization("limited").await?;
    operator
        .quota(organization, "ai_tokens", Limit::Hard(limit))
        .await?;
    Ok((organization, operator.key(organization, "key").await?))
}

/// Looks at the quota until it is used up; the most that was used and reserved.
async fn watch(pool: &PgPool, organization: Uuid, callers: &Callers) -> anyhow::Result<u64> {
    let (mut committed_max, mut answered, mut since) = (0, 0, Instant::now());
    while since.elapsed() < QUIET {
        let (_, used, reserved) = quota(pool, organization).await?;
        committed_max = committed_max.max(used + reserved);
        let now_answered = callers.answered.load(Ordering::Relaxed);
        if now_answered != answered {
            (answered, since) = (now_answered, Instant::now());
        }
        sleep(WATCH).await;
    }
    callers.is_over.store(true, Ordering::Relaxed);
    Ok(committed_max)
}

async fn quota(pool: &PgPool, organization: Uuid) -> anyhow::Result<(Option<u64>, u64, u64)> {
    let quotas = store::quotas(pool, &[organization]).await?;
    let quota = quotas.first().context("the quota is gone")?;
    Ok((quota.limit, quota.used, quota.reserved))
}

impl Callers {
    /// Asks one gateway after the other, so that each quota slice is in demand everywhere.
    async fn call(self: Arc<Self>, number: usize) -> anyhow::Result<()> {
        let mut connections: Vec<Option<Connection>> = Vec::new();
        connections.resize_with(self.targets.len(), || None);
        let mut turn = number;
        while !self.is_over.load(Ordering::Relaxed) {
            turn += 1;
            let node = turn % self.targets.len();
            let (Some(target), Some(connection)) =
                (self.targets.get(node), connections.get_mut(node))
            else {
                anyhow::bail!("there is no gateway");
            };
            // A gateway that refuses before it read a body closes the connection.
            let connection = match connection {
                Some(open) if !open.is_closed() => open,
                closed => closed.insert(Connection::open(target, Some(&self.key)).await?),
            };
            if !self.ask(connection).await? {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Whether it was answered; everything but an answer and a refusal is an error.
    async fn ask(&self, connection: &mut Connection) -> anyhow::Result<bool> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let prompt = format!("Question {number}: how high is the tide? [[tokens=40]]");
        let body = json!({
            "model": "mock/gpt-4o-mini",
            "messages": [{ "role": "user", "content": prompt }],
            "max_completion_tokens": OUTPUT_TOKENS_MAX,
        });
        let path = "/v1/chat/completions";
        let body = body.to_string().into();
        let Ok(response) = connection.send(Method::POST, path, body).await else {
            // It was closed after the last refusal; the next request opens another.
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(false);
        };
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        let count = match status.as_u16() {
            200 => &self.answered,
            // Unavailable: the quota could not be asked in time, which is nobody's answer.
            429 | 503 => &self.refused,
            _ => anyhow::bail!("{status}: {}", String::from_utf8_lossy(&answer)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(status.is_success())
    }
}
