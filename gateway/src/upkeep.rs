//! What has to be done now and then: partitions ahead of time, idle state forgotten, metrics folded.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Datelike, Months};
use database::Database;
use metering::api::Finance;
use metering::billing::{self, Closing};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::Shared;

/// How often idle rate-limit state is forgotten and metrics are folded.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How often partitions are made and stray rows counted: months before they are needed, and soon after an outage.
const PARTITIONS_INTERVAL: Duration = Duration::from_hours(1);

/// How often it is looked whether last month can be closed: it is no matter of minutes.
const CLOSE_INTERVAL: Duration = Duration::from_hours(1);

/// Begins both, until told to stop.
pub(crate) fn start(
    shared: &Arc<Shared>,
    database: &Database,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let sweep = Arc::clone(shared);
    every(SWEEP_INTERVAL, tasks, stop, move || {
        let shared = Arc::clone(&sweep);
        async move {
            shared.pipeline.settings.load().limits.forget_idle();
            shared.telemetry.upkeep();
            metrics::gauge!("flowpilot_requests_in_flight").set(gauge(shared.in_flight.count()));
        }
    });
    let database = database.clone();
    every(PARTITIONS_INTERVAL, tasks, stop, move || {
        partitions(database.clone())
    });
}

/// Closes last month, as soon as it can be, until told to stop.
pub(crate) fn close_months(finance: Finance, tasks: &TaskTracker, stop: &CancellationToken) {
    every(CLOSE_INTERVAL, tasks, stop, move || {
        let finance = finance.clone();
        async move { close_month(&finance).await }
    });
}

async fn close_month(finance: &Finance) {
    let today = finance.clock.now().date_naive();
    let this_month = today.with_day(1).unwrap_or(today);
    let closing = Closing {
        month: this_month - Months::new(1),
        grace: finance.close_grace,
        without_nodes: Vec::new(),
        dry_run: false,
        by: None,
    };
    let prices = finance.prices.load_full();
    let closed = billing::close_all(&finance.database, &prices, &*finance.clock, &closing).await;
    match closed {
        Err(billing::Error::TooEarly { .. }) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "last month cannot be closed yet; it is tried again"
        ),
        Ok(closed) => {
            for (organization, closed) in closed {
                if let Err(error) = closed {
                    tracing::error!(
                        %organization,
                        error = &error as &dyn std::error::Error,
                        "a month stays open"
                    );
                }
            }
        }
    }
}

fn every<F>(
    period: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
    mut work: impl FnMut() -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = stop.clone();
    tasks.spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => work().await,
            }
        }
    });
}

async fn partitions(database: Database) {
    if let Err(error) = database.ensure_partitions().await {
        tracing::warn!(error = %error, "partitions could not be made; it is tried again");
    }
    match database.default_partition_rows().await {
        Ok(strays) => {
            let rows: i64 = strays.iter().map(|stray| stray.rows).sum();
            metrics::gauge!("flowpilot_default_partition_rows").set(gauge(rows));
            for stray in strays {
                tracing::error!(
                    table = stray.table,
                    rows = stray.rows,
                    "rows lie in a DEFAULT partition: their month had none"
                );
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "rows in DEFAULT partitions could not be counted");
        }
    }
}

/// A count as Prometheus has it; beyond four milliards it no longer matters.
fn gauge(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}
