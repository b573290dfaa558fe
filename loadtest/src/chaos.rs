//! Everything that can go wrong, seed by seed; and after each seed the books are right, to the last decimal.
//!
//! Two gateways share one PostgreSQL and one mock provider. Clients of several organizations ask whole and streamed questions
//! while gateways are killed at named points and at random, PostgreSQL is stopped and killed, journals have no room or cannot
//! be synced, configurations are changed, clients leave, and the provider breaks off. Then everything is started again and
//! stopped in order, and the provider's books are held against the events, the totals, the quotas and the export ([`audit`]).
//! What a seed does is a function of the seed ([`plan`]); when exactly each thing happens is the scheduler's affair.

pub mod audit;
pub mod client;
pub mod deeds;
pub mod disk;
pub mod plan;
pub mod question;
pub mod tenants;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::cluster::manage::Operator;
use crate::cluster::node::Settings;
use crate::cluster::{Cluster, Node};
use crate::oracle::price::Prices;
use crate::output::{self, Verdict};
use crate::{mock, program};
use audit::{Account, Audit, Evidence};
use client::{Clients, Ending};
use deeds::{Deeds, Monkey};
use disk::Disk;
use plan::{CLIENTS, Plan};
use tenants::Tenants;

/// The list that the gateways of this source have built in.
const PRICES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../config/prices.toml"
));
/// A journal file holds some twenty records, so that files are begun and removed all the time.
const SEGMENT_BYTES_MAX: u64 = 16 * 1024;
/// Slices are small and go back soon, so that leases are taken and returned all the time.
const LEASE_TOKENS_MAX: u32 = 3_000;
const LEASE_IDLE_RETURN_MS: u64 = 200;
/// Findings of a seed that are shown; the rest is in its folder.
const FINDINGS_SHOWN: usize = 20;

/// Which seeds.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub first_seed: u64,
    /// The gateway's program with fail points; by default `flowpilot-chaos` beside this one, built first under `cargo run`.
    #[arg(long, value_name = "PATH")]
    pub gateway: Option<PathBuf>,
}

/// How all went.
#[derive(Debug, Clone, Default, Serialize)]
struct Report {
    seeds: u64,
    passed: u64,
    failed: u64,
    /// Requests that clients sent, and how they ended for them.
    requests: u64,
    answered: u64,
    refused: u64,
    broken: u64,
    left: u64,
    #[serde(flatten)]
    deeds: Deeds,
    #[serde(flatten)]
    account: Account,
    /// How journals were left without room.
    disk: &'static str,
    failed_seeds: Vec<u64>,
    seconds: u64,
}

/// How one seed went.
struct Seed {
    evidence: Evidence,
    audit: Audit,
    deeds: Deeds,
    /// To start, to ask everything, to stop in order.
    times: [Duration; 3],
    disk: &'static str,
}

/// Runs the seeds, and holds only when all of them passed.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    let program = program::fresh(options.gateway.as_deref(), &program::CHAOS)?;
    let prices = Prices::parse(PRICES)?;
    let cluster = Cluster::start(program).await?;
    let mut report = Report::default();
    for seed in (options.first_seed..).take(usize::try_from(options.seeds)?) {
        let seed_began = Instant::now();
        let outcome = run_seed(&cluster, &prices, seed).await;
        let times = outcome
            .as_ref()
            .map_or([Duration::ZERO; 3], |seed| seed.times);
        report.take(&cluster, seed, outcome)?;
        output::note(&format!(
            "seed {seed}: {} in {:.1?} (start {:.1?}, load {:.1?}, drain {:.1?})",
            report.line(seed),
            seed_began.elapsed(),
            times[0],
            times[1],
            times[2],
        ));
    }
    report.seconds = began.elapsed().as_secs();
    let holds = report.failed == 0;
    cluster.stop(!holds).await?;
    output::json(&report)?;
    Ok(Verdict::when(holds))
}

async fn run_seed(cluster: &Cluster, prices: &Prices, seed: u64) -> anyhow::Result<Seed> {
    let plan = Plan::of(seed);
    let folder = cluster.folder(&format!("seed-{seed}"));
    let (mut nodes, mut disks) = (Vec::new(), Vec::new());
    for (number, lives) in plan.lives.iter().enumerate() {
        let folder = folder.join(format!("gateway-{number}"));
        let disk = Disk::new(folder.join("volume"))?;
        let settings = Settings {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            lease_tokens_max: LEASE_TOKENS_MAX,
            lease_idle_return_ms: LEASE_IDLE_RETURN_MS,
            journal: Some(disk.journal()),
            ..Settings::default()
        };
        nodes.push(Arc::new(cluster.node(&folder, settings)?));
        disks.push(disk);
        if let Some(node) = nodes.last() {
            node.arm(lives.clone());
        }
    }
    mock::clear(cluster.provider()).await?;
    let result = load_and_audit(cluster, prices, plan, (&nodes, &disks)).await;
    let passed = result
        .as_ref()
        .is_ok_and(|seed| seed.audit.findings.is_empty());
    if passed {
        drop(disks);
        std::fs::remove_dir_all(&folder).context("the folder of a seed cannot be removed")?;
    } else {
        for (number, disk) in disks.iter().enumerate() {
            let kept = folder.join(format!("gateway-{number}/journal"));
            disk.save(&kept).context("a journal cannot be kept")?;
        }
    }
    result
}

