//! A listener of its own for `/metrics`, where the operator wants them apart from the clients' port.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use config::section::Server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::Shared;

/// Serves metrics at the configured address, if there is one, until told to stop.
pub(crate) async fn listen(
    server: &Server,
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(address) = server.metrics_listen else {
        return Ok(());
    };
    let socket = TcpListener::bind(address).await;
    let socket = socket.with_context(|| format!("cannot listen on {address} for metrics"))?;
    let shared = Arc::clone(shared);
    let render = move || {
        let text = shared.telemetry.render();
        async move { text }
    };
    let router = Router::new().route("/metrics", get(render));
    let stopped = stop.clone().cancelled_owned();
    tasks.spawn(async move {
        let serving = axum::serve(socket, router).with_graceful_shutdown(stopped);
        if let Err(error) = serving.await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(())
}
