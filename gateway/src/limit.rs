//! How fast and how wide one key may go: requests per minute, and requests at once.
//!
//! Both are local to this process; the state of keys that have been quiet is forgotten by [`Limits::forget_idle`].

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use types::{Caller, Principal};

use crate::error::Error;

/// The limits, and what each key has used of them.
#[derive(Debug)]
pub(crate) struct Limits {
    rate: Option<DefaultKeyedRateLimiter<Principal>>,
    clock: DefaultClock,
    at_once_max: Option<NonZeroU32>,
    at_once: DashMap<Principal, Arc<AtomicU32>>,
}

/// A request that was let in; letting go of it makes room for another.
#[derive(Debug)]
#[must_use = "dropping it says that the request has ended"]
pub(crate) struct Admission {
    at_once: Option<Arc<AtomicU32>>,
}

impl Limits {
    /// The limits of a configuration.
    pub(crate) fn new(section: &config::section::Limits) -> Self {
        let rate = section.requests_per_minute_per_key.map(|per_minute| {
            let quota =
                Quota::per_minute(per_minute).allow_burst(section.burst.unwrap_or(per_minute));
            RateLimiter::keyed(quota)
        });
        Self {
            rate,
            clock: DefaultClock::default(),
            at_once_max: section.concurrent_requests_per_key_max,
            at_once: DashMap::new(),
        }
    }

    /// Lets a request in, or says when to come back.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<Admission, Error> {
        if let Some(rate) = &self.rate
            && let Err(not_until) = rate.check_key(&caller.principal)
        {
            return Err(Error::RateLimited {
                retry_after: not_until.wait_time_from(self.clock.now()),
            });
        }
        let Some(limit) = self.at_once_max else {
            return Ok(Admission { at_once: None });
        };
        let running = Arc::clone(&self.at_once.entry(caller.principal).or_default());
        let admission = Admission {
            at_once: Some(Arc::clone(&running)),
        };
        if running.fetch_add(1, Ordering::AcqRel) >= limit.get() {
            // Dropping the admission takes the step back.
            return Err(Error::TooManyAtOnce { limit: limit.get() });
        }
        Ok(admission)
    }

    /// Forgets the keys that are not in use, so that memory follows the keys of the last minutes.
    pub(crate) fn forget_idle(&self) {
        if let Some(rate) = &self.rate {
            rate.retain_recent();
        }
        self.at_once.retain(|_, running| {
            Arc::strong_count(running) > 1 || running.load(Ordering::Acquire) > 0
        });
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(running) = &self.at_once {
            running.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Clock as _, Id, Permissions, SystemClock};

    fn caller() -> Caller {
        let clock = SystemClock;
        assert!(clock.now().timestamp() > 0);
        Caller {
            organization: Id::new(&clock),
            principal: Principal::Key {
                id: Id::new(&clock),
                user: Id::new(&clock),
            },
            permissions: Permissions::all_of_a_tenant(),
            department: None,
        }
    }

    fn limits(per_minute: u32, at_once: u32) -> Limits {
        Limits::new(&config::section::Limits {
            requests_per_minute_per_key: NonZeroU32::new(per_minute),
            burst: None,
            concurrent_requests_per_key_max: NonZeroU32::new(at_once),
        })
    }

    #[test]
    fn a_key_over_its_rate_is_told_when_to_come_back_and_others_are_not_disturbed() {
        let limits = limits(2, 0);
        let (one, other) = (caller(), caller());
        assert!(limits.admit(&one).is_ok());
        assert!(limits.admit(&one).is_ok());
        let Err(Error::RateLimited { retry_after }) = limits.admit(&one) else {
            panic!("the third request was let in");
        };
        assert!(retry_after.as_secs() <= 30);
        assert!(limits.admit(&other).is_ok());
    }

    #[test]
    fn a_request_that_ends_makes_room_and_a_refused_one_takes_none() {
        let limits = limits(0, 1);
        let one = caller();
        let first = limits.admit(&one).unwrap();
        for _ in 0..3 {
            assert!(matches!(
                limits.admit(&one),
                Err(Error::TooManyAtOnce { limit: 1 })
            ));
        }
        drop(first);
        assert!(limits.admit(&one).is_ok());
        limits.forget_idle();
        assert!(limits.at_once.is_empty());
    }
}
