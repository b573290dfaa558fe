//! Starts everything in its order and stops it in reverse; the only file that names every part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use axum::Router;
use cache::Cache;
use chrono::{DateTime, Utc};
use config::{Config, Live};
use database::Database;
use metering::Metering;
use metering::idempotency::{self, Calls};
use tenants::keys::Keys;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::{Clock, SystemClock};

use crate::auth::Auth;
use crate::edge::listener::Listener;
use crate::edge::workers::{Serving, Workers};
use crate::edge::{self, listener};
use crate::embedder;
use crate::in_flight::InFlight;
use crate::pipeline::{Pipeline, Settings};
use crate::signal::Stop;
use crate::state::State;
use crate::telemetry::Telemetry;
use crate::template::Templates;
use crate::{banner, first_start, management, reload, upkeep};

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The path of AI requests.
    pub(crate) pipeline: Arc<Pipeline>,
    /// Knows callers.
    pub(crate) auth: Auth,
    /// The management API.
    pub(crate) management: Router,
    /// The runtime of everything but the workers.
    pub(crate) main: Handle,
    /// Requests being answered.
    pub(crate) in_flight: InFlight,
    /// Metrics.
    pub(crate) telemetry: Telemetry,
    /// Cancelled when no more requests should be sent here.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the listener is to close.
    pub(crate) stop: CancellationToken,
    /// When the process started.
    pub(crate) started_at: DateTime<Utc>,
}

/// The running parts, in the order in which they are stopped.
struct App {
    shared: Arc<Shared>,
    /// Exchanges with providers.
    exchanges: TaskTracker,
    /// Followers, writers, sweepers.
    background: TaskTracker,
    stop_background: CancellationToken,
    metering: Metering,
    state: State,
    /// The threads that serve connections.
    workers: Arc<Workers>,
}

/// How long followers and sweepers may take to notice that they are to end; a query under way is cut.
const BACKGROUND_END_MAX: Duration = Duration::from_secs(5);

/// Serves until told to stop, then finishes what runs.
pub(crate) async fn serve(live: Live, telemetry: Telemetry) -> anyhow::Result<()> {
    let config = live.current();
    let listener = Listener::bind(&config.server).await?;
    let address = listener.address()?;
    let state = State::open(&config).await?;
    let demo_key = first_start::prepare(&config, &state).await?;
    let app = App::start(&config, state, telemetry).await?;
    edge::metrics::listen(
        &config.server,
        &app.shared,
        &app.background,
        &app.stop_background,
    )
    .await?;
    reload::follow(live, &app.shared, &app.background, &app.stop_background)?;

    // Until here a signal ends the process at once: there is nothing to finish.
    let mut signals = Stop::listen()?;
    banner::print(address, &config, demo_key.as_deref());
    let serving = listener.serve(Arc::clone(&app.workers), app.shared.stop.clone());
    let serving = app.background.spawn(serving);
    signals.next().await;
    app.announce(&config, &mut signals).await;
    let deadline = Instant::now() + config.server.drain_grace;
    let finish = async {
        let _ = serving.await;
        app.stop(deadline).await;
    };
    tokio::select! {
        () = finish => {}
        () = signals.next() => tracing::warn!("a second signal: stopping at once; the journal settles the rest at the next start"),
    }
    Ok(())
}

/// Starts what is metered by.
async fn metering(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    tasks: &TaskTracker,
) -> anyhow::Result<Metering> {
    let options = metering::Options {
        metering: config.metering.clone(),
        quota: config.quota.clone(),
        prices: config.prices.clone(),
    };
    let started = Metering::start(options, database.clone(), Arc::clone(clock), tasks.clone());
    Ok(started.await?)
}

