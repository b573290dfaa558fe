//! Databases for tests: one server per test process, one database per test.
//!
//! The server is the embedded one, without durability, in a folder of its own that is removed when
//! the process ends; or, when `FLOWPILOT_TEST_DATABASE_URL` names one, an external server. A test's
//! database is a copy of a migrated template. No connection outlives the test that opened it: each
//! test has a runtime of its own, and a connection belongs to its runtime.

mod folder;
mod server;
mod template;

use std::error::Error as StdError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use types::id::{Organization, User};
use types::{Id, SystemClock};

pub use folder::{assets, binaries, scratch_folder};

use crate::{Database, Error, Options, Url};

/// Whatever kept a test from having its database; it is only ever printed.
type BoxError = Box<dyn StdError + Send + Sync>;

/// Numbers the databases of this process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// How long a test waits for a connection: machines that run tests are busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// A migrated, empty database of one test's own.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    options: Options,
    database: Database,
    admin: PgPool,
}

/// An organization and a person to arrange a test with.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// The organization.
    pub organization: Id<Organization>,
    /// A person, for columns like `created_by`.
    pub user: Id<User>,
}

impl TestDatabase {
    /// A new database; panics when there is none to be had, because then the test has failed.
    #[expect(clippy::panic, reason = "a test without its database has failed")]
    pub async fn new() -> Self {
        match Self::try_new().await {
            Ok(database) => database,
            Err(error) => panic!("no test database: {error:?}"),
        }
    }

    /// The database as the product sees it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The address the product would be given.
    pub fn url(&self) -> &Url {
        &self.options.url
    }

    /// The options [`TestDatabase::database`] was opened with, to open it in other ways.
    pub fn options(&self) -> Options {
        self.options.clone()
    }

    /// A superuser's pool, for arranging and asserting past row-level security.
    pub fn admin(&self) -> PgPool {
        self.admin.clone()
    }

    /// Inserts an active organization of this name, and a person.
    #[expect(clippy::panic, reason = "a test that cannot be arranged has failed")]
    pub async fn seed_organization(&self, name: &str) -> Seed {
        match self.try_seed(name).await {
            Ok(seed) => seed,
            Err(error) => panic!("the organization {name} could not be inserted: {error:?}"),
        }
    }

    async fn try_new() -> Result<Self, BoxError> {
        let server = server::get().await?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowpilot_test_{}_{number}", std::process::id());
        template::copy(server, &name).await?;

        let mut options = Options {
            owner_url: Some(server.admin(&name)),
            ..Options::new(server.app(&name))
        };
        for limits in [&mut options.hot, &mut options.control, &mut options.workers] {
            limits.acquire_timeout = ACQUIRE_TIMEOUT;
        }
        let admin = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.owner().connect_options()?);
        Ok(Self {
            name,
            database: Database::connect(&options).await?,
            options,
            admin,
        })
    }

    async fn try_seed(&self, name: &str) -> Result<Seed, Error> {
        let organization = Id::new(&SystemClock);
        let user = Id::new(&SystemClock);
        let mut tx = self.admin.begin().await?;
        sqlx::query(
            "INSERT INTO users (id, email, first_name, last_name)
             VALUES ($1, $1::text || '@example.com', 'Test', 'Person')",
        )
        .bind(user.uuid())
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO organizations (id, name, slug) VALUES ($1, $2, $1::text)")
            .bind(organization.uuid())
            .bind(name)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Seed { organization, user })
    }
}

/// Drops the database, so that a long run needs no more room than its tests at one time.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        template::remove(&self.name);
    }
}
