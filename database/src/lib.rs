//! Embedded or external PostgreSQL: pools, migrations, tenant transactions, test databases.
//!
//! Tables are reached only inside a transaction that has named its role and its organization:
//! [`Database::tenant`] for one organization's rows, [`Database::worker`] for work that crosses
//! organizations. The pools are private, so there is no other way in.
//!
//! `PgBouncer` may stand in between, in transaction mode: 1.21 or newer with
//! `max_prepared_statements` above zero, and [`Options::direct_url`] for what needs a session.
//!
//! ```no_run
//! # use database::{Bulkhead, Database, Error};
//! # use types::{Id, id::Organization};
//! # async fn example(database: Database, organization: Id<Organization>) -> Result<(), Error> {
//! let name = String::from("Research");
//! let name = name.as_str();
//! database
//!     .tenant("departments: rename", Bulkhead::Control, organization, |tx| {
//!         Box::pin(async move {
//!             let done = sqlx::query("UPDATE departments SET name = $1")
//!                 .bind(name)
//!                 .execute(tx.connection())
//!                 .await?;
//!             database::ensure_affected(done.rows_affected(), 1)
//!         })
//!     })
//!     .await
//! # }
//! ```

pub mod embedded;
mod error;
pub mod migrate;
mod options;
mod partitions;
mod pool;
mod roles;
pub mod testing;
mod transaction;

pub use error::{AsDatabaseError, Cause, Error, ensure_affected};
pub use options::{Limits, Options, Url};
pub use partitions::Strays;
pub use pool::{Bulkhead, Database};
pub use transaction::{TenantTransaction, WorkerTransaction};
