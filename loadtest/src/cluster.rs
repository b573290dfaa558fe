//! Gateways over one PostgreSQL and one mock provider: what runs over several processes are made of.

pub mod manage;
pub mod node;
pub mod postgres;

use std::path::{Path, PathBuf};

use crate::loopback::Target;
use crate::mock::Mock;
use crate::output;
use crate::scratch::Scratch;
use node::Settings;
use postgres::Postgres;

pub use node::Node;

/// What all gateways of a run share.
#[derive(Debug)]
pub struct Cluster {
    /// The database.
    pub postgres: Postgres,
    /// The provider.
    pub mock: Mock,
    /// The operator's key.
    pub operator: String,
    program: PathBuf,
    scratch: Scratch,
}

impl Cluster {
    /// Starts a database and a provider, and lets a first gateway make the operator's key.
    pub async fn start(program: PathBuf) -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let mock = Mock::start(&scratch).await?;
        let postgres = Postgres::start(&program).await?;
        let mut cluster = Self {
            postgres,
            mock,
            operator: String::new(),
            program,
            scratch,
        };
        let first = cluster.node(&cluster.folder("first"), Settings::default())?;
        first.start().await?;
        first.drain().await?;
        cluster.operator = first.operator_key()?;
        Ok(cluster)
    }

    /// A gateway with its configuration and data in this folder; not started.
    pub fn node(&self, folder: &Path, settings: Settings) -> anyhow::Result<Node> {
        let (program, postgres) = (self.program.clone(), self.postgres.app_url());
        Node::new(program, folder, (postgres, self.mock.target()), settings)
    }

    /// A folder of the run's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The provider.
    pub const fn provider(&self) -> &Target {
        self.mock.target()
    }

    /// Stops what is shared; the gateways have been stopped.
    pub async fn stop(self, keep: bool) -> anyhow::Result<()> {
        self.postgres.stop().await?;
        self.mock.stop().await?;
        if keep {
            output::note(&format!(
                "the database is kept in {} until the next run",
                self.postgres.folder().display()
            ));
            self.scratch.keep();
            return Ok(());
        }
        self.postgres.remove()
    }
}
