//! The edge: connections in, routes, answers out, and how it all stops.

pub(crate) mod chat;
pub(crate) mod health;
pub(crate) mod listener;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod workers;
