//! The management API: every crate's operations under `/api/v1`, behind the same keys as the AI routes.

use std::sync::Arc;

use ::api::{Api, Authenticate, Refusal};
use axum::Router;
use config::Config;
use database::{Database, Options};
use futures_util::future::BoxFuture;
use metering::api::Finance;
use tenants::Tenants;
use tenants::keys::Keys;
use types::{Caller, Clock, SystemClock};

use crate::api::Prompting;
use crate::template::Templates;

/// The router of all operations.
pub(crate) fn router(keys: &Keys, parts: Parts) -> Router {
    api(Arc::new(keys.clone()), parts).into_router()
}

/// What all operations work with.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The database.
    pub(crate) database: Database,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Prompt templates.
    pub(crate) templates: Arc<Templates>,
    /// Who sends invoices.
    pub(crate) operator_name: String,
}

/// The document of all operations, without a database behind it.
pub(crate) fn openapi() -> anyhow::Result<String> {
    /// An address that is never connected to.
    const NOWHERE: &str = "postgres://nobody@localhost/nowhere";
    let database = Database::unconnected(&Options::new(NOWHERE.parse()?))?;
    let options = Config::from_toml("")?.templates;
    let (templates, _) = Templates::new(options, database.clone());
    let parts = Parts {
        database,
        clock: Arc::new(SystemClock),
        templates: Arc::new(templates),
        operator_name: String::new(),
    };
    let api = api(Arc::new(Nobody), parts);
    Ok(api.openapi().to_pretty_json()?)
}

fn api(authenticate: Arc<dyn Authenticate>, parts: Parts) -> Api {
    let Parts {
        database,
        clock,
        templates,
        operator_name,
    } = parts;
    let prompting = Prompting {
        database: database.clone(),
        clock: Arc::clone(&clock),
        templates,
    };
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
        .mount(crate::api::operations(prompting))
}

/// Knows no caller: a document is no API.
#[derive(Debug)]
struct Nobody;

impl Authenticate for Nobody {
    fn authenticate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(async { Err(Refusal::Unknown) })
    }
}
