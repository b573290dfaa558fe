//! Monthly partitions: made ahead of time, and an alarm when that did not happen.

use crate::{Bulkhead, Database, Error};

/// How many months of partitions are made before the present one, for late records.
const MONTHS_BACK: i32 = 2;

/// How many months of partitions are made after the present one.
const MONTHS_AHEAD: i32 = 12;

/// A DEFAULT partition with rows in it: their month was missing when they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strays {
    /// The partitioned table.
    pub table: String,
    /// How many rows wait to be filed.
    pub rows: i64,
}

impl Database {
    /// Makes the partitions of the months around the present one where they are missing.
    ///
    /// Returns how many were made. To be called at start and daily.
    pub async fn ensure_partitions(&self) -> Result<i32, Error> {
        self.worker("partitions: create", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                // A function's result is never known to be not null.
                let made = sqlx::query_scalar!(
                    r#"SELECT create_monthly_partitions($1, $2) AS "made!""#,
                    MONTHS_BACK,
                    MONTHS_AHEAD,
                )
                .fetch_one(tx.connection())
                .await?;
                Ok(made)
            })
        })
        .await
    }

    /// The DEFAULT partitions that are not empty; any is an alarm.
    pub async fn default_partition_rows(&self) -> Result<Vec<Strays>, Error> {
        self.worker("partitions: count strays", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                // A function's result is never known to be not null.
                let strays = sqlx::query_as!(
                    Strays,
                    r#"
                    SELECT parent::text AS "table!"
                         , row_count AS "rows!"
                    FROM default_partition_rows()
                    WHERE row_count > 0
                    "#,
                )
                .fetch_all(tx.connection())
                .await?;
                Ok(strays)
            })
        })
        .await
    }
}
