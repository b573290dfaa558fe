//! Leases as the operator sees them: what is handed out to gateways, and its release when a gateway never comes back.
//!
//! A lease whose node is gone with its journal stays reserved until its period ends, because nobody can say what was spent from it.
//! Releasing it is the operator's word that the journal is lost or shipped: what the node still books counts as used all the same.

use chrono::{DateTime, Utc};
use database::{Database, Error};
use types::Id;
use types::id::{Lease, Node, Organization};

use crate::store::leases as store;

/// A lease that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLease {
    /// The lease.
    pub id: Id<Lease>,
    /// Whose.
    pub organization: Id<Organization>,
    /// Of what: a quota's resource, or a budget's id.
    pub limit: String,
    /// The gateway that holds it.
    pub node: Id<Node>,
    /// What is still reserved by it.
    pub outstanding: i64,
    /// When it was last refilled, spent from or given back, as far as it is booked.
    pub updated_at: DateTime<Utc>,
}

/// Every open lease, oldest first.
pub async fn list(database: &Database) -> Result<Vec<OpenLease>, Error> {
    store::list_open(database).await
}

/// Ends all leases of a node that will not come back. How much became free.
pub async fn release(database: &Database, node: Id<Node>) -> Result<i64, Error> {
    store::close_all(database, node, "released").await
}
