//! The schema's invariants, each a query that finds violations.

use database::testing::TestDatabase;
use sqlx::{AssertSqlSafe, Row};

const INVARIANTS: &str = include_str!("../../../migrations/invariants.sql");

/// The queries with the sentences they check.
fn invariants() -> Vec<(&'static str, &'static str)> {
    let parts = INVARIANTS.split("-- name: ").skip(1);
    parts.filter_map(|part| part.split_once('\n')).collect()
}

#[tokio::test]
async fn a_migrated_database_violates_no_invariant() {
    let test = TestDatabase::new().await;
    let mut violations = Vec::new();
    let invariants = invariants();
    assert!(!invariants.is_empty());

    for (sentence, query) in invariants {
        let found = sqlx::raw_sql(AssertSqlSafe(query))
            .fetch_all(&test.admin())
            .await;
        match found {
            Err(error) => violations.push(format!("{sentence}: {error}")),
            Ok(rows) => violations.extend(rows.iter().map(|row| {
                let values: Vec<String> = (0..row.len())
                    .map(|column| {
                        let value = row.try_get_unchecked::<Option<String>, _>(column);
                        value.ok().flatten().unwrap_or_default()
                    })
                    .collect();
                format!("{sentence}: {}", values.join(", "))
            })),
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}
