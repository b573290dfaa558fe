//! The schema: the migrations this binary carries, how they are applied, and which schemas it can serve.
//!
//! Migrations go forward only. They are applied over a direct connection, as the owner, one process
//! at a time; a serving process only compares. It serves a schema that has everything it needs, and
//! one that is newer: a newer schema stays usable for the release before it, so that gateways can be
//! replaced one by one.

use std::sync::LazyLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgDatabaseError;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use crate::error::Cause;
use crate::{Bulkhead, Database, Url};

/// The migrations, in the order they are applied.
///
/// That the schema knows more of them than this binary is no reason to refuse: nothing is applied then.
static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.set_ignore_missing(true);
    migrator
});

/// How long to wait for another process that migrates, or for a lock on a table.
const LOCK_WAIT_MAX: Duration = Duration::from_mins(5);

/// What the comparison of the schema with this binary gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// The newest migration of the schema.
    pub version: i64,
    /// Migrations this binary does not know: another, newer binary applied them.
    pub newer: Vec<i64>,
}

/// Why the schema is not usable, or could not be made so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database itself failed.
    #[error("the schema could not be read or changed")]
    Database(#[from] crate::Error),
    /// A migration failed; nothing of it was applied.
    #[error("migration {version} failed{}", hint(remedy.as_ref()))]
    Failed {
        /// The migration's version.
        version: i64,
        /// What an administrator has to do, when the migration knows it.
        remedy: Option<String>,
        /// What the server said.
        #[source]
        cause: Cause,
    },
    /// The schema has an applied migration whose text differs from this binary's.
    #[error("migration {0} was changed after it was applied")]
    Changed(i64),
    /// A migration was begun outside of a transaction and did not finish.
    #[error("migration {0} is half applied; repair it by hand")]
    Unfinished(i64),
    /// The schema lacks migrations that this binary needs.
    #[error(
        "the schema lacks {} migrations, the first is {first}; run `flowpilot migrate`",
        count
    )]
    Outdated {
        /// How many are missing.
        count: usize,
        /// The oldest missing one.
        first: i64,
    },
    /// The schema was never made.
    #[error("the database has no schema yet; run `flowpilot migrate`")]
    Empty,
    /// The migrator failed otherwise.
    #[error("the migrations could not be applied")]
    Migrator(#[source] Box<MigrateError>),
}

/// Applies what is missing, as the owner, past any pooler. Returns how many were applied.
pub async fn apply(url: &Url) -> Result<usize, Error> {
    let lock_timeout = LOCK_WAIT_MAX.as_millis().to_string();
    let options = url
        .connect_options()?
        .options([("lock_timeout", lock_timeout.as_str())])
        // A migration may take its time, and its text is pages long: a line of the log is no place for it.
        .disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(crate::Error::from)?;
    let before = count_applied(&mut connection).await?;
    MIGRATOR
        .run_direct(None, &mut connection, false)
        .await
        .map_err(Error::from)?;
    let after = count_applied(&mut connection).await?;
    connection.close().await.map_err(crate::Error::from)?;
    Ok(after.saturating_sub(before))
}

/// Checks that this binary can serve the schema.
pub async fn check_compatible(database: &Database) -> Result<Compatibility, Error> {
    let applied = database
        .worker("migrate: read versions", Bulkhead::Control, |tx| {
            Box::pin(async move { read_applied(tx.connection()).await })
        })
        .await?;
    compare(&MIGRATOR, &applied)
}

/// A short text that differs for every set of migrations.
pub(crate) fn fingerprint() -> String {
    let mut hasher = Sha256::new();
    for migration in MIGRATOR.iter() {
        hasher.update(&migration.checksum);
    }
    let hash = hasher.finalize();
    hex::encode(hash.get(..6).unwrap_or_default())
}

/// A migration as the schema remembers it.
struct Applied {
    version: i64,
    success: bool,
    checksum: Vec<u8>,
}

