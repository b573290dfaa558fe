//! The cut that keeps the promise: at most `delta` wrong answers per hit, with 95 % confidence.
//!
//! Labels come from *audits*, would-be hits that were sent to the provider all the same, and from misses whose fresh answer
//! could be compared; the latter lie below the cut and are wrong more often, so that counting them as they are errs on
//! the safe side. The bound is Clopper and Pearson's (1934), for the lowest of a fixed list of cuts, each of which
//! gets its share of the 5 % (Bonferroni). It holds for traffic like the labels': what is older than the
//! window is forgotten, so that a drift is noticed after a part of it.
//!
//! When the audits themselves say, with the same confidence, that more than `delta` is wrong, the tier closes for this
//! scope until fresh labels speak for it again.

use std::collections::VecDeque;

use super::gate::prior_cut;

/// Labels that are remembered. Older ones may be about traffic that is gone.
const LABELS_MAX: usize = 4000;

/// Audits that a breach is judged by.
const AUDITS_MAX: usize = 400;

/// Labels needed to open again after a breach.
const REOPENING_LABELS: usize = 150;

/// How sure the bounds are to be wrong, at most.
const ALPHA: f64 = 0.05;

/// The cuts that are tried.
const CUTS: [f32; 16] = [
    1.5, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.25, 4.5, 5.0, 5.5, 6.0, 7.0,
];

/// The share of would-be hits that is audited at first, and the share that it decays to.
const AUDIT_SHARE_FIRST: f64 = 0.05;
const AUDIT_SHARE_LAST: f64 = 0.02;

/// Audits by which the share has decayed half-way.
const AUDIT_SHARE_HALVES_AT: f64 = 100.0;

/// What is known of one scope.
#[derive(Debug, Default)]
pub(crate) struct Calibration {
    labels: VecDeque<Label>,
    audits: VecDeque<bool>,
    audited: u64,
    wrong: u64,
    closed: bool,
    cut: Option<f32>,
    stale: usize,
}

/// A would-be hit whose answer was checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Label {
    pub(crate) score: f32,
    pub(crate) right: bool,
    /// Whether it would have been served.
    pub(crate) audit: bool,
}

/// What the audits say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Realised {
    /// Audits so far.
    pub audits: u64,
    /// Of them, wrong ones.
    pub wrong: u64,
    /// The bounds of the share that is wrong, at 95 % each.
    pub lower95: f64,
    /// The upper one.
    pub upper95: f64,
    /// The cut that labels have earned, if they have.
    pub calibrated_cut: Option<f32>,
    /// Whether the tier has closed itself.
    pub closed: bool,
}

impl Calibration {
    /// Notes a label; returns whether the tier has just closed itself.
    pub(crate) fn add(&mut self, label: Label, delta: f64) -> bool {
        push(&mut self.labels, label, LABELS_MAX);
        if label.audit {
            self.audited += 1;
            self.wrong += u64::from(!label.right);
            push(&mut self.audits, label.right, AUDITS_MAX);
        }
        self.stale += 1;
        // The bounds take longer than a label does, and change little with each.
        if self.stale > self.labels.len() / 50 {
            self.stale = 0;
            self.cut = calibrated(&self.labels, delta);
        }
        if self.closed {
            self.reopen(delta);
            return false;
        }
        self.closed = label.audit && is_breached(&self.audits, delta);
        if self.closed {
            self.labels.clear();
            self.audits.clear();
            self.cut = None;
        }
        self.closed
    }

    /// The score from which on answers are given; `None`: none are.
    pub(crate) fn cut(&self, delta: f64, proven_only: bool) -> Option<f32> {
        if self.closed {
            return None;
        }
        match self.cut {
            Some(cut) => Some(cut),
            None if proven_only => None,
            None => Some(prior_cut(delta)),
        }
    }

