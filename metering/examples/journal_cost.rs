//! Measures what the journal costs per request: CPU of the whole process, and waits.
//!
//! `cargo run --release -p metering --example journal_cost -- [callers] [requests]`. One request is an INTENT, awaited until it is
//! written, and a SETTLE, awaited until it is durable. The CPU includes the callers' own work
//! of making the records, which is measured apart first.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use metering::Journal;
use metering::journal::Durability;
use metering::record::Held;
use tokio_util::task::TaskTracker;

#[path = "common/cpu.rs"]
mod cpu;
#[path = "common/journal.rs"]
mod journal;
#[path = "common/request.rs"]
mod request;

use request::{intent, settlement};

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
        let journal = journal::open(folder.path(), durability).await?;
        let measured = measure(&journal, callers, requests).await?;
        writeln!(out, "{durability:?}: {measured}")?;
    }
    Ok(())
}

/// The callers' own work, to be subtracted.
fn cost_of_making(requests: u64) -> Result<u128, Box<dyn std::error::Error>> {
    let (before, _) = cpu::times()?;
    for _ in 0..requests {
        std::hint::black_box((intent(), settlement()));
    }
    let cpu = cpu::times()?.0.saturating_sub(before);
    Ok(cpu.as_nanos() / u128::from(requests))
}

async fn measure(
    journal: &Journal,
    callers: u64,
    requests: u64,
) -> Result<String, Box<dyn std::error::Error>> {
    let (intents, settles) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks = TaskTracker::new();
    let (before, begun) = (cpu::times()?.0, Instant::now());
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
    let wall = begun.elapsed();
    let cpu = cpu::times()?.0.saturating_sub(before);
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
