//! Transactions: the only way to a table, each with its role, its organization and its limits.
//!
//! Everything is set by the transaction's first statement and ends with the transaction, so that
//! a connection shared through `PgBouncer`'s transaction mode carries nothing to its next user.
//! A transaction that is dropped, because its caller went away, is rolled back.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Postgres, Transaction};
use types::Id;
use types::id::Organization;

use crate::error::AsDatabaseError;
use crate::pool::Pools;
use crate::{Bulkhead, Database, Error, Limits};

/// The wait before the first retry; it doubles with each further one, and is jittered.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// The longest wait before a retry.
const RETRY_DELAY_MAX: Duration = Duration::from_millis(200);

/// A transaction that sees and changes the rows of one organization.
pub struct TenantTransaction<'a> {
    inner: Transaction<'static, Postgres>,
    organization: Id<Organization>,
    // Tells the compiler that a body may borrow what lives for 'a.
    borrows: PhantomData<&'a ()>,
}

/// A transaction of background work, which crosses organizations where policies let it.
pub struct WorkerTransaction<'a> {
    inner: Transaction<'static, Postgres>,
    borrows: PhantomData<&'a ()>,
}

/// The role a transaction runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    App,
    Worker,
}

impl Database {
    /// Runs a body as one organization: committed when it returns `Ok`, rolled back otherwise.
    ///
    /// The name is for metrics. The body is called again when the transaction conflicted with
    /// others, so it must not do anything that the rollback does not undo.
    pub async fn tenant<'a, T, E, F>(
        &self,
        name: &'static str,
        bulkhead: Bulkhead,
        organization: Id<Organization>,
        mut body: F,
    ) -> Result<T, E>
    where
        E: From<Error> + AsDatabaseError,
        F: for<'t> FnMut(&'t mut TenantTransaction<'a>) -> BoxFuture<'t, Result<T, E>> + Send,
    {
        let pools = self.pools(bulkhead);
        let mut run = Run::start(name, self.retries_max());
        loop {
            let attempt = async {
                let inner = begin(pools, Role::App, Some(organization)).await?;
                let mut tx = TenantTransaction {
                    inner,
                    organization,
                    borrows: PhantomData,
                };
                let value = body(&mut tx).await?;
                tx.inner.commit().await.map_err(Error::from)?;
                Ok(value)
            };
            let result = within(pools.limits.transaction_timeout, attempt).await;
            if !run.again(&result).await {
                return result;
            }
        }
    }

    /// Runs a body as the worker role: committed when it returns `Ok`, rolled back otherwise.
    ///
    /// As [`Database::tenant`], without an organization.
    pub async fn worker<'a, T, E, F>(
        &self,
        name: &'static str,
        bulkhead: Bulkhead,
        mut body: F,
    ) -> Result<T, E>
    where
        E: From<Error> + AsDatabaseError,
        F: for<'t> FnMut(&'t mut WorkerTransaction<'a>) -> BoxFuture<'t, Result<T, E>> + Send,
    {
        let pools = self.pools(bulkhead);
        let mut run = Run::start(name, self.retries_max());
        loop {
            let attempt = async {
                let inner = begin(pools, Role::Worker, None).await?;
                let mut tx = WorkerTransaction {
                    inner,
                    borrows: PhantomData,
                };
                let value = body(&mut tx).await?;
                tx.inner.commit().await.map_err(Error::from)?;
                Ok(value)
            };
            let result = within(pools.limits.transaction_timeout, attempt).await;
            if !run.again(&result).await {
                return result;
            }
        }
    }
}

impl TenantTransaction<'_> {
    /// The connection, to run statements on.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Whose rows these are.
    pub fn organization(&self) -> Id<Organization> {
        self.organization
    }
}

impl WorkerTransaction<'_> {
    /// The connection, to run statements on.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl std::fmt::Debug for TenantTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantTransaction")
            .field("organization", &self.organization)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WorkerTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerTransaction").finish_non_exhaustive()
    }
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::App => "flowpilot_app",
            Self::Worker => "flowpilot_worker",
        }
    }
}

/// One named transaction with its retries, for the metric.
struct Run {
    name: &'static str,
    started: Instant,
    retries: u32,
    retries_max: u32,
}

impl Run {
    fn start(name: &'static str, retries_max: u32) -> Self {
        Self {
            name,
            started: Instant::now(),
            retries: 0,
            retries_max,
        }
    }

