//! Notices that a quota or a budget was put, changed or removed: by notification at once, by a counter within a second.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use types::Id;
use types::id::Organization;

use super::Quota;
use crate::store::leases;

/// The channel of the trigger on `usage_quotas`; it says "epoch organization".
const CHANNEL: &str = "flowpilot_quotas";

/// How often the counter is looked at, and a broken connection made anew.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the counter may be waited for; notifications wait meanwhile.
const POLL_TIMEOUT: Duration = Duration::from_secs(2);

struct Follower {
    quota: Quota,
    listener: Option<PgListener>,
    /// The last change that was taken notice of.
    epoch: i64,
}

pub(super) async fn follow(quota: Quota, stop: CancellationToken) {
    let follower = Follower {
        quota,
        listener: None,
        epoch: 0,
    };
    stop.run_until_cancelled(Box::pin(follower.run())).await;
}

impl Follower {
    async fn run(mut self) {
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notification = receive(&mut self.listener) => match notification {
                    Some(payload) => self.notified(&payload),
                    None => self.listener = None,
                },
                _ = poll.tick() => {
                    self.listen().await;
                    self.poll().await;
                }
            }
        }
    }

    async fn listen(&mut self) {
        if self.listener.is_none() {
            let listening = self.quota.shared.database.listen(&[CHANNEL]);
            self.listener = timeout(POLL_INTERVAL, listening)
                .await
                .ok()
                .and_then(Result::ok);
        }
    }

    fn notified(&mut self, payload: &str) {
        let Some((epoch, organization)) = parse(payload) else {
            return self.doubt_all();
        };
        if epoch == self.epoch + 1 {
            self.epoch = epoch;
            self.doubt(organization);
        }
        // Anything else means that one was missed, or seen by the poll already; the poll settles it within a second.
    }

    async fn poll(&mut self) {
        // Where the database is away, what is known holds on.
        let asking = leases::epoch(&self.quota.shared.database);
        let Ok(Ok(epoch)) = timeout(POLL_TIMEOUT, asking).await else {
            return;
        };
        if epoch != self.epoch {
            self.epoch = epoch;
            self.doubt_all();
        }
    }

    fn doubt(&self, organization: Id<Organization>) {
        let shared = &self.quota.shared;
        if let Some(budgets) = shared.budgets.get(&organization) {
            budgets.doubt();
        }
        // Changes of limits are few; a look at every slot is cheaper than a list by organization kept for them.
        let slots = shared.slots.iter();
        let its = slots.filter(|slot| slot.organization == organization);
        its.for_each(|slot| slot.doubt());
    }

    fn doubt_all(&self) {
        let shared = &self.quota.shared;
        shared.budgets.iter().for_each(|budgets| budgets.doubt());
        shared.slots.iter().for_each(|slot| slot.doubt());
    }
}

/// The next notification; `None` when the connection broke. Without a listener it waits for ever.
async fn receive(listener: &mut Option<PgListener>) -> Option<String> {
    match listener {
        Some(listener) => {
            let notification = listener.try_recv().await.ok().flatten()?;
            Some(notification.payload().to_owned())
        }
        None => std::future::pending().await,
    }
}

fn parse(payload: &str) -> Option<(i64, Id<Organization>)> {
    let (epoch, organization) = payload.split_once(' ')?;
    Some((epoch.parse().ok()?, organization.parse().ok()?))
}
