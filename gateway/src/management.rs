//! The management API: every crate's operations under `/api/v1`, behind the same keys as the AI routes.

use std::sync::Arc;

use api::{Api, Authenticate, Refusal};
use axum::Router;
use config::Config;
use database::{Database, Options};
use futures_util::future::BoxFuture;
use metering::api::Finance;
use tenants::Tenants;
use tenants::keys::Keys;
use types::{Caller, Clock, SystemClock};

/// The router of all operations.
pub(crate) fn router(
    keys: &Keys,
    database: Database,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Router {
    let operator_name = &config.metering.operator_name;
    let authenticate = Arc::new(keys.clone());
    api(authenticate, database, operator_name, Arc::clone(clock)).into_router()
}

/// The document of all operations, without a database behind it.
pub(crate) fn openapi() -> anyhow::Result<String> {
    /// An address that is never connected to.
    const NOWHERE: &str = "postgres://nobody@localhost/nowhere";
    let database = Database::unconnected(&Options::new(NOWHERE.parse()?))?;
    let api = api(Arc::new(Nobody), database, "", Arc::new(SystemClock));
    Ok(api.openapi().to_pretty_json()?)
}

fn api(
    authenticate: Arc<dyn Authenticate>,
    database: Database,
    operator_name: &str,
    clock: Arc<dyn Clock>,
) -> Api {
    let tenants = Tenants {
        database: database.clone(),
        clock: Arc::clone(&clock),
    };
    let finance = Finance {
        database,
        operator_name: operator_name.into(),
        clock: Arc::clone(&clock),
    };
    Api::new(authenticate, clock)
        .mount(tenants::api::operations(tenants))
        .mount(metering::api::operations(finance))
}

/// Knows no caller: a document is no API.
#[derive(Debug)]
struct Nobody;

impl Authenticate for Nobody {
    fn authenticate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async { Err(Refusal::Unknown) })
    }
}
