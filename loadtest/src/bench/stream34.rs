//! How long one stream takes, and how much of that is waiting for the disk.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::load::{Load, Share};
use super::report::{Report, StreamFigures, number, rounded};
use super::subject::Subject;
use super::workload::Workload;
use super::{Options, SECONDS_MAX};
use crate::client;
use crate::loopback::Target;

/// Streams measured unless told otherwise.
const STREAMS: u64 = 200;
/// The gateway's histogram of the time between writing a record and its being on disk, in seconds.
const FSYNC_WAIT: &str = "flowpilot_journal_fsync_wait_seconds";

/// Measures streams one after the other; of several subjects, in turns.
pub async fn measure(
    options: &Options,
    workload: &Workload,
    subjects: &mut [Subject],
) -> anyhow::Result<Report> {
    let streams = options.requests.unwrap_or(STREAMS).div_ceil(options.rounds);
    let share = |requests| Share {
        requests: Some(requests),
        seconds: Duration::from_secs(SECONDS_MAX),
    };
    for subject in subjects.iter() {
        Load::new(subject, 1, share(options.warmup.min(STREAMS)))
            .run(workload)
            .await;
    }
    let mut waits = Waits::default();
    for _ in 0..options.rounds {
        for (place, subject) in subjects.iter_mut().enumerate() {
            let target = subject.target.clone();
            let before = Waits::read(&target).await;
            let load = Load::new(subject, 1, share(streams));
            subject.measure(load.run(workload)).await?;
            if place == 0 {
                waits.add(Waits::read(&target).await.since(&before));
            }
        }
    }
    let mut report = Report::new(options, subjects)?;
    report.connections = 1;
    report.provider_calls = None;
    report.stream = Some(figures(options, &report, &waits));
    Ok(report)
}

fn figures(options: &Options, report: &Report, waits: &Waits) -> StreamFigures {
    let total = report.figures.p50_us;
    let mean = waits.mean_us();
    StreamFigures {
        events: options.events,
        total_p50_us: total,
        fsync_wait_mean_us: mean.map(rounded),
        total_less_fsync_us: mean.map(|mean| rounded(number(total) - mean)),
    }
}

/// Sum and count of a histogram.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Waits {
    seconds: f64,
    count: f64,
}

impl Waits {
    /// Reads the histogram; zero where there is none.
    async fn read(target: &Target) -> Self {
        let root = Target {
            prefix: String::new(),
            ..target.clone()
        };
        let metrics = client::fetch(&root, None, Method::GET, "/metrics").await;
        let metrics = metrics.map_or_else(|_| Bytes::new(), |(_, body)| body);
        Self::parse(&String::from_utf8_lossy(&metrics))
    }

    fn parse(metrics: &str) -> Self {
        let sum = |suffix: &str| {
            let name = format!("{FSYNC_WAIT}{suffix}");
            let lines = metrics.lines().filter_map(|line| line.strip_prefix(&name));
            // Labels may stand between the name and the value.
            let values = lines.filter(|rest| rest.starts_with([' ', '{']));
            let values = values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        Self {
            seconds: sum("_sum"),
            count: sum("_count"),
        }
    }

    fn since(self, before: &Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            count: self.count - before.count,
        }
    }

    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.count += other.count;
    }

    fn mean_us(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.seconds / self.count * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_the_sum_by_the_count_over_all_labels() {
        let metrics = "\
# TYPE flowpilot_journal_fsync_wait_seconds histogram
flowpilot_journal_fsync_wait_seconds_bucket{le=\"1\"} 9
flowpilot_journal_fsync_wait_seconds_sum{kind=\"a\"} 0.003
flowpilot_journal_fsync_wait_seconds_sum{kind=\"b\"} 0.001
flowpilot_journal_fsync_wait_seconds_count{kind=\"a\"} 1
flowpilot_journal_fsync_wait_seconds_count{kind=\"b\"} 1
";
        let mean = Waits::parse(metrics).mean_us().unwrap();
        assert!((mean - 2000.0).abs() < 1e-6);
    }
}
