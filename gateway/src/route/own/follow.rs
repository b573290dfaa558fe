//! Notices that a route changed: by notification at once, by a counter within a second; then all are read anew.

use std::time::Duration;

use database::Database;
use sqlx::postgres::PgListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{OwnRoutes, store};

/// The channel of the trigger on `gateway.routes`.
const CHANNEL: &str = "flowpilot_routing";

/// How often the counter is looked at, and a broken connection made anew.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long reading may take; notifications wait meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the routes in memory current.
pub(super) struct Follower {
    routes: OwnRoutes,
    database: Database,
    listener: Option<PgListener>,
    /// The last change that was taken notice of.
    epoch: i64,
}

impl Follower {
    pub(super) const fn new(routes: OwnRoutes, database: Database) -> Self {
        Self {
            routes,
            database,
            listener: None,
            epoch: 0,
        }
    }

    /// Follows the changes until told to stop.
    pub(super) async fn follow(self, stop: CancellationToken) {
        stop.run_until_cancelled(Box::pin(self.run())).await;
    }

    async fn run(mut self) {
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                is_notified = receive(&mut self.listener) => {
                    if !is_notified {
                        self.listener = None;
                    }
                }
                _ = poll.tick() => self.listen().await,
            }
            self.catch_up().await;
        }
    }

    async fn listen(&mut self) {
        if self.listener.is_none() {
            let listening = timeout(POLL_INTERVAL, self.database.listen(&[CHANNEL])).await;
            self.listener = listening.ok().and_then(Result::ok);
        }
    }

    async fn catch_up(&mut self) {
        match timeout(READ_TIMEOUT, self.read()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the organizations' routes could not be read; those that are known hold on"
            ),
            Err(_) => tracing::warn!("reading the organizations' routes took too long"),
        }
    }
}

impl Follower {
    /// Reads everything, if something changed.
    pub(super) async fn read(&mut self) -> Result<(), database::Error> {
        if let Some((epoch, rows)) = store::read_after(&self.database, self.epoch).await? {
            self.epoch = epoch;
            self.routes.replace(rows);
        }
        Ok(())
    }
}

/// Waits for a notification; `false` when the connection broke. Without a listener it waits for ever.
async fn receive(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => matches!(listener.try_recv().await, Ok(Some(_))),
        None => std::future::pending().await,
    }
}
