//! What a seed does: how much is asked, what goes wrong and when, and where each gateway kills itself. A function of the seed.
//!
//! Faults come after so many requests, not after so much time: a slow machine gets the same run.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// Gateways of a run.
pub const NODES: usize = 2;
/// Clients at once, each with one request at a time.
pub const CLIENTS: u64 = 8;
/// Requests of a seed.
const REQUESTS: RangeInclusive<u64> = 120..=220;
/// Requests before the first fault and after the last: some are answered in any case.
const QUIET: u64 = 20;
/// Faults of a seed, beside the fail points.
const FAULTS: RangeInclusive<usize> = 2..=5;
/// Starts of a gateway that may have a fail point; later ones have none, so that every seed ends.
const LIVES: usize = 4;
/// How many of them have one, of a hundred.
const ARMED_PERCENT: f64 = 0.7;

/// Where a gateway can kill itself, and the latest passing at which it does: about as often as a seed passes there.
const POINTS: [(&str, u64); 15] = [
    ("exchange.intended", 50),
    ("exchange.intended_again", 8),
    ("exchange.dispatched", 50),
    ("exchange.streaming", 250),
    ("exchange.settling", 40),
    ("exchange.settled", 40),
    ("journal.appended", 100),
    ("journal.written", 90),
    ("journal.synced", 50),
    ("journal.rotated", 4),
    ("lease.taking", 12),
    ("shipper.posting", 15),
    ("shipper.posted", 15),
    ("shipper.marked", 15),
    ("recovery.settling", 3),
];

/// The run of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Requests that the clients send.
    pub requests: u64,
    /// In the order in which they come.
    pub faults: Vec<Timed>,
    /// For each gateway the fail points of its starts, one after the other.
    pub lives: [Vec<String>; NODES],
}

/// A fault with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// Requests sent before it.
    pub after: u64,
    /// What happens.
    pub fault: Fault,
}

/// What can go wrong, beside what the provider and the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A gateway is killed.
    Kill(usize),
    /// PostgreSQL is stopped, and started after a pause.
    StopPostgres(Duration),
    /// PostgreSQL is killed.
    KillPostgres,
    /// A gateway's journal has no room for so long.
    FillDisk(usize, Duration),
    /// A gateway's journal cannot be synced; the gateway is killed after so long, as an operator would restart it.
    BreakDisk(usize, Duration),
    /// A gateway takes over a changed configuration.
    Reload(usize),
    /// A gateway is given a configuration that it must refuse.
    ReloadNonsense(usize),
}

impl Plan {
    /// The run of this seed.
    pub fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let requests = random.random_range(REQUESTS);
        let count = random.random_range(FAULTS);
        let mut faults: Vec<_> = (0..count)
            .map(|_| Timed {
                after: random.random_range(QUIET..requests - QUIET),
                fault: Fault::draw(&mut random),
            })
            .collect();
        faults.sort_by_key(|timed| timed.after);
        Self {
            seed,
            requests,
            faults,
            lives: std::array::from_fn(|_| lives(&mut random)),
        }
    }

    /// Randomness of a client's own.
    pub fn client(&self, number: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(CLIENTS + 1) ^ !number)
    }
}

impl Fault {
    fn draw(random: &mut StdRng) -> Self {
        let node = random.random_range(0..NODES);
        let mut millis =
            |range: RangeInclusive<u64>| Duration::from_millis(random.random_range(range));
        let (short, long) = (millis(20..=300), millis(50..=800));
        match random.random_range(0..12) {
            0..=2 => Self::Kill(node),
            3..=4 => Self::StopPostgres(long),
            5..=6 => Self::KillPostgres,
            7..=8 => Self::FillDisk(node, long),
            9 => Self::BreakDisk(node, short),
            10 => Self::Reload(node),
            _ => Self::ReloadNonsense(node),
        }
    }
}

fn lives(random: &mut StdRng) -> Vec<String> {
    let lives = (0..LIVES).map(|_| {
        let is_armed = random.random_bool(ARMED_PERCENT);
        let (name, latest) = POINTS.choose(random).copied().unwrap_or(POINTS[0]);
        let passing = random.random_range(1..=latest);
        if is_armed {
            format!("{name}@{passing}")
        } else {
            String::new()
        }
    });
    lives.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_run_each_time_and_another_seed_another_one() {
        assert_eq!(Plan::of(7), Plan::of(7));
        assert_ne!(Plan::of(7), Plan::of(8));
    }

    #[test]
    fn every_fault_and_every_point_comes_up_within_the_seeds_of_a_long_run() {
        let plans: Vec<_> = (0..200).map(Plan::of).collect();
        let all = format!("{plans:?}");
        for (point, _) in POINTS {
            assert!(all.contains(point), "{point}");
        }
        for fault in [
            "Kill(",
            "StopPostgres",
            "KillPostgres",
            "FillDisk",
            "BreakDisk",
            "Reload(",
            "ReloadNonsense",
        ] {
            assert!(all.contains(fault), "{fault}");
        }
    }
}
