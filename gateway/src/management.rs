//! The management API: every crate's operations under `/api/v1`, behind the same keys as the AI routes.

use std::sync::Arc;

use ::api::{Api, Authenticate, Refusal};
use arc_swap::ArcSwap;
use axum::Router;
use cache::api::Answers;
use cache::{Cache, Resources};
use config::Config;
use database::{Database, Options};
use embedding::Embedder;
use futures_util::future::BoxFuture;
use metering::PriceBook;
use metering::api::Finance;
use tenants::Tenants;
use tenants::keys::Keys;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::{Caller, Clock, SystemClock};

use crate::api::Prompting;
use crate::api::routes::Routing;
use crate::command;
use crate::pipeline::Settings;
use crate::template::Templates;

/// The router of all operations.
pub(crate) fn router(keys: &Keys, parts: Parts) -> Router {
    api(Arc::new(keys.clone()), parts).into_router()
}

/// What all operations work with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What the endpoints of finance work with.
    pub(crate) finance: Finance,
    /// Prompt templates.
    pub(crate) templates: Arc<Templates>,
    /// The providers and their prices.
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    /// The cache of this gateway.
    pub(crate) cache: Cache,
}

/// What the endpoints of finance work with.
pub(crate) fn finance(
    config: &Config,
    (database, clock): (Database, Arc<dyn Clock>),
    prices: Arc<ArcSwap<PriceBook>>,
) -> anyhow::Result<Finance> {
    Ok(Finance {
        database,
        operator_name: config.metering.operator_name.as_str().into(),
        clock,
        prices,
        close_grace: command::billing::grace(config)?,
        price_providers: Arc::new(command::billing::price_providers(config)),
    })
}

/// The document of all operations, without a database behind it.
pub(crate) fn openapi() -> anyhow::Result<String> {
    /// An address that is never connected to.
    const NOWHERE: &str = "postgres://nobody@localhost/nowhere";
    let database = Database::unconnected(&Options::new(NOWHERE.parse()?))?;
    let config = Arc::new(Config::from_toml("")?);
    let settings = Settings::new(&config, Arc::default(), None)?;
    let (templates, _) = Templates::new(config.templates.clone(), database.clone());
    let cache = unused_cache(database.clone());
    let surroundings = (database, Arc::new(SystemClock) as Arc<dyn Clock>);
    let parts = Parts {
        finance: finance(&config, surroundings, Arc::default())?,
        templates: Arc::new(templates),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        cache,
    };
    let api = api(Arc::new(Nobody), parts);
    Ok(api.openapi().to_pretty_json()?)
}

/// A cache that has stopped before it began.
fn unused_cache(database: Database) -> Cache {
    let resources = Resources {
        database,
        clock: Arc::new(SystemClock),
        embedder: Embedder::absent(),
    };
    let stopped = CancellationToken::new();
    stopped.cancel();
    let options = cache::Options::default();
    Cache::start(options, resources, &TaskTracker::new(), &stopped)
}

fn api(authenticate: Arc<dyn Authenticate>, parts: Parts) -> Api {
    let Parts {
        finance,
        templates,
        settings,
        cache,
    } = parts;
    let (database, clock) = (finance.database.clone(), Arc::clone(&finance.clock));
    let prompting = Prompting {
        database: database.clone(),
        clock: Arc::clone(&clock),
        templates,
    };
    let routing = Routing {
        database: database.clone(),
        clock: Arc::clone(&clock),
        settings,
    };
    let answers = Answers {
        cache,
        database: database.clone(),
        clock: Arc::clone(&clock),
    };
    let tenants = Tenants {
        database,
        clock: Arc::clone(&clock),
    };
    Api::new(authenticate, clock)
        .mount(tenants::api::operations(tenants))
        .mount(metering::api::operations(finance))
        .mount(cache::api::operations(answers))
        .mount(crate::api::operations(prompting))
        .mount(crate::api::routes::operations(routing))
}

/// Knows no caller: a document is no API.
#[derive(Debug)]
struct Nobody;

impl Authenticate for Nobody {
    fn authenticate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async { Err(Refusal::Unknown) })
    }
}
