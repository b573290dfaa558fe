//! Counts what runs at once, so that there is never more than memory has room for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The count.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: Arc<AtomicUsize>,
}

/// A place in the count, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    count: Arc<AtomicUsize>,
}

impl InFlight {
    /// A place, if fewer than so many are taken. The limit comes with each call: it may change while we run.
    pub(crate) fn enter(&self, max: usize) -> Option<Place> {
        let before = self.count.fetch_add(1, Ordering::AcqRel);
        let place = Place {
            count: Arc::clone(&self.count),
        };
        // Refusing drops the place, which takes the step back.
        (before < max).then_some(place)
    }

    /// How many are taken.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_allowed_and_a_refusal_takes_no_place() {
        let in_flight = InFlight::default();
        let place = in_flight.enter(1);
        assert!(place.is_some());
        assert!(in_flight.enter(1).is_none());
        assert_eq!(in_flight.count(), 1);
        drop(place);
        assert!(in_flight.enter(1).is_some());
    }
}