/// The migrations of the schema, oldest first; none when there is no schema.
async fn read_applied(connection: &mut PgConnection) -> Result<Vec<Applied>, crate::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('public._sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT version
              , success
              , checksum
         FROM public._sqlx_migrations
         ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    let applied: Result<Vec<Applied>, sqlx::Error> = rows
        .iter()
        .map(|row| {
            Ok(Applied {
                version: row.try_get("version")?,
                success: row.try_get("success")?,
                checksum: row.try_get("checksum")?,
            })
        })
        .collect();
    Ok(applied?)
}

fn compare(migrator: &Migrator, applied: &[Applied]) -> Result<Compatibility, Error> {
    let newest = applied.last().ok_or(Error::Empty)?;
    if let Some(unfinished) = applied.iter().find(|applied| !applied.success) {
        return Err(Error::Unfinished(unfinished.version));
    }
    let mut missing = Vec::new();
    for known in migrator.iter() {
        match applied
            .iter()
            .find(|applied| applied.version == known.version)
        {
            None => missing.push(known.version),
            Some(applied) if *applied.checksum != *known.checksum => {
                return Err(Error::Changed(known.version));
            }
            Some(_) => {}
        }
    }
    if let Some(first) = missing.first() {
        return Err(Error::Outdated {
            count: missing.len(),
            first: *first,
        });
    }
    let newer: Vec<i64> = applied
        .iter()
        .map(|applied| applied.version)
        .filter(|version| !migrator.version_exists(*version))
        .collect();
    if !newer.is_empty() {
        tracing::warn!(?newer, "the schema is newer than this binary");
    }
    Ok(Compatibility {
        version: newest.version,
        newer,
    })
}

async fn count_applied(connection: &mut PgConnection) -> Result<usize, Error> {
    let table = &MIGRATOR.table_name;
    connection.ensure_migrations_table(table).await?;
    Ok(connection.list_applied_migrations(table).await?.len())
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::ExecuteMigration(error, version) => Self::Failed {
                version,
                remedy: remedy(&error),
                cause: Cause::from(error),
            },
            MigrateError::Execute(error) => Self::Database(error.into()),
            MigrateError::VersionMismatch(version) => Self::Changed(version),
            MigrateError::Dirty(version) => Self::Unfinished(version),
            other => Self::Migrator(Box::new(other)),
        }
    }
}

/// The hint of a preflight: the statement an administrator has to run.
fn remedy(error: &sqlx::Error) -> Option<String> {
    let error: &dyn DatabaseError = error.as_database_error()?;
    let error = error.try_downcast_ref::<PgDatabaseError>()?;
    error.hint().map(str::to_owned)
}

fn hint(remedy: Option<&String>) -> String {
    remedy.map_or_else(String::new, |remedy| format!(": {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(version: i64, checksum: &[u8]) -> Applied {
        Applied {
            version,
            success: true,
            checksum: checksum.to_owned(),
        }
    }

    #[test]
    fn an_older_schema_is_refused_and_a_newer_one_served() {
        let ours: Vec<Applied> = MIGRATOR
            .iter()
            .map(|migration| applied(migration.version, &migration.checksum))
            .collect();
        let newest = ours.last().unwrap().version;

        assert!(matches!(compare(&MIGRATOR, &[]), Err(Error::Empty)));
        let outdated = compare(&MIGRATOR, &ours[..ours.len() - 1]);
        assert!(matches!(outdated, Err(Error::Outdated { count: 1, first }) if first == newest));

        let mut newer = ours;
        newer.push(applied(newest + 1, b"another"));
        assert_eq!(compare(&MIGRATOR, &newer).unwrap().newer, [newest + 1]);

        newer[0].checksum.push(0);
        let changed = newer[0].version;
        assert!(
            matches!(compare(&MIGRATOR, &newer), Err(Error::Changed(version)) if version == changed)
        );
    }
}
