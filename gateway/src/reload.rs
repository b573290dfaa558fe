//! Takes over a changed configuration while serving; a bad one changes nothing.

use std::sync::Arc;

use config::Live;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::Shared;
use crate::pipeline::Settings;

/// Follows the configuration until told to stop.
pub(crate) fn follow(
    live: Live,
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), config::WatchError> {
    let shared = Arc::clone(shared);
    let mut changes = live.subscribe();
    live.watch(tasks, stop.clone())?;
    let stop = stop.clone();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                news = changes.changed() => if news.is_err() { return },
            }
            apply(&live, &shared);
        }
    });
    Ok(())
}

fn apply(live: &Live, shared: &Shared) {
    let config = live.current();
    let before = shared.pipeline.settings.load();
    let prices = shared.pipeline.metering.price_book();
    match Settings::new(&config, prices, Some(&before)) {
        Ok(settings) => {
            shared
                .pipeline
                .cache
                .configure(cache::Options::from(&config.cache));
            shared.pipeline.metering.set_prices(config.prices.clone());
            shared.telemetry.set_level(&config.log.level);
            shared.pipeline.settings.store(Arc::new(settings));
            tracing::info!("the configuration was taken over");
        }
        Err(error) => tracing::error!(
            error = format!("{error:#}"),
            "the configuration cannot be used; the old one stays"
        ),
    }
}
