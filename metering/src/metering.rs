//! The crate's parts, started in their order and stopped in the reverse one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use config::PriceList;
use database::Database;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Clock;

use crate::journal::{Journal, OpenError};
use crate::options::Options;
use crate::price::{self, PriceBook, Prices};
use crate::quota::{self, Quota};
use crate::shipper;
use crate::store::leases;

/// Quotas, prices and the journal of one gateway; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metering {
    journal: Journal,
    quota: Quota,
    shipper: shipper::Handle,
    prices: Prices,
    stop_prices: CancellationToken,
    database: Database,
    tasks: TaskTracker,
}

/// Why metering does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Without a journal nothing may be billed, and so nothing served.
    #[error("the journal cannot be opened")]
    Journal(#[from] OpenError),
    /// The thread that opened it ended before its time.
    #[error("opening the journal was broken off")]
    BrokenOff(#[source] tokio::task::JoinError),
}

impl Metering {
    /// Opens the journal, settling what an earlier life left open, and begins to ship it.
    ///
    /// The metrics' recorder has to be installed before. The database need not answer yet; until it does, the price list
    /// serves without the operator's own prices.
    pub async fn start(
        options: Options,
        database: Database,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Result<Self, StartError> {
        let journal = {
            let (options, clock) = (options.journal(), Arc::clone(&clock));
            let opening = tasks.spawn_blocking(move || Journal::open(&options, clock));
            opening.await.map_err(StartError::BrokenOff)??
        };
        let surroundings = quota::Surroundings {
            database: database.clone(),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            node: journal.node(),
        };
        let quota = Quota::start(options.quota(), surroundings);
        let (prices, stop_prices) = (
            Prices::new(options.prices.clone()),
            CancellationToken::new(),
        );
        let following =
            price::follow::start(prices.clone(), database.clone(), stop_prices.clone()).await;
        tasks.spawn(following);
        let surroundings = shipper::Surroundings {
            journal: journal.clone(),
            database: database.clone(),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            prices: Arc::clone(prices.book()),
            life: quota.life(),
        };
        let shipper = shipper::start(options.shipper(), surroundings);
        Ok(Self {
            journal,
            quota,
            shipper,
            prices,
            stop_prices,
            database,
            tasks,
        })
    }

    /// Stops, after the last request has been settled: closes the journal, ships what it holds, and gives all leases back.
    ///
    /// Where the database is away, what is not shipped stays in the journal, and the leases with it, for the next start.
    pub async fn stop(&self) {
        let journal = self.journal.clone();
        let closing = self.tasks.spawn_blocking(move || journal.close());
        if let Err(error) = closing.await {
            tracing::error!(%error, "the journal was not closed in order");
        }
        self.stop_prices.cancel();
        self.quota.stop().await;
        let shipped = self.shipper.stop().await;
        if !shipped {
            return;
        }
        let closed = leases::close_all(&self.database, self.journal.node(), "closed").await;
        if let Err(error) = closed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the node's leases could not be closed; the next start does it"
            );
        }
    }

    /// The prices of this moment.
    pub fn prices(&self) -> Arc<PriceBook> {
        self.prices.book().load_full()
    }

    /// The prices as they change: the one source of them for whoever prices again and again.
    pub fn price_book(&self) -> Arc<ArcSwap<PriceBook>> {
        Arc::clone(self.prices.book())
    }

    /// Takes a new price list; requests under way keep the price they began with.
    pub fn set_prices(&self, list: PriceList) {
        self.prices.set_list(list);
    }

    /// The quotas.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The journal.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }
}
