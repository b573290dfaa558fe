//! The connections: three pools that cannot starve each other, and a direct line for LISTEN.

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::transaction::{Role, begin};
use crate::{Error, Limits, Options, Url};

/// The database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

/// Which pool a transaction takes its connection from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bulkhead {
    /// The request path.
    Hot,
    /// The management API.
    Control,
    /// Background work.
    Workers,
}

struct Shared {
    hot: Pools,
    control: Pools,
    workers: Pools,
    direct: Url,
    retries_max: u32,
}

/// The pools of one bulkhead: one and the same unless the roles have addresses of their own.
pub(crate) struct Pools {
    app: PgPool,
    worker: PgPool,
    pub(crate) limits: Limits,
}

impl Database {
    /// Connects and checks the roles; does not migrate.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let database = Self::unconnected(options)?;
        database.verify_roles().await?;
        database.warm().await;
        Ok(database)
    }

    /// Opens the first hot connections now: the request path waits too briefly to open one on a busy machine.
    async fn warm(&self) {
        for role in [Role::App, Role::Worker] {
            // Without them the first request tries again.
            let _ = begin(self.pools(Bulkhead::Hot), role, None).await;
        }
    }

    /// The same without a connection yet: the first transaction makes one.
    pub fn unconnected(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared {
                hot: Pools::new(options, &options.hot)?,
                control: Pools::new(options, &options.control)?,
                workers: Pools::new(options, &options.workers)?,
                direct: options.direct().clone(),
                retries_max: options.retries_max,
            }),
        })
    }

    /// Listens on channels, over a connection of its own that reaches the server directly.
    ///
    /// The listener reconnects by itself; what was sent meanwhile is lost, so the caller
    /// compares its state with the tables after a reconnection.
    pub async fn listen(&self, channels: &[&str]) -> Result<PgListener, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Limits::control().acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.shared.direct.connect_options()?);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen_all(channels.iter().copied()).await?;
        Ok(listener)
    }

    /// Closes all connections and waits until they are closed.
    pub async fn close(&self) {
        for bulkhead in Bulkhead::ALL {
            let pools = self.pools(bulkhead);
            pools.app.close().await;
            pools.worker.close().await;
        }
    }

    pub(crate) fn pools(&self, bulkhead: Bulkhead) -> &Pools {
        match bulkhead {
            Bulkhead::Hot => &self.shared.hot,
            Bulkhead::Control => &self.shared.control,
            Bulkhead::Workers => &self.shared.workers,
        }
    }

    pub(crate) fn retries_max(&self) -> u32 {
        self.shared.retries_max
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Bulkhead {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Control, Self::Workers];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Control => "control",
            Self::Workers => "workers",
        }
    }
}

impl Pools {
    fn new(options: &Options, limits: &Limits) -> Result<Self, Error> {
        let app = limits
            .pool()
            .connect_lazy_with(options.app().connect_options()?);
        let worker = if options.worker() == options.app() {
            app.clone()
        } else {
            limits
                .pool()
                .connect_lazy_with(options.worker().connect_options()?)
        };
        Ok(Self {
            app,
            worker,
            limits: limits.clone(),
        })
    }

    pub(crate) fn of(&self, role: Role) -> &PgPool {
        match role {
            Role::App => &self.app,
            Role::Worker => &self.worker,
        }
    }
}
