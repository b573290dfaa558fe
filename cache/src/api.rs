//! The endpoints of the cache: one file each.

pub mod feedback;
pub mod purge;
pub mod stats;

use std::sync::Arc;

use ::api::Operations;
use database::Database;
use serde::Deserialize;
use types::{Clock, Id, Permission, id};
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::Cache;

/// What the endpoints work with; cheap to clone.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The cache of this gateway.
    pub cache: Cache,
    /// The database.
    pub database: Database,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Every operation with its permission.
pub fn operations(answers: Answers) -> Operations<Answers> {
    Operations::new(answers)
        .add(Permission::CacheRead, routes!(stats::report_cache))
        .add(Permission::CacheWrite, routes!(purge::purge_cache))
        .add(
            Permission::CacheWrite,
            routes!(feedback::give_cache_feedback),
        )
}

/// For whom the operator acts.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActingFor {
    /// For the operator: whose thing it is. Others leave it out; it is their own organization.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
}

/// Which entries; all of the organization's where nothing is named.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PurgeParameters {
    /// For the operator: whose entries. Others leave it out; it is their own organization.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
    /// Those of this model, as it is resolved.
    pub model: Option<String>,
    /// Those that this key had stored.
    #[param(value_type = Option<Uuid>)]
    pub api_key_id: Option<Id<id::ApiKey>>,
    /// Those whose question begins with this text.
    pub prefix: Option<String>,
}
