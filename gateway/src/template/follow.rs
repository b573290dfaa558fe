//! Notices that templates changed: by notification at once, by a counter within a second.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use types::Id;
use types::id::Organization;

use super::memory::Memory;
use super::store;

/// The channel of the trigger on `prompt_templates`; it says "epoch organization", or "epoch all".
const CHANNEL: &str = "flowpilot_templates";

/// How often the counter is looked at, and a broken connection made anew.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the counter may be waited for; notifications wait meanwhile.
const POLL_TIMEOUT: Duration = Duration::from_secs(2);

struct Follower {
    memory: Arc<Memory>,
    listener: Option<PgListener>,
    /// The last change that was taken notice of.
    epoch: i64,
}

/// Whose templates changed.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    One(Id<Organization>),
    All,
}

/// Follows the changes until told to stop.
pub(super) async fn follow(memory: Arc<Memory>, stop: CancellationToken) {
    let follower = Follower {
        memory,
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
            let listening = self.memory.database().listen(&[CHANNEL]);
            let listening = timeout(POLL_INTERVAL, listening).await;
            self.listener = listening.ok().and_then(Result::ok);
        }
    }

    fn notified(&mut self, payload: &str) {
        match parse(payload) {
            Some((_, Whose::All)) | None => self.memory.doubt_all(),
            Some((_, Whose::One(organization))) => self.memory.doubt(organization),
        }
        // A number that follows is seen; anything else means that one was missed, and the poll settles it.
        if let Some((epoch, _)) = parse(payload)
            && epoch == self.epoch + 1
        {
            self.epoch = epoch;
        }
    }

    async fn poll(&mut self) {
        // Where the database is away, what is known holds on.
        let asking = store::epoch(self.memory.database());
        let Ok(Ok(epoch)) = timeout(POLL_TIMEOUT, asking).await else {
            return;
        };
        if epoch != self.epoch {
            self.epoch = epoch;
            self.memory.doubt_all();
        }
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

fn parse(payload: &str) -> Option<(i64, Whose)> {
    let (epoch, whose) = payload.split_once(' ')?;
    let whose = match whose {
        "all" => Whose::All,
        organization => Whose::One(organization.parse().ok()?),
    };
    Some((epoch.parse().ok()?, whose))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_which_change_it_is_and_whose() {
        let uuid = "01993752-0000-7000-8000-000000000001";
        let expected = Whose::One(uuid.parse().unwrap());
        assert_eq!(parse(&format!("7 {uuid}")), Some((7, expected)));
        assert_eq!(parse("8 all"), Some((8, Whose::All)));
        assert_eq!(parse("8"), None);
        assert_eq!(parse("eight all"), None);
    }
}