    /// Whether to run the body again; counts the attempt and waits before a retry.
    async fn again<T, E: AsDatabaseError>(&mut self, result: &Result<T, E>) -> bool {
        let error = result
            .as_ref()
            .err()
            .map(AsDatabaseError::as_database_error);
        let conflict = error.flatten().is_some_and(Error::is_conflict);
        if conflict && self.retries < self.retries_max {
            self.retries += 1;
            self.count("retried");
            tokio::time::sleep(retry_delay(self.retries)).await;
            return true;
        }
        self.count(match error {
            None => "committed",
            Some(None) => "rolled_back",
            Some(Some(error)) => error.kind(),
        });
        false
    }

    fn count(&mut self, outcome: &'static str) {
        metrics::histogram!(
            "flowpilot_database_transaction_seconds",
            "name" => self.name,
            "outcome" => outcome,
        )
        .record(self.started.elapsed());
        self.started = Instant::now();
    }
}

/// Begins a transaction and says, in one statement, who it is and how long it may take.
pub(crate) async fn begin(
    pools: &Pools,
    role: Role,
    organization: Option<Id<Organization>>,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut tx = pools.of(role).begin().await?;
    let Limits {
        statement_timeout,
        lock_timeout,
        idle_in_transaction_timeout,
        ..
    } = &pools.limits;
    sqlx::query!(
        "SELECT set_config('role', $1, true) AS role
              , set_config('app.current_organization_id', $2, true) AS organization
              , set_config('statement_timeout', $3, true) AS statement
              , set_config('lock_timeout', $4, true) AS lock
              , set_config('idle_in_transaction_session_timeout', $5, true) AS idle",
        role.name(),
        organization.map_or_else(String::new, |id| id.to_string()),
        millis(*statement_timeout),
        millis(*lock_timeout),
        millis(*idle_in_transaction_timeout),
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(tx)
}

/// A duration as PostgreSQL's settings want it. Zero would mean "no limit", so it becomes 1 ms.
fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}

async fn within<T, E: From<Error>>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(limit, attempt)
        .await
        .unwrap_or_else(|_| Err(Error::Timeout(None).into()))
}

/// Between half and the whole of a delay that doubles with each retry.
fn retry_delay(retry: u32) -> Duration {
    let delay = RETRY_DELAY
        .saturating_mul(1 << retry.saturating_sub(1).min(10))
        .min(RETRY_DELAY_MAX);
    delay.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[test]
    fn retries_wait_longer_each_time_and_never_too_long() {
        for retry in 1..64 {
            assert!(retry_delay(retry) >= RETRY_DELAY / 2);
            assert!(retry_delay(retry) <= RETRY_DELAY_MAX);
        }
        assert!(retry_delay(4) > retry_delay(1));
    }

    #[tokio::test]
    async fn nothing_of_a_transaction_stays_on_its_connection() {
        let test = TestDatabase::new().await;
        let organization = test.seed_organization("ours").await.organization;
        let mut options = test.options();
        options.hot.connections_max = 1;
        let database = Database::connect(&options).await.unwrap();

        let inside: Result<String, Error> = database
            .tenant("test: look", Bulkhead::Hot, organization, |tx| {
                Box::pin(async move { state(tx.connection()).await })
            })
            .await;
        let same_connection = database.pools(Bulkhead::Hot).of(Role::App);
        let mut same_connection = same_connection.acquire().await.unwrap();
        let outside = state(&mut same_connection).await;
        let login: String = sqlx::query_scalar("SELECT session_user::text")
            .fetch_one(&mut *same_connection)
            .await
            .unwrap();

        assert_eq!(inside.unwrap(), format!("flowpilot_app {organization} 2s"));
        assert_eq!(outside.unwrap(), format!("{login}  0"));
    }

    /// Role, organization and statement timeout.
    async fn state(connection: &mut PgConnection) -> Result<String, Error> {
        let state = sqlx::query_scalar(
            "SELECT current_user
                    || ' ' || current_setting('app.current_organization_id')
                    || ' ' || current_setting('statement_timeout')",
        );
        Ok(state.fetch_one(connection).await?)
    }

    #[test]
    fn a_body_may_borrow_and_the_transaction_may_be_spawned() {
        fn assert_spawnable<T: Send>(_: &T) {}

        async fn greet(database: Database, id: Id<Organization>) -> Result<String, Error> {
            let greeting = String::from("hello");
            let greeting = greeting.as_str();
            database
                .tenant("test: greet", Bulkhead::Hot, id, |tx| {
                    Box::pin(async move { Ok(format!("{greeting} {}", tx.organization())) })
                })
                .await
        }

        let compiles: fn(_, _) = |database, id| assert_spawnable(&greet(database, id));
        let _ = compiles;
    }
}