    /// The share of would-be hits that goes to the provider all the same.
    pub(crate) fn audit_share(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share is no more exact than this"
        )]
        let halves = self.audited as f64 / AUDIT_SHARE_HALVES_AT;
        AUDIT_SHARE_LAST + (AUDIT_SHARE_FIRST - AUDIT_SHARE_LAST) * 0.5_f64.powf(halves)
    }

    pub(crate) fn realised(&self) -> Realised {
        Realised {
            audits: self.audited,
            wrong: self.wrong,
            lower95: lower_bound(self.wrong, self.audited, ALPHA),
            upper95: upper_bound(self.wrong, self.audited, ALPHA),
            calibrated_cut: self.cut,
            closed: self.closed,
        }
    }

    fn reopen(&mut self, delta: f64) {
        let cut = prior_cut(delta);
        let likely = self.labels.iter().rev().filter(|label| label.score >= cut);
        let likely: Vec<&Label> = likely.take(REOPENING_LABELS).collect();
        let wrong = likely.iter().filter(|label| !label.right).count();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
        let share = wrong as f64 / likely.len().max(1) as f64;
        if likely.len() >= REOPENING_LABELS && share <= delta {
            self.closed = false;
            // What was found before must not close it again.
            self.audits.clear();
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn is_breached(audits: &VecDeque<bool>, delta: f64) -> bool {
    let wrong = audits.iter().filter(|right| !**right).count() as u64;
    lower_bound(wrong, audits.len() as u64, ALPHA) > delta
}

/// The lowest cut that is safe.
fn calibrated(labels: &VecDeque<Label>, delta: f64) -> Option<f32> {
    #[expect(clippy::cast_precision_loss, reason = "a short list")]
    let alpha = ALPHA / CUTS.len() as f64;
    CUTS.into_iter().find(|cut| {
        let above = labels.iter().filter(|label| label.score >= *cut);
        let (mut count, mut wrong) = (0, 0);
        for label in above {
            count += 1;
            wrong += u64::from(!label.right);
        }
        upper_bound(wrong, count, alpha) <= delta
    })
}

/// Clopper and Pearson's upper bound of a share, of which `wrong` in `count` were seen.
pub fn upper_bound(wrong: u64, count: u64, alpha: f64) -> f64 {
    if wrong >= count {
        return 1.0;
    }
    bisect(|share| at_most(wrong, count, share) > alpha)
}

/// Clopper and Pearson's lower bound.
pub fn lower_bound(wrong: u64, count: u64, alpha: f64) -> f64 {
    match wrong.checked_sub(1) {
        None => 0.0,
        Some(fewer) => bisect(|share| 1.0 - at_most(fewer, count, share) < alpha),
    }
}

/// The share up to which a condition holds.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The chance of seeing at most `wrong` in `count` when the share is `share`.
fn at_most(wrong: u64, count: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return 1.0;
    }
    if share >= 1.0 {
        return 0.0;
    }
    let (mut log, mut total) = (float(count) * (-share).ln_1p(), 0.0);
    let odds = share.ln() - (-share).ln_1p();
    for seen in 0..=wrong {
        total += log.exp();
        log += (float(count - seen) / float(seen + 1)).ln() + odds;
    }
    total.min(1.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below what a float holds exactly"
)]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_tables() {
        // 95 % bounds: nothing wrong in 299 is 1 %; the other values are the beta quantiles.
        assert!((upper_bound(0, 299, 0.05) - 0.009_969).abs() < 1e-5);
        assert!((upper_bound(1, 473, 0.05) - 0.009_99).abs() < 1e-4);
        assert!((lower_bound(3, 30, 0.05) - 0.027_8).abs() < 5e-4);
        assert!((upper_bound(0, 0, 0.05) - 1.0).abs() < 1e-9);
        assert!(lower_bound(0, 10, 0.05).abs() < 1e-9);
    }

    fn audit(score: f32, right: bool) -> Label {
        Label {
            score,
            right,
            audit: true,
        }
    }

    #[test]
    fn the_cut_moves_down_only_when_labels_suffice() {
        let mut calibration = Calibration::default();
        let prior = calibration.cut(0.01, false);
        assert_eq!(prior, Some(prior_cut(0.01)));
        assert_eq!(calibration.cut(0.01, true), None);
        for _ in 0..700 {
            calibration.add(audit(6.5, true), 0.01);
            calibration.add(
                Label {
                    score: 1.0,
                    right: false,
                    audit: false,
                },
                0.01,
            );
        }
        assert_eq!(calibration.cut(0.01, true), Some(1.5));
        for number in 0..700 {
            let right = number % 20 != 0;
            calibration.add(
                Label {
                    score: 3.1,
                    right,
                    audit: false,
                },
                0.01,
            );
        }
        assert_eq!(calibration.cut(0.01, true), Some(3.25));
    }

    #[test]
    fn a_breach_closes_and_fresh_labels_open_again() {
        let mut calibration = Calibration::default();
        let closed: Vec<_> = (0..30)
            .filter(|n| calibration.add(audit(5.0, n % 4 != 0), 0.01))
            .collect();
        assert_eq!(closed.len(), 1);
        assert_eq!(calibration.cut(0.01, false), None);
        for _ in 0..REOPENING_LABELS {
            calibration.add(audit(5.0, true), 0.01);
        }
        assert!(calibration.cut(0.01, false).is_some());
    }

    #[test]
    fn the_audited_share_decays_and_never_ends() {
        let mut calibration = Calibration::default();
        assert!((calibration.audit_share() - AUDIT_SHARE_FIRST).abs() < 1e-9);
        for _ in 0..2000 {
            calibration.add(audit(5.0, true), 0.01);
        }
        assert!((calibration.audit_share() - AUDIT_SHARE_LAST).abs() < 1e-4);
    }
}
