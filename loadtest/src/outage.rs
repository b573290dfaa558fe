//! PostgreSQL away under load: those who are known are served, memory stays flat, and everything is booked when it is back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use crate::bench::load::exchange;
use crate::bench::workload::Job;
use crate::client::Connection;
use crate::cluster::manage::Operator;
use crate::cluster::node::Settings;
use crate::cluster::{Cluster, Node};
use crate::output::{self, Verdict};
use crate::process::account;
use crate::{mock, program, store};

/// Parts of the load, after each of which the memory is looked at.
const PARTS: u64 = 10;
/// The first parts warm up allocators and connections; growth counts from after them.
const WARM_PARTS: usize = 2;
/// Growth that says nothing: what allocators keep for later.
const GROWTH_MIB_MAX: u64 = 12;
const KIB_PER_MIB: u64 = 1024;
/// So often a key is tried before it is known.
const INTRODUCTIONS_MAX: u32 = 200;
/// Far longer than booking the load takes.
const BOOKED_MAX: Duration = Duration::from_mins(10);
const BOOKED_POLL: Duration = Duration::from_millis(50);

/// How much load.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Requests while PostgreSQL is away.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pub requests: u64,
    /// Clients at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// The gateway's program; by default `flowpilot` beside this one, built first under `cargo run`.
    #[arg(long, value_name = "PATH")]
    pub gateway: Option<PathBuf>,
}

/// How it went.
#[derive(Debug, Clone, Serialize)]
struct Report {
    /// While PostgreSQL was away; all of them were answered.
    requests: u64,
    seconds_away: f32,
    /// After each tenth of them, in mebibytes.
    rss_mib: Vec<u64>,
    /// From after the warm-up to the end.
    growth_mib: u64,
    provider_calls: u64,
    /// Requests in the books in the end; those of the warm-up are among them.
    booked: u64,
    /// Requests booked per second once PostgreSQL was back.
    booked_per_second: u64,
}

/// Who asks.
#[derive(Debug)]
struct Load {
    key: String,
    numbers: AtomicU64,
    connections: u16,
}

/// Runs, and holds only when all were answered and booked and the memory stayed flat.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let program = program::fresh(options.gateway.as_deref(), &program::SERVING)?;
    let cluster = Cluster::start(program).await?;
    let settings = Settings {
        cache: false,
        ..Settings::default()
    };
    let node = cluster.node(&cluster.folder("gateway"), settings)?;
    node.start().await?;
    let mut operator = Operator::new(node.target(), &cluster.operator).await?;
    let organization = operator.organization("known").await?;
    let load = Arc::new(Load {
        key: operator.key(organization, "key").await?,
        numbers: AtomicU64::new(0),
        connections: options.connections,
    });
    mock::clear(cluster.provider()).await?;
    // The key is known from now on, and that no quota limits it.
    let part = options.requests / PARTS;
    load.introduce(&node).await?;
    load.send(&node, part).await?;

    cluster.postgres.stop().await?;
    let away = Instant::now();
    let mut rss_kib = Vec::new();
    for _ in 0..PARTS {
        load.send(&node, part).await?;
        rss_kib.push(rss(&node).await?);
    }
    let seconds_away = away.elapsed().as_secs_f32();
    cluster.postgres.start_again().await?;

    // With the one that made the key known.
    let expected = part * (PARTS + 1) + 1;
    let (booked, per_second) = wait_until_booked(&cluster, organization, expected).await?;
    node.drain().await?;
    let first = rss_kib.get(WARM_PARTS).copied().unwrap_or_default();
    let last = rss_kib.last().copied().unwrap_or_default();
    let report = Report {
        requests: part * PARTS,
        seconds_away,
        growth_mib: last.saturating_sub(first) / KIB_PER_MIB,
        rss_mib: rss_kib.iter().map(|kib| kib / KIB_PER_MIB).collect(),
        provider_calls: mock::calls(cluster.provider()).await?,
        booked,
        booked_per_second: per_second,
    };
    let is_booked = report.booked == expected && report.provider_calls == expected;
    let holds = is_booked && report.growth_mib <= GROWTH_MIB_MAX;
    cluster.stop(!holds).await?;
    output::json(&report)?;
    Ok(Verdict::when(holds))
}

/// How many are booked in the end, and how fast those of the outage were.
async fn wait_until_booked(
    cluster: &Cluster,
    organization: Uuid,
    expected: u64,
) -> anyhow::Result<(u64, u64)> {
    let pool = cluster.postgres.books()?;
    let began = Instant::now();
    let first = booked(&pool, organization).await?;
    let mut now = first;
    while now < expected && began.elapsed() < BOOKED_MAX {
        sleep(BOOKED_POLL).await;
        now = booked(&pool, organization).await?;
    }
    let millis = u64::try_from(began.elapsed().as_millis())?.max(1);
    pool.close().await;
    Ok((now, (now - first) * 1000 / millis))
}

/// By the periods' sums, which grow with every posting and are read in no time.
async fn booked(pool: &sqlx::PgPool, organization: Uuid) -> anyhow::Result<u64> {
    let periods = store::periods(pool, &[organization]).await?;
    Ok(periods.values().map(|sums| sums.calls).sum())
}

async fn rss(node: &Node) -> anyhow::Result<u64> {
    let process = node.process_id().await;
    account::rss_kib(&process.into_iter().collect::<Vec<_>>())
}

impl Load {
    /// Asks until it is answered, as long as a busy machine takes to look the key up.
    async fn introduce(&self, node: &Node) -> anyhow::Result<()> {
        let job = Job::new("mock/gpt-4o-mini", "Is anybody there?", false);
        for _ in 0..INTRODUCTIONS_MAX {
            let mut connection = Connection::open(node.target(), Some(&self.key)).await?;
            if exchange(&mut connection, &job).await.is_ok() {
                return Ok(());
            }
            sleep(BOOKED_POLL).await;
        }
        anyhow::bail!("the key was not known after {INTRODUCTIONS_MAX} attempts")
    }

    /// Sends so many requests; one that is not answered rightly is an error.
    async fn send(self: &Arc<Self>, node: &Node, requests: u64) -> anyhow::Result<()> {
        let until = self.numbers.load(Ordering::Relaxed) + requests;
        let mut clients = JoinSet::new();
        for _ in 0..self.connections {
            let connection = Connection::open(node.target(), Some(&self.key)).await?;
            clients.spawn(Arc::clone(self).client(connection, until));
        }
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        self.numbers.store(until, Ordering::Relaxed);
        Ok(())
    }

    async fn client(self: Arc<Self>, mut connection: Connection, until: u64) -> anyhow::Result<()> {
        loop {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            if number >= until {
                return Ok(());
            }
            let prompt = format!("Question {number}: how high is the tide?");
            exchange(
                &mut connection,
                &Job::new("mock/gpt-4o-mini", &prompt, false),
            )
            .await?;
        }
    }
}
