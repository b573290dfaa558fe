//! The one server of a test process.

use config::Environment;
use tokio::sync::OnceCell;

use super::{BoxError, folder};
use crate::Url;
use crate::embedded::{Durability, Launcher, Server, ServerOptions};

/// Names an external server to run tests against, with a superuser's login.
const EXTERNAL: &str = "FLOWPILOT_TEST_DATABASE_URL";

/// Many tests run at a time, and each has several pools.
const CONNECTIONS_MAX: u32 = 300;

/// The server, for all tests of this process. It belongs to no test's runtime.
static SERVER: OnceCell<TestServer> = OnceCell::const_new();

/// A server that tests may use as they like.
pub(super) struct TestServer {
    admin: Url,
    app: Url,
    // Stops when the process ends: what is static is never dropped.
    _embedded: Option<Server>,
}

/// The server, started by the first test that asks.
pub(super) async fn get() -> Result<&'static TestServer, BoxError> {
    SERVER.get_or_try_init(start).await
}

/// The server, if a test has asked for it.
pub(super) fn started() -> Option<&'static TestServer> {
    SERVER.get()
}

async fn start() -> Result<TestServer, BoxError> {
    if let Some(url) = Environment::capture().get(EXTERNAL) {
        let url: Url = url.parse()?;
        return Ok(TestServer {
            admin: url.clone(),
            app: url,
            _embedded: None,
        });
    }
    let (folder, binaries) = tokio::task::spawn_blocking(|| {
        Ok::<_, BoxError>((folder::scratch_folder()?, folder::binaries()?))
    })
    .await??;
    let server = Server::start(ServerOptions {
        durability: Durability::Throwaway,
        connections_max: CONNECTIONS_MAX,
        ..ServerOptions::new(folder, binaries, Launcher::Watched)
    })
    .await?;
    Ok(TestServer {
        admin: server.admin_url().clone(),
        app: server.app_url().clone(),
        _embedded: Some(server),
    })
}

impl TestServer {
    /// A superuser's address for the server itself.
    pub(super) fn maintenance(&self) -> &Url {
        &self.admin
    }

    /// A superuser's address for one database.
    pub(super) fn admin(&self, database: &str) -> Url {
        self.admin.with_database(database)
    }

    /// The product's address for one database.
    pub(super) fn app(&self, database: &str) -> Url {
        self.app.with_database(database)
    }
}