/// The settings of a configuration, with what organizations say of their routes already read.
async fn settings(
    config: &Arc<Config>,
    metering: &Metering,
    database: &Database,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<Arc<ArcSwap<Settings>>> {
    let settings = Settings::new(config, metering.price_book(), None)?;
    let own = settings.routes.own();
    let started = own.start(database.clone(), tasks, stop.clone()).await;
    started.context("the organizations' routes cannot be read")?;
    Ok(Arc::new(ArcSwap::from_pointee(settings)))
}

/// The threads that serve connections.
fn workers(
    config: &Config,
    shared: &Arc<Shared>,
    connections: &TaskTracker,
) -> anyhow::Result<Workers> {
    Workers::start(&Serving {
        shared: Arc::clone(shared),
        builder: Arc::new(listener::builder(&config.server)),
        connections: connections.clone(),
        first_byte_max: config.server.header_read_timeout,
    })
}

/// Starts what answers again, with the embedder that it needs.
fn cache(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    (tasks, stop): (&TaskTracker, &CancellationToken),
) -> Cache {
    let resources = cache::Resources {
        database: database.clone(),
        clock: Arc::clone(clock),
        embedder: embedder::start(config),
    };
    Cache::start((&config.cache).into(), resources, tasks, stop)
}

impl App {
    async fn start(
        config: &Arc<Config>,
        state: State,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (exchanges, background) = (TaskTracker::new(), TaskTracker::new());
        let stop_background = CancellationToken::new();
        let database = state.database.clone();
        let metering = metering(config, &database, &clock, &background).await?;
        let keys = Keys::start(
            &config.auth,
            database.clone(),
            Arc::clone(&clock),
            &background,
            stop_background.clone(),
        );
        let keys = keys.await.context("the keys cannot be read")?;
        let cache = cache(config, &database, &clock, (&background, &stop_background));
        let settings =
            settings(config, &metering, &database, &background, &stop_background).await?;
        let templates = Templates::start(config, &database, &background, &stop_background);
        let pipeline = Pipeline {
            templates: Arc::clone(&templates),
            settings: Arc::clone(&settings),
            cache,
            metering: metering.clone(),
            calls: Calls::new(database.clone()),
            tasks: exchanges.clone(),
            clock: Arc::clone(&clock),
            drains: Arc::default(),
        };
        let within = (database, Arc::clone(&clock));
        let finance = management::finance(config, within, metering.price_book())?;
        if config.metering.auto_close {
            upkeep::close_months(finance.clone(), &background, &stop_background);
        }
        let parts = management::Parts {
            finance,
            templates,
            settings,
            cache: pipeline.cache.clone(),
        };
        let shared = Arc::new(Shared {
            management: management::router(&keys, parts),
            auth: Auth::new(Arc::new(keys)),
            main: Handle::current(),
            in_flight: InFlight::default(),
            started_at: clock.now(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            pipeline: Arc::new(pipeline),
            telemetry,
        });
        sweep_answers(&state.database, &background, &stop_background);
        upkeep::start(&shared, &state.database, &background, &stop_background);
        let workers = workers(config, &shared, &exchanges)?;
        Ok(Self {
            workers: Arc::new(workers),
            shared,
            exchanges,
            background,
            stop_background,
            metering,
            state,
        })
    }

    /// Says that no more requests should come, and gives those who send them time to hear it.
    async fn announce(&self, config: &Config, signals: &mut Stop) {
        tracing::info!("stopping: finishing what runs");
        self.shared.draining.cancel();
        tokio::select! {
            () = tokio::time::sleep(config.server.drain_announce) => {}
            () = signals.next() => {}
        }
        self.shared.stop.cancel();
    }

    /// Stops the parts in the order in which they feed each other; the ledger last.
    async fn stop(self, deadline: Instant) {
        self.exchanges.close();
        let finished = tokio::time::timeout_at(deadline, self.exchanges.wait()).await;
        if finished.is_err() {
            tracing::warn!(
                "requests are still running after the grace period; the journal settles them at the next start"
            );
        }
        self.shared.pipeline.cache.stop().await;
        self.metering.stop().await;
        self.stop_background.cancel();
        self.background.close();
        let _ = tokio::time::timeout(BACKGROUND_END_MAX, self.background.wait()).await;
        self.state.close().await;
        // Last of all: connections to the database may have been opened on their runtimes.
        if let Some(workers) = Arc::into_inner(self.workers) {
            workers.end();
        }
    }
}

/// Deletes the answers that were kept for requests sent again, when their time is over.
fn sweep_answers(database: &Database, background: &TaskTracker, stop: &CancellationToken) {
    background.spawn(api::idempotency::sweep_always(
        database.clone(),
        stop.clone(),
    ));
    background.spawn(idempotency::sweep_always(database.clone(), stop.clone()));
}
