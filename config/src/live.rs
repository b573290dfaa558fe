//! The running configuration, and how it follows its files.
//!
//! A new configuration replaces the running one only as a whole and only if nothing is wrong with it; otherwise the old one
//! stays and the problems are logged. Keys that only a new start can change keep their running value, and are named.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use toml::Table;

use crate::checked::Config;
use crate::load::{Loaded, Sources, load, load_over};
use crate::problem::Problems;

mod follow;

pub use follow::WatchError;

/// Counts reloads by outcome: `applied` or `refused`.
const RELOADS: &str = "flowpilot_config_reloads_total";

/// The running configuration. Cloning is cheap, and all clones follow the same files.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    /// None for a configuration that does not change.
    sources: Option<Sources>,
    current: ArcSwap<Config>,
    changes: watch::Sender<Arc<Config>>,
    /// What the next reload is compared with; its lock keeps reloads one after the other. Holds secrets: never show it.
    running: Mutex<Table>,
}

/// What a reload did.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The configuration that runs now.
    pub config: Arc<Config>,
    /// Keys that were changed, but keep their running value until the next start.
    pub needs_restart: Vec<String>,
}

impl Live {
    /// Reads and checks a configuration for the first time.
    pub fn start(sources: Sources) -> Result<Self, Problems> {
        let loaded = load_over(&sources, None)?;
        Ok(Self::of(loaded, Some(sources)))
    }

    /// The configuration of this moment. Hold it for one request, not for longer.
    pub fn current(&self) -> Arc<Config> {
        self.shared.current.load_full()
    }

    /// Tells every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.shared.changes.subscribe()
    }

    /// Reads the sources again. It reads files, and so blocks for as long as they take.
    pub fn reload(&self) -> Result<Reload, Problems> {
        let Some(sources) = &self.shared.sources else {
            return Ok(Reload {
                config: self.current(),
                needs_restart: Vec::new(),
            });
        };
        let mut running = self.shared.running.lock();
        // First as it would start, then with what has to stay: a mistake in a key that waits for a restart is told now.
        let loaded = load(sources).and_then(|_| load_over(sources, Some(&running)));
        match loaded {
            Ok(loaded) => {
                let config = Arc::new(loaded.config);
                *running = loaded.table;
                self.shared.current.store(Arc::clone(&config));
                self.shared.changes.send_replace(Arc::clone(&config));
                Ok(applied(config, loaded.held))
            }
            Err(problems) => {
                refused(&problems);
                Err(problems)
            }
        }
    }

    fn of(loaded: Loaded, sources: Option<Sources>) -> Self {
        let config = Arc::new(loaded.config);
        Self {
            shared: Arc::new(Shared {
                sources,
                current: ArcSwap::from(Arc::clone(&config)),
                changes: watch::Sender::new(config),
                running: Mutex::new(loaded.table),
            }),
        }
    }
}

/// A configuration that does not change: for tests and for commands that end by themselves.
impl From<Config> for Live {
    fn from(config: Config) -> Self {
        let loaded = Loaded {
            config,
            table: Table::new(),
            held: Vec::new(),
        };
        Self::of(loaded, None)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("sources", &self.shared.sources)
            .field("current", &self.shared.current)
            .finish_non_exhaustive()
    }
}

fn applied(config: Arc<Config>, needs_restart: Vec<String>) -> Reload {
    metrics::counter!(RELOADS, "outcome" => "applied").increment(1);
    tracing::info!("configuration reloaded");
    for key in &needs_restart {
        tracing::warn!(key, "changed, but needs a restart; the running value stays");
    }
    for warning in &config.warnings {
        tracing::warn!(key = warning.path, "{warning}");
    }
    Reload {
        config,
        needs_restart,
    }
}

fn refused(problems: &Problems) {
    metrics::counter!(RELOADS, "outcome" => "refused").increment(1);
    for problem in &problems.0 {
        tracing::error!(key = problem.path, "configuration not reloaded: {problem}");
    }
}

#[cfg(test)]
mod tests;