async fn load_and_audit(
    cluster: &Cluster,
    prices: &Prices,
    plan: Plan,
    (nodes, disks): (&[Arc<Node>], &[Disk]),
) -> anyhow::Result<Seed> {
    let began = Instant::now();
    try_join_all(nodes.iter().map(|node| node.start())).await?;
    let tenants = make_tenants(cluster, nodes, plan.seed).await?;
    let targets = nodes.iter().map(|node| node.target().clone()).collect();
    let organizations = tenants.organizations().to_vec();
    let clients = Arc::new(Clients::new(plan.clone(), tenants, targets));
    let monkey = Monkey {
        postgres: &cluster.postgres,
        nodes,
        disks,
        clients: Arc::clone(&clients),
        deeds: Mutex::default(),
        breaks: Mutex::default(),
    };
    let loading = Instant::now();
    load(&plan, nodes, &clients, &monkey).await?;
    let draining = Instant::now();
    try_join_all(nodes.iter().map(|node| node.drain())).await?;
    let load_time = draining.duration_since(loading);
    let times = [loading.duration_since(began), load_time, draining.elapsed()];

    let mut deeds = *monkey.deeds.lock();
    let mut losses = *monkey.breaks.lock();
    for (node, losses) in nodes.iter().zip(&mut losses) {
        deeds.kills += node.kills();
        deeds.kills_at_points += node.kills_at_points();
        *losses += node.kills();
    }
    let pool = cluster.postgres.books()?;
    let calls = mock::books(cluster.provider()).await?.calls;
    let seen = clients.seen();
    let node = nodes.first().context("there is no gateway")?;
    let evidence = Evidence::read((&pool, node), calls, seen, &organizations, losses).await?;
    let mut audit = audit::run(&pool, prices, &evidence).await?;
    pool.close().await;
    for disk in disks {
        for casualty in disk.casualties()? {
            audit
                .findings
                .push(format!("the journal left {}", casualty.display()));
        }
    }
    if audit.account.exact == 0 {
        let nothing = "no call came to be booked exactly, so that nothing was tried";
        audit.findings.push(nothing.to_owned());
    }
    let is_real = disks.iter().all(Disk::is_real);
    Ok(Seed {
        evidence,
        audit,
        deeds,
        times,
        disk: if is_real { "tmpfs" } else { "fail point" },
    })
}

/// At the first gateway that lives to make them all: one with a fail point may not.
async fn make_tenants(
    cluster: &Cluster,
    nodes: &[Arc<Node>],
    seed: u64,
) -> anyhow::Result<Tenants> {
    let node = nodes.first().context("there is no gateway")?;
    let mut operator = Operator::new(node.target(), &cluster.operator).await?;
    Tenants::make(&mut operator, &format!("seed-{seed}")).await
}

/// Lets the clients ask everything while everything goes wrong, and gateways that end are started again.
async fn load(
    plan: &Plan,
    nodes: &[Arc<Node>],
    clients: &Arc<Clients>,
    monkey: &Monkey<'_>,
) -> anyhow::Result<()> {
    let mut keepers = JoinSet::new();
    for node in nodes {
        let node = Arc::clone(node);
        keepers.spawn(async move { node.keep().await });
    }
    let mut asking = JoinSet::new();
    for number in 0..CLIENTS {
        asking.spawn(Arc::clone(clients).run(number));
    }
    let all_asked = async {
        while let Some(ended) = asking.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let all_over = async { tokio::try_join!(all_asked, monkey.run(plan)) };
    tokio::select! {
        over = all_over => over?,
        // A keeper ends early only when its gateway cannot be started.
        ended = keepers.join_next() => {
            ended.context("there is no gateway")???;
            anyhow::bail!("a gateway is no longer kept");
        }
    };
    for node in nodes {
        node.finish();
    }
    while let Some(ended) = keepers.join_next().await {
        ended??;
    }
    Ok(())
}

impl Report {
    fn take(
        &mut self,
        cluster: &Cluster,
        seed: u64,
        outcome: anyhow::Result<Seed>,
    ) -> anyhow::Result<()> {
        self.seeds += 1;
        let findings = match outcome {
            Ok(seed) => self.add(&seed),
            Err(error) => (vec![format!("{error:#}")], None),
        };
        let (findings, description) = findings;
        if findings.is_empty() {
            self.passed += 1;
            return Ok(());
        }
        self.failed += 1;
        self.failed_seeds.push(seed);
        let folder = cluster.folder(&format!("seed-{seed}"));
        let plan = format!("{:#?}\n\n", Plan::of(seed));
        let all = plan + &findings.join("\n") + "\n\n" + &description.unwrap_or_default();
        // A seed that could not even begin has no folder yet.
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("findings.txt"), all))
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        for finding in findings.iter().take(FINDINGS_SHOWN) {
            output::note(&format!("  {finding}"));
        }
        output::note(&format!(
            "  logs and data: {}\n  again: cargo run --release -p loadtest -- chaos --seeds 1 --first-seed {seed}",
            folder.display()
        ));
        Ok(())
    }

    fn add(&mut self, outcome: &Seed) -> (Vec<String>, Option<String>) {
        let seen = &outcome.evidence.seen;
        let count =
            |of: fn(Ending) -> bool| seen.iter().filter(|seen| of(seen.ending)).count() as u64;
        let answered = count(|ending| matches!(ending, Ending::Answered | Ending::Hit));
        self.requests += seen.len() as u64;
        self.answered += answered;
        self.refused += count(|ending| matches!(ending, Ending::Refused(_)));
        self.broken += count(|ending| ending == Ending::Broken);
        self.left += count(|ending| ending == Ending::Left);
        self.deeds.add(&outcome.deeds);
        self.account.add(&outcome.audit.account);
        self.disk = outcome.disk;
        let findings = outcome.audit.findings.clone();
        (findings, Some(outcome.evidence.describe()))
    }

    fn line(&self, seed: u64) -> &'static str {
        if self.failed_seeds.contains(&seed) {
            "FAILED"
        } else {
            "passed"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_list_of_this_source_is_understood() {
        assert!(Prices::parse(PRICES).is_ok());
    }
}
