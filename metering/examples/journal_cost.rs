//! Measures what the journal costs per request: CPU of the whole process, and waits.
//!
//! `cargo run --release -p metering --example journal_cost -- [callers] [requests]`. One request is an INTENT, awaited until it is
//! written, and a SETTLE, awaited until it is durable. The CPU includes the callers' own work
//! of making the records, which is measured apart first.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metering::journal::{Durability, Options};
use metering::price::Service;
use metering::record::Held;
use metering::{Attribution, CacheStatus, ChargeTo, Estimate, Intent, Journal, Settlement};
use tokio_util::task::TaskTracker;
use types::call::{Dialect, Endpoint};
use types::{Caller, Clock, Id, Outcome, Permissions, Principal, SystemClock, Usage, UsageSource};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let callers: u64 = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let requests: u64 = arguments.next().map_or(Ok(50_000), |text| text.parse())?;
    let mut out = std::io::stdout();
    let making = cost_of_making(requests)?;
    writeln!(out, "making the records alone: {making} ns CPU per request")?;
    for durability in [Durability::Written, Durability::Fsync, Durability::Strict] {
        let folder = tempfile::tempdir()?;
        let options = Options {
            folder: folder.path().to_owned(),
            durability,
            segment_bytes_max: 64 << 20,
            journal_bytes_max: 10 << 30,
        };
        let opening =
            tokio::task::spawn_blocking(move || Journal::open(&options, Arc::new(SystemClock)));
        let journal = opening.await??;
        let measured = measure(&journal, callers, requests).await?;
        writeln!(out, "{durability:?}: {measured}")?;
    }
    Ok(())
}

/// The callers' own work, to be subtracted.
fn cost_of_making(requests: u64) -> Result<u128, Box<dyn std::error::Error>> {
    let cpu = cpu_time()?;
    for _ in 0..requests {
        std::hint::black_box((intent(), settlement()));
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    Ok(cpu.as_nanos() / u128::from(requests))
}

async fn measure(
    journal: &Journal,
    callers: u64,
    requests: u64,
) -> Result<String, Box<dyn std::error::Error>> {
    let (intents, settles) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks = TaskTracker::new();
    let (cpu, begun) = (cpu_time()?, Instant::now());
    for _ in 0..callers {
        let (journal, intents, settles) =
            (journal.clone(), Arc::clone(&intents), Arc::clone(&settles));
        tasks.spawn(async move {
            for _ in 0..requests / callers {
                let asked = Instant::now();
                let Ok(pending) = journal.intend(intent(), Held::default()).await else {
                    return;
                };
                intents.fetch_add(micros(asked), Ordering::Relaxed);
                let asked = Instant::now();
                if let Ok(durable) = pending.settle(settlement()) {
                    let _ = durable.await;
                }
                settles.fetch_add(micros(asked), Ordering::Relaxed);
            }
        });
    }
    tasks.close();
    tasks.wait().await;
    let (wall, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(cpu));
    let per = |total: u128| total / u128::from(requests);
    Ok(format!(
        "{callers} callers, {} requests/s, {} µs CPU per request, mean wait INTENT {} µs, SETTLE {} µs",
        u128::from(requests) * 1_000_000 / wall.as_micros().max(1),
        per(cpu.as_micros()),
        per(intents.load(Ordering::Relaxed).into()),
        per(settles.load(Ordering::Relaxed).into()),
    ))
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// User and system time of this process, from the kernel's own count in ticks of 10 ms.
fn cpu_time() -> Result<Duration, Box<dyn std::error::Error>> {
    let stat = fs_err::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no process name")?;
    let ticks: Result<Vec<u64>, _> = fields.split(' ').skip(11).take(2).map(str::parse).collect();
    Ok(Duration::from_millis(ticks?.iter().sum::<u64>() * 10))
}

fn intent() -> Intent {
    Intent {
        request_id: Id::new(&SystemClock),
        attempt: 1,
        caller: Caller {
            organization: Id::new(&SystemClock),
            principal: Principal::Key {
                id: Id::new(&SystemClock),
                user: Id::new(&SystemClock),
            },
            permissions: Permissions::NONE,
            department: None,
        },
        attribution: Attribution::default(),
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "gemini".to_owned(),
        provider_model: "gemini-3-flash".to_owned(),
        stream: true,
        created_at: SystemClock.now(),
        prompt_text: "What is the capital of France, and how many people live there today?"
            .to_owned(),
        temperature: Some("0.7".to_owned()),
        estimate: Estimate {
            input_tokens_max: 40,
            output_tokens_max: 1024,
        },
        price: None,
        cache_status: Some(CacheStatus::Miss),
        charge_to: ChargeTo::Tenant,
    }
}

fn settlement() -> Settlement {
    Settlement {
        outcome: Outcome::Completed,
        usage: Usage {
            input_tokens: 21,
            output_tokens: 35,
            ..Usage::default()
        },
        usage_source: UsageSource::Provider,
        service: Service::Standard,
        latency: Duration::from_millis(800),
        time_to_first_token: Some(Duration::from_millis(200)),
        completion_text: Some(
            "Paris; about two million people live in the city itself.".to_owned(),
        ),
        failure: None,
        provider_model: None,
        completed_at: SystemClock.now(),
        last_attempt: true,
    }
}
