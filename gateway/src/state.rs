//! Opens the database a configuration asks for: the user's own by its URL, or the embedded one.

use std::path::Path;

use anyhow::Context;
use config::section;
use database::embedded::assets::Store;
use database::embedded::{Binaries, Launcher, Server, ServerOptions};
use database::{Database, Options, migrate};

/// An open database.
#[derive(Debug)]
pub(crate) struct State {
    /// Reaches it.
    pub(crate) database: Database,
    /// The embedded server, if it is ours to stop.
    server: Option<Server>,
}

/// The folder of the embedded server inside the data folder.
const SERVER_FOLDER: &str = "postgres";

impl State {
    /// Opens the database and makes sure that its schema can be served.
    ///
    /// The embedded one is migrated at once; an external one only by `flowpilot migrate`.
    pub(crate) async fn open(config: &config::Config) -> anyhow::Result<Self> {
        let (options, server) = locate(config).await?;
        if server.is_some() {
            migrate::apply(options.owner()).await?;
        }
        let database = Database::connect(&options)
            .await
            .context("the database cannot be reached")?;
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
pub(crate) async fn migrate(config: &config::Config) -> anyhow::Result<usize> {
    let (options, server) = locate(config).await?;
    let applied = migrate::apply(options.owner()).await;
    if let Some(server) = server {
        server.stop().await?;
    }
    Ok(applied?)
}

/// Where the database is, and the server if it had to be started.
async fn locate(config: &config::Config) -> anyhow::Result<(Options, Option<Server>)> {
    let section = &config.database;
    if let Some(options) = Options::external(section)? {
        return Ok((options, None));
    }
    let server = start_server(section, &config.server.data_dir).await?;
    Ok((server.options().limited_by(section), Some(server)))
}

async fn start_server(section: &section::Database, data_dir: &Path) -> anyhow::Result<Server> {
    let store = Store::within(data_dir);
    let installed = section.binaries.clone();
    // Fetching and unpacking block; on the first start they take seconds.
    let binaries = tokio::task::spawn_blocking(move || match installed {
        Some(folder) => Binaries::installed(&folder).map_err(anyhow::Error::from),
        None => Binaries::fetch(&store).map_err(anyhow::Error::from),
    });
    let binaries = binaries.await??;
    let own = std::env::current_exe().context("the path of this program")?;
    let options = ServerOptions::new(
        data_dir.join(SERVER_FOLDER),
        binaries,
        Launcher::OwnBinary(own),
    );
    Server::start(options)
        .await
        .context("the embedded database does not start")
}
