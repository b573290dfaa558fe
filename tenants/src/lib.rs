//! People, organizations, departments, keys and audit.
//!
//! [`keys`] tells who is calling, from memory. Everything else is the management of what stands
//! in the tables: one module per noun, whose `store` holds its SQL, and one file per endpoint
//! under [`api`].
//!
//! # Adding an endpoint
//!
//! See the `api` crate; the list of operations is in [`api::operations`]. Each write adds one
//! row to `audit_logs` in its own transaction: [`audit::record`].

pub mod api;
pub mod api_keys;
pub mod audit;
pub mod bootstrap;
pub mod command;
pub mod departments;
pub mod keys;
pub mod organizations;
pub mod scopes;
mod text;

use std::sync::Arc;

use database::Database;
use types::Clock;

/// What the endpoints and commands work with; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tenants {
    /// The database.
    pub database: Database,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}
