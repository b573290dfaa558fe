//! What a measurement says, as one line of JSON.

use serde::Serialize;

use super::Options;
use super::subject::Subject;
use super::workload::Scenario;

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What the requests were like.
    pub scenario: Scenario,
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// The same of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Figures>,
    /// The figures by the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// How a stream's time divides, in `stream34` only.
    #[serde(flatten)]
    pub stream: Option<StreamFigures>,
    /// Connections used at once.
    pub connections: u16,
    /// Requests of measured rounds that reached the provider; absent where the provider is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_calls: Option<u64>,
    /// Whether the requests that should have been hits were.
    #[serde(skip)]
    hits_hit: bool,
    /// The machine's load average over the last minute, when the run ended.
    pub load_average: f64,
}

/// The figures of one subject.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Requests measured.
    pub requests: u64,
    /// Requests per second.
    pub rps: f64,
    /// Median time to the last byte.
    pub p50_us: u64,
    /// The time that one request in a hundred exceeds.
    pub p99_us: u64,
    /// Median time to the first byte of the body.
    pub ttfb_p50_us: u64,
    /// Processor time of the subject per request, user and system, all threads.
    pub cpu_us_per_request: f64,
    /// Memory at the end, in mebibytes.
    pub rss_mb: f64,
    /// Requests without the right answer.
    pub errors: u64,
    /// What was wrong with the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
}

/// What the subject takes for what the baseline takes one.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    /// Of processor time.
    pub cpu_us_per_request: Option<f64>,
    /// Of throughput.
    pub rps: Option<f64>,
    /// Of the median time.
    pub p50_us: Option<f64>,
}

/// How the time of a stream divides.
#[derive(Debug, Clone, Serialize)]
pub struct StreamFigures {
    /// Content events of each stream.
    pub events: u32,
    /// Median time of a whole stream.
    pub total_p50_us: u64,
    /// Mean time that a request waited for its record to be on disk; none where the target does not tell.
    pub fsync_wait_mean_us: Option<f64>,
    /// The median without that mean.
    pub total_less_fsync_us: Option<f64>,
}

impl Report {
    /// The figures of these subjects: what is measured, then the baseline.
    pub fn new(options: &Options, subjects: &[Subject]) -> anyhow::Result<Self> {
        let mut figures = subjects.iter().map(Figures::new);
        let own = figures
            .next()
            .unwrap_or_else(|| anyhow::bail!("nothing was measured"))?;
        let baseline = figures.next().transpose()?;
        let calls = subjects
            .first()
            .map_or(0, |subject| subject.tally.provider_calls);
        let known = options.target.is_none() || options.provider_url.is_some();
        Ok(Self {
            scenario: options.scenario,
            ratio: baseline.as_ref().map(|baseline| Ratio::new(&own, baseline)),
            figures: own,
            baseline,
            stream: None,
            connections: options.connections,
            provider_calls: known.then_some(calls),
            hits_hit: !options.scenario.hits() || calls == 0,
            load_average: load_average(),
        })
    }

    /// Whether every request was answered rightly, and hits without the provider.
    pub const fn holds(&self) -> bool {
        let baseline = match &self.baseline {
            Some(baseline) => baseline.errors == 0,
            None => true,
        };
        self.figures.errors == 0 && self.figures.requests > 0 && baseline && self.hits_hit
    }
}

impl Figures {
    fn new(subject: &Subject) -> anyhow::Result<Self> {
        let tally = &subject.tally;
        let requests = number(tally.requests);
        Ok(Self {
            requests: tally.requests,
            rps: rounded(requests / tally.elapsed.as_secs_f64().max(f64::EPSILON)),
            p50_us: tally.latency.value_at_quantile(0.5),
            p99_us: tally.latency.value_at_quantile(0.99),
            ttfb_p50_us: tally.first_byte.value_at_quantile(0.5),
            cpu_us_per_request: rounded(number(subject.cpu_us) / requests.max(1.0)),
            rss_mb: rounded(subject.rss_mib()?),
            errors: tally.errors,
            first_error: tally.first_error.clone(),
        })
    }
}

impl Ratio {
    fn new(own: &Figures, baseline: &Figures) -> Self {
        // The operating system counts in ticks: what took less than one has no ratio.
        let ratio = |own: f64, baseline: f64| (baseline > 0.0).then(|| rounded(own / baseline));
        Self {
            cpu_us_per_request: ratio(own.cpu_us_per_request, baseline.cpu_us_per_request),
            rps: ratio(own.rps, baseline.rps),
            p50_us: ratio(number(own.p50_us), number(baseline.p50_us)),
        }
    }
}

/// Counts and microseconds of a run are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "measurements, not money")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// Two decimals: more would pretend.
pub fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_ascii_whitespace().next();
    first
        .and_then(|first| first.parse().ok())
        .unwrap_or_default()
}
