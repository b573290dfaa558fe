//! What a run has found.

use std::collections::BTreeMap;

use serde::Serialize;

/// One run's line of JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) delta: f64,
    pub(super) requests: u64,
    pub(super) hits: u64,
    pub(super) hit_rate: f64,
    pub(super) wrong: u64,
    pub(super) wrong_per_hit: f64,
    pub(super) wrong_per_hit_upper95: f64,
    pub(super) wrong_per_request: f64,
    /// Hits by the way they were found.
    pub(super) tiers: BTreeMap<&'static str, u64>,
    pub(super) audits: u64,
    /// The area under the curve of precision over hit ratio, as the cut moves over the would-be hits.
    pub(super) precision_hit_ratio_area: f64,
    pub(super) kinds: BTreeMap<String, KindCount>,
}

/// Pairs of one kind.
#[derive(Debug, Default, Serialize)]
pub(super) struct KindCount {
    pub(super) label: u8,
    pub(super) pairs: u64,
    pub(super) served: u64,
    pub(super) served_share: f64,
}

/// Counted while it runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) hits: u64,
    pub(super) wrong: u64,
    pub(super) audits: u64,
    pub(super) tiers: BTreeMap<&'static str, u64>,
    pub(super) kinds: BTreeMap<String, KindCount>,
    /// Would-be hits: their scores, and whether they were right.
    pub(super) scored: Vec<(f32, bool)>,
}

impl Tally {
    pub(super) fn hit(&mut self, tier: cache::Tier, right: bool) {
        let (name, score) = match tier {
            cache::Tier::Exact => ("exact", f32::MAX),
            cache::Tier::Normalized => ("normalized", f32::MAX),
            cache::Tier::Semantic { score } => ("semantic", score),
        };
        self.hits += 1;
        self.wrong += u64::from(!right);
        *self.tiers.entry(name).or_default() += 1;
        self.scored.push((score, right));
    }

    pub(super) fn report(mut self, seed: u64, delta: f64) -> Report {
        for kind in self.kinds.values_mut() {
            kind.served_share = share(kind.served, kind.pairs);
        }
        Report {
            seed,
            delta,
            requests: self.requests,
            hits: self.hits,
            hit_rate: share(self.hits, self.requests),
            wrong: self.wrong,
            wrong_per_hit: share(self.wrong, self.hits),
            wrong_per_hit_upper95: cache::upper_bound(self.wrong, self.hits, 0.05),
            wrong_per_request: share(self.wrong, self.requests),
            precision_hit_ratio_area: area(&mut self.scored, self.requests),
            tiers: self.tiers,
            audits: self.audits,
            kinds: self.kinds,
        }
    }
}

fn area(scored: &mut [(f32, bool)], requests: u64) -> f64 {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut sum) = (0_u64, 0.0);
    for (count, (_, is_right)) in (1_u64..).zip(scored.iter()) {
        right += u64::from(*is_right);
        sum += share(right, count);
    }
    sum / float(requests.max(1))
}

pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        float(part) / float(whole)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below what a float holds exactly"
)]
const fn float(count: u64) -> f64 {
    count as f64
}
