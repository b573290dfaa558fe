//! Logs and metrics: what happened, never to whom it was said. No prompt, no secret, no organization in a label.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use config::section::{Log, LogFormat};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::error::Error;

/// Bucket bounds for durations, in seconds: from a hit in memory to the longest answer.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0, 300.0,
];

/// The metrics that have been counted.
#[derive(Clone)]
pub(crate) struct Telemetry {
    prometheus: PrometheusHandle,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Starts logging to standard error and counting.
    pub(crate) fn start(log: &Log) -> anyhow::Result<Self> {
        let filter = start_log(log)?;
        let builder = PrometheusBuilder::new()
            .set_buckets(SECONDS)
            .context("bucket bounds")?;
        let prometheus = builder
            .install_recorder()
            .context("metrics cannot be counted")?;
        describe();
        Ok(Self { prometheus, filter })
    }

    /// Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.prometheus.render()
    }

    /// Logs at another level from now on. It was checked with the rest of the configuration.
    pub(crate) fn set_level(&self, level: &str) {
        if let Ok(filter) = EnvFilter::builder().parse(level)
            && let Err(error) = self.filter.reload(filter)
        {
            tracing::error!(error = %error, "the log level could not be changed");
        }
    }

    /// Folds what histograms have gathered; without it they grow.
    pub(crate) fn upkeep(&self) {
        self.prometheus.run_upkeep();
    }
}

/// Starts the log alone, for the commands that only run and end.
pub(crate) fn start_log(log: &Log) -> anyhow::Result<reload::Handle<EnvFilter, Registry>> {
    let filter = EnvFilter::builder()
        .parse(&log.level)
        .context("log.level")?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Json => registry.with(layer.json()).try_init(),
        LogFormat::Text => registry.with(layer).try_init(),
    };
    started.context("the log cannot be started")?;
    Ok(handle)
}

/// A route and an outcome, with what counts them.
type Counted = (&'static str, &'static str, Counter, Histogram);

thread_local! {
    /// Looking a metric up by its labels costs more than counting; there are only so many pairs of them.
    static COUNTED: RefCell<Vec<Counted>> = const { RefCell::new(Vec::new()) };
}

/// Counts an answered request by route and outcome.
pub(crate) fn count_request(route: &'static str, result: Result<(), &Error>, took: Duration) {
    let outcome = result.map_or_else(|error| error.kind().as_str(), |()| "ok");
    COUNTED.with_borrow_mut(|counted| {
        let known = counted.iter().position(|(r, o, ..)| *r == route && *o == outcome);
        let place = known.unwrap_or_else(|| {
            let requests = metrics::counter!("flowpilot_requests_total", "route" => route, "outcome" => outcome);
            let seconds = metrics::histogram!("flowpilot_request_seconds", "route" => route);
            counted.push((route, outcome, requests, seconds));
            counted.len() - 1
        });
        if let Some((_, _, requests, seconds)) = counted.get(place) {
            requests.increment(1);
            seconds.record(took.as_secs_f64());
        }
    });
}

fn describe() {
    metrics::describe_counter!(
        "flowpilot_requests_total",
        "Requests answered, by route and outcome."
    );
    metrics::describe_histogram!(
        "flowpilot_request_seconds",
        "From a request's head to its answer's head, in seconds."
    );
    metrics::describe_counter!(
        "flowpilot_unpriced_requests_total",
        "Requests for models that have no price."
    );
    metrics::describe_counter!(
        "flowpilot_drains_refused_total",
        "Answers cut because too many were read on for clients that had left; their usage is estimated."
    );
}
