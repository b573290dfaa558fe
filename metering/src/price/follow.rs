//! Keeps the one price book current: writes the list's prices into the table, and reads the operator's out of it.
//!
//! A change is heard of by notification at once, and by a counter within a second where that was missed. While the database is
//! away, the prices that are known hold on.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::PriceList;
use database::Database;
use parking_lot::Mutex;
use sqlx::postgres::PgListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::book::TablePrice;
use super::{Price, PriceBook};
use crate::store::prices as store;

/// The channel of the trigger on `metering.prices`.
const CHANNEL: &str = "flowpilot_prices";

/// How often the counter is looked at, and a broken connection made anew.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the database may be waited for at the start, and at each look; what is known serves meanwhile.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The prices of this process; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Prices {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What everybody looks up.
    book: Arc<ArcSwap<PriceBook>>,
    /// What it is made of; locked while it is made anew.
    parts: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    list: PriceList,
    table: Vec<TablePrice>,
    /// How often the list was replaced.
    lists: u64,
}

struct Follower {
    prices: Prices,
    database: Database,
    listener: Option<PgListener>,
    /// The last change of the table that was read; none: it was not read yet.
    epoch: Option<i64>,
    /// The list that stands in the table, by its number.
    kept: Option<u64>,
}

impl Prices {
    /// The prices of a list, before the table is known.
    pub(crate) fn new(list: PriceList) -> Self {
        let book = PriceBook::new(&list);
        Self {
            shared: Arc::new(Shared {
                book: Arc::new(ArcSwap::from_pointee(book)),
                parts: Mutex::new(Parts {
                    list,
                    table: Vec::new(),
                    lists: 0,
                }),
            }),
        }
    }

    /// The book, which is replaced whenever a price changes.
    pub(crate) fn book(&self) -> &Arc<ArcSwap<PriceBook>> {
        &self.shared.book
    }

    /// Takes a new list.
    pub(crate) fn set_list(&self, list: PriceList) {
        let mut parts = self.shared.parts.lock();
        parts.list = list;
        parts.lists += 1;
        self.shared.rebuild(&parts);
    }

    fn set_table(&self, table: Vec<TablePrice>) {
        let mut parts = self.shared.parts.lock();
        parts.table = table;
        self.shared.rebuild(&parts);
    }

    /// Every price of the list, and which list that is.
    fn listed(&self) -> (u64, Vec<Price>) {
        let parts = self.shared.parts.lock();
        let prices = parts
            .list
            .iter()
            .map(|listed| Price::of(Arc::clone(listed)));
        (parts.lists, prices.collect())
    }
}

impl Shared {
    fn rebuild(&self, parts: &Parts) {
        let book = PriceBook::with_table(&parts.list, &parts.table);
        self.book.store(Arc::new(book));
    }
}

impl PriceBook {
    /// The book of a list and of what the table says now, for work that is done once.
    pub async fn read(database: &Database, list: &PriceList) -> Result<Self, database::Error> {
        let table = store::table(database).await?;
        Ok(Self::with_table(list, &table))
    }
}

/// Reads the table once, as far as the database answers in time, and from then on follows it until told to stop.
pub(crate) async fn start(
    prices: Prices,
    database: Database,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let mut follower = Follower {
        prices,
        database,
        listener: None,
        epoch: None,
        kept: None,
    };
    follower.look().await;
    if follower.epoch.is_none() {
        tracing::warn!(
            "the operator's prices could not be read; the price list serves until they can"
        );
    }
    async move {
        stop.run_until_cancelled(Box::pin(follower.run())).await;
    }
}

impl Follower {
    async fn run(mut self) {
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = receive(&mut self.listener) => if heard {
                    self.look().await;
                } else {
                    self.listener = None;
                },
                _ = poll.tick() => {
                    self.listen().await;
                    self.look().await;
                }
            }
        }
    }

    async fn listen(&mut self) {
        if self.listener.is_none() {
            let listening = self.database.listen(&[CHANNEL]);
            let listener = timeout(TIMEOUT, listening).await;
            self.listener = listener.ok().and_then(Result::ok);
        }
    }

    /// Keeps the list and reads the table, each where it is not done yet.
    async fn look(&mut self) {
        let looked = timeout(TIMEOUT, self.follow()).await;
        if let Ok(Err(error)) = looked {
            // Away or slow is the rule while PostgreSQL restarts; anything else stays until somebody mends it.
            let transient = error.is_transient();
            let error = &error as &dyn std::error::Error;
            if transient {
                tracing::debug!(error, "prices could not be followed");
            } else {
                tracing::error!(
                    error,
                    "prices cannot be followed; those that are known hold on"
                );
            }
        }
    }

    async fn follow(&mut self) -> Result<(), database::Error> {
        let (number, listed) = self.prices.listed();
        if self.kept != Some(number) {
            store::keep_list(&self.database, &listed).await?;
            self.kept = Some(number);
        }
        let epoch = store::epoch(&self.database).await?;
        if self.epoch != Some(epoch) {
            let table = store::table(&self.database).await?;
            self.prices.set_table(table);
            self.epoch = Some(epoch);
        }
        Ok(())
    }
}

/// Whether something was announced; false when the connection broke. Without a listener it waits for ever.
async fn receive(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => listener.try_recv().await.ok().flatten().is_some(),
        None => std::future::pending().await,
    }
}
