//! The sections of the configuration, one file each; a component receives its section and nothing else.

mod auth;
mod cache;
mod database;
mod embedding;
mod limits;
mod log;
mod metering;
mod models;
mod privacy;
mod provider;
mod quota;
mod route;
mod routing;
mod server;
mod templates;

pub use auth::Auth;
pub use cache::{Cache, Mode as CacheMode};
pub use database::{Database, Pool};
pub use embedding::Embedding;
pub use limits::Limits;
pub use log::{Format as LogFormat, Log};
pub use metering::{Durability, Metering, OnDisconnect, Unpriced};
pub use models::{Alias, Models, Target};
pub use privacy::{Privacy, PromptStorage};
pub use provider::{Kind as ProviderKind, Provider};
pub use quota::{NearLimit, NoQuota, Quota};
pub use route::{Choice, Deployment, Hedge, Route, Sticky};
pub use routing::Routing;
pub use server::Server;
pub use templates::Templates;
