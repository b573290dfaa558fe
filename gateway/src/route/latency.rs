//! How long a deployment takes until it answers: a mean that follows peaks at once, and the 95th percentile.
//!
//! The mean is the "peak EWMA" of Twitter's Finagle: a slower answer raises it at once, and it sinks with time, so that
//! one that is avoided is tried again. The percentile comes from a histogram of buckets a fifth apart.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// After so long a peak has sunk to a third.
const DECAY_SECONDS: f64 = 10.0;

/// Buckets: four for each doubling, from 256 µs up to more than an hour.
const BUCKETS: usize = 100;
/// The lowest power of two that is told apart, in microseconds.
const LOWEST: u32 = 8;

/// Answers before a percentile means anything.
const SAMPLES_MIN: u32 = 20;
/// Answers at which all counts are halved, so that old ones fade.
const SAMPLES_MAX: u32 = 1024;

/// What one deployment's answers took.
#[derive(Debug)]
pub(crate) struct Latency {
    /// Seconds, as the bits of an `f64`.
    mean: AtomicU64,
    /// When that was written: seconds since the beginning, likewise.
    at: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
    samples: AtomicU32,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            mean: AtomicU64::default(),
            at: AtomicU64::default(),
            buckets: std::array::from_fn(|_| AtomicU32::default()),
            samples: AtomicU32::default(),
        }
    }
}

impl Latency {
    /// Takes note of an answer that began after so long.
    pub(crate) fn note(&self, since_beginning: Duration, took: Duration) {
        let sunk = self.mean(since_beginning);
        let took_seconds = took.as_secs_f64();
        let age = self.age(since_beginning);
        let mean = if took_seconds > sunk {
            took_seconds
        } else {
            let kept = (-age / DECAY_SECONDS).exp();
            f64::from_bits(self.mean.load(Ordering::Relaxed)) * kept + took_seconds * (1.0 - kept)
        };
        // Two at once may lose one of them, which a mean can bear.
        self.mean.store(mean.to_bits(), Ordering::Relaxed);
        let at = since_beginning.as_secs_f64();
        self.at.store(at.to_bits(), Ordering::Relaxed);
        self.count(took);
    }

    /// The mean, in seconds; 0 where nothing is known.
    pub(crate) fn mean(&self, since_beginning: Duration) -> f64 {
        let mean = f64::from_bits(self.mean.load(Ordering::Relaxed));
        mean * (-self.age(since_beginning) / DECAY_SECONDS).exp()
    }

    /// The time in which 95 of 100 answers have begun; none while there were too few.
    pub(crate) fn p95(&self) -> Option<Duration> {
        let counts = self
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let total: u32 = counts.clone().sum();
        if total < SAMPLES_MIN {
            return None;
        }
        let mut above = total / 20;
        for (index, count) in counts.enumerate().rev() {
            match above.checked_sub(count) {
                Some(rest) => above = rest,
                None => return Some(upper_end(index)),
            }
        }
        None
    }

    fn age(&self, since_beginning: Duration) -> f64 {
        let at = f64::from_bits(self.at.load(Ordering::Relaxed));
        (since_beginning.as_secs_f64() - at).max(0.0)
    }

    fn count(&self, took: Duration) {
        if let Some(bucket) = self.buckets.get(bucket_of(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        if self.samples.fetch_add(1, Ordering::Relaxed) >= SAMPLES_MAX {
            self.samples.store(SAMPLES_MAX / 2, Ordering::Relaxed);
            for bucket in &self.buckets {
                bucket.store(bucket.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }
}

fn bucket_of(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let micros = micros.max(1 << LOWEST);
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    let index = u64::from(power - LOWEST) * 4 + quarter;
    usize::try_from(index)
        .unwrap_or(usize::MAX)
        .min(BUCKETS - 1)
}

fn upper_end(index: usize) -> Duration {
    let (doublings, quarter) = (index / 4, index % 4);
    let power = LOWEST + u32::try_from(doublings).unwrap_or_default();
    let quarters = 5 + u64::try_from(quarter).unwrap_or_default();
    Duration::from_micros(quarters << (power - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_peak_is_followed_at_once_and_sinks_with_time() {
        let latency = Latency::default();
        latency.note(seconds(0.0), seconds(0.1));
        latency.note(seconds(1.0), seconds(2.0));
        assert!((latency.mean(seconds(1.0)) - 2.0).abs() < 1e-9);
        let later = latency.mean(seconds(11.0));
        assert!((later - 2.0 / std::f64::consts::E).abs() < 1e-9, "{later}");
        latency.note(seconds(11.0), seconds(0.1));
        let mixed = latency.mean(seconds(11.0));
        assert!((0.1..0.81).contains(&mixed), "{mixed}");
    }

    #[test]
    fn the_percentile_is_at_most_a_quarter_too_high_and_needs_some_answers() {
        let latency = Latency::default();
        for millis in 1..=19 {
            latency.note(Duration::ZERO, Duration::from_millis(millis));
        }
        assert_eq!(latency.p95(), None);
        for millis in 20..=200 {
            latency.note(Duration::ZERO, Duration::from_millis(millis));
        }
        let p95 = latency.p95().unwrap();
        assert!(
            (Duration::from_millis(190)..Duration::from_millis(238)).contains(&p95),
            "{p95:?}"
        );
    }

    #[test]
    fn every_time_has_its_bucket() {
        for micros in [0, 255, 256, 300, 1_000, 999_999, 60_000_000] {
            let took = Duration::from_micros(micros);
            assert!(took < upper_end(bucket_of(took)), "{took:?}");
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }
}
