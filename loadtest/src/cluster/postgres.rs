//! The database of a run: durable as in production, stopped, killed and started again as the run wants it.
//!
//! It is durable against the death of its processes, which is all that a run does to it; so its files are in memory where there
//! is room, because after each kill a server syncs every file it has, and on a busy disk that takes longer than a seed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use database::embedded::{Launcher, Server, ServerOptions};
use database::{Url, migrate, testing};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Three gateways have 16 connections each, and the run a few of its own.
const CONNECTIONS_MAX: u32 = 120;
/// After a kill the log is replayed, on a machine that may be busy.
const UP_MAX: Duration = Duration::from_mins(2);
const UP_POLL: Duration = Duration::from_millis(20);
/// How long a connection for reading the books is waited for.
const ACQUIRE_MAX: Duration = Duration::from_mins(1);

/// Whatever kept us from having one; it is only printed.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A PostgreSQL of our own.
#[derive(Debug)]
pub struct Postgres {
    options: ServerOptions,
    /// None while it is stopped.
    server: Mutex<Option<Server>>,
    app: Url,
    admin: Url,
}

impl Postgres {
    /// Starts a new server in a folder of its own, with an empty schema.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let fetching = || Ok::<_, BoxError>((testing::scratch_folder()?, testing::binaries()?));
        let fetched = tokio::task::spawn_blocking(fetching).await?;
        let (folder, binaries) =
            fetched.map_err(|error| anyhow::anyhow!("no PostgreSQL: {error}"))?;
        let launcher = Launcher::OwnBinary(program.to_owned());
        let options = ServerOptions {
            connections_max: CONNECTIONS_MAX,
            ..ServerOptions::new(folder, binaries, launcher)
        };
        let server = Server::start(options.clone()).await?;
        migrate::apply(server.admin_url()).await?;
        Ok(Self {
            options,
            app: server.app_url().clone(),
            admin: server.admin_url().clone(),
            server: Mutex::new(Some(server)),
        })
    }

    /// What a gateway is given.
    pub fn app_url(&self) -> &str {
        self.app.expose()
    }

    /// Connections past row-level security, for reading the books.
    pub fn books(&self) -> anyhow::Result<PgPool> {
        let options: PgConnectOptions = self.admin.expose().parse()?;
        Ok(PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(ACQUIRE_MAX)
            .connect_lazy_with(options))
    }

    /// Stops it as an administrator would: connections are ended, what is committed is written.
    pub async fn stop(&self) -> anyhow::Result<()> {
        if let Some(server) = self.server.lock().await.take() {
            server.stop().await?;
        }
        Ok(())
    }

    /// Removes its folder. It was stopped.
    pub fn remove(&self) -> anyhow::Result<()> {
        let folder = &self.options.folder;
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))
    }

    /// Where its folder is.
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// Starts it again after [`Postgres::stop`].
    pub async fn start_again(&self) -> anyhow::Result<()> {
        let mut server = self.server.lock().await;
        if server.is_none() {
            *server = Some(Server::start(self.options.clone()).await?);
        }
        Ok(())
    }

    /// Stops it, and starts it again after a pause. A second one who wants that waits.
    pub async fn pause(&self, pause: Duration) -> anyhow::Result<()> {
        let mut server = self.server.lock().await;
        let running = server.take().context("PostgreSQL was stopped before")?;
        running.stop().await?;
        sleep(pause).await;
        *server = Some(Server::start(self.options.clone()).await?);
        Ok(())
    }

    /// Kills it as a power cut would kill its processes, and waits until it is up again.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let server = self.server.lock().await;
        let server = server.as_ref().context("PostgreSQL was stopped before")?;
        let Some(process) = server.process_id() else {
            bail!("PostgreSQL does not run");
        };
        kill(Pid::from_raw(process), Signal::SIGKILL)?;
        let killed = Instant::now();
        while server.process_id().is_none_or(|id| id == process) {
            ensure!(killed.elapsed() < UP_MAX, "PostgreSQL did not come back");
            sleep(UP_POLL).await;
        }
        Ok(())
    }
}
