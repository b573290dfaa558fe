//! Opens the database a configuration asks for: the user's own by its URL, or the embedded one.

use std::path::PathBuf;

use anyhow::Context;
use config::Config;
use database::embedded::assets::Store;
use database::embedded::{self, Binaries, Launcher, Server, ServerOptions};
use database::{Database, Options, migrate};

/// An open database.
#[derive(Debug)]
pub(crate) struct State {
    /// Reaches it.
    pub(crate) database: Database,
    /// The embedded server, if it is ours to stop.
    server: Option<Server>,
}

impl State {
    /// Opens the database to serve with; the embedded one must be ours alone.
    ///
    /// The embedded one is migrated at once; an external one only by `flowpilot migrate`.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        match Options::external(&config.database)? {
            Some(options) => Self::connect(&options, None).await,
            None => Self::start(config).await,
        }
    }

    /// Opens the database for a command, which may be run beside a serving gateway.
    pub(crate) async fn visit(config: &Config) -> anyhow::Result<Self> {
        match external_or_running(config)? {
            Some(options) => Self::connect(&options, None).await,
            None => Self::start(config).await,
        }
    }

    async fn start(config: &Config) -> anyhow::Result<Self> {
        let server = start_server(config).await?;
        let options = server.options().limited_by(&config.database);
        migrate::apply(options.owner()).await?;
        Self::connect(&options, Some(server)).await
    }

    async fn connect(options: &Options, server: Option<Server>) -> anyhow::Result<Self> {
        let database = Database::connect(options).await;
        let database = database.context("the database cannot be reached")?;
        migrate::check_compatible(&database).await?;
        Ok(Self { database, server })
    }

    /// Whether the database is the embedded one.
    pub(crate) const fn is_embedded(&self) -> bool {
        self.server.is_some()
    }

    /// Closes the connections, and stops the server if it is ours.
    pub(crate) async fn close(self) {
        self.database.close().await;
        if let Some(server) = self.server
            && let Err(error) = server.stop().await
        {
            tracing::warn!(error = %error, "the embedded database did not stop as it should");
        }
    }
}

/// Brings the schema up to date; says how many migrations were applied.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<usize> {
    if let Some(options) = external_or_running(config)? {
        return Ok(migrate::apply(options.owner()).await?);
    }
    let server = start_server(config).await?;
    let applied = migrate::apply(server.options().owner()).await;
    server.stop().await?;
    Ok(applied?)
}

/// The user's own database, or the embedded one that another process of ours is running.
fn external_or_running(config: &Config) -> anyhow::Result<Option<Options>> {
    if let Some(options) = Options::external(&config.database)? {
        return Ok(Some(options));
    }
    let running = embedded::attach(&server_folder(config))?;
    Ok(running.map(|options| options.limited_by(&config.database)))
}

fn server_folder(config: &Config) -> PathBuf {
    config.server.data_dir.join("postgres")
}

async fn start_server(config: &Config) -> anyhow::Result<Server> {
    let store = Store::within(&config.server.data_dir);
    let installed = config.database.binaries.clone();
    // Fetching and unpacking block; on the first start they take seconds.
    let binaries = tokio::task::spawn_blocking(move || match installed {
        Some(folder) => Binaries::installed(&folder).map_err(anyhow::Error::from),
        None => Binaries::fetch(&store).map_err(anyhow::Error::from),
    });
    let binaries = binaries.await??;
    let own = std::env::current_exe().context("the path of this program")?;
    let options = ServerOptions::new(server_folder(config), binaries, Launcher::OwnBinary(own));
    let server = Server::start(options).await;
    server.context("the embedded database does not start")
}
