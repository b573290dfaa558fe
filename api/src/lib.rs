//! The habits every management endpoint shares: problems, pages, entity tags, idempotency,
//! permissions, OpenAPI.
//!
//! # Adding an endpoint
//!
//! 1. `<crate>/src/api/<noun>/<verb>.rs`: the error enum and its mapping to [`Problem`], the input
//!    and output types, and the handler `<verb>_<resource>` under `#[utoipa::path(…)]`.
//!    The handler takes [`Authorized`], and [`Path`], [`Query`], [`PageQuery`], [`IfMatch`] or
//!    [`Json`] from this crate, so that every refusal is a problem. One that creates takes
//!    [`Once`] instead of [`Json`], and answers with an [`Answer`].
//! 2. One line in the crate's `api.rs`: `.add(Permission::…, routes!(handler))`.
//!    That is the only place that names its permission.
//! 3. A row in `gateway/tests/it/authorization.rs`; its coverage test fails until there is one.

mod assembly;
mod auth;
pub mod docs;
mod etag;
mod extract;
pub mod idempotency;
mod openapi;
mod operations;
mod page;
pub mod problem;
pub mod request_id;
pub mod testing;

pub use assembly::{Api, BODY_BYTES_MAX, OPENAPI_PATH};
pub use auth::{Authenticate, Authorized, Refusal};
pub use etag::{ETag, IfMatch, IfMatchHeader};
pub use extract::{Json, Origin, Path, Query};
pub use idempotency::{Answer, IdempotencyHeader, Once};
pub use operations::{Operations, PERMISSION_EXTENSION};
pub use page::{LIMIT_DEFAULT, LIMIT_MAX, Page, PageQuery};
pub use problem::{Code, Problem};
