//! SQL of the routes that organizations define for themselves.

use chrono::{DateTime, Utc};
use config::section::Route;
use database::{Bulkhead, Database, Error, TenantTransaction};
use serde_json::Value;
use types::Id;
use types::id::Organization;
use uuid::Uuid;

/// Routes of one organization, a count: they are held in memory, and each name is one.
pub(crate) const ROUTES_MAX: i64 = 1_000;

/// A route as gateways hold it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) organization: Id<Organization>,
    pub(super) alias: String,
    pub(super) route: Route,
}

/// A route as people see it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) alias: String,
    pub(crate) definition: Value,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// The routes of all organizations with the number of their last change; none if that is the one that is known.
///
/// A definition that this program cannot read, written by a later one, is left out and told.
pub(super) async fn read_after(
    database: &Database,
    known: i64,
) -> Result<Option<(i64, Vec<Row>)>, Error> {
    database
        .worker("routes: read", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let epoch = sqlx::query_scalar!("SELECT epoch FROM gateway.routing_epoch")
                    .fetch_one(tx.connection())
                    .await?;
                if epoch == known {
                    return Ok::<_, Error>(None);
                }
                let rows =
                    sqlx::query!("SELECT organization_id, alias, definition FROM gateway.routes")
                        .fetch_all(tx.connection())
                        .await?;
                let rows = rows.into_iter().filter_map(|row| {
                    let route = serde_json::from_value(row.definition);
                    let told = |error: &serde_json::Error| {
                        tracing::error!(%error, alias = row.alias, "a stored route cannot be read");
                    };
                    Some(Row {
                        organization: row.organization_id.into(),
                        route: route.inspect_err(told).ok()?,
                        alias: row.alias,
                    })
                });
                Ok(Some((epoch, rows.collect())))
            })
        })
        .await
}

/// The routes of the transaction's organization, by name; of one name, if one is given.
pub(crate) async fn list(
    tx: &mut TenantTransaction<'_>,
    alias: Option<&str>,
) -> Result<Vec<Stored>, Error> {
    let organization = tx.organization().uuid();
    let rows = sqlx::query_as!(
        Stored,
        "
        SELECT id
             , alias
             , definition
             , created_at
             , updated_at
          FROM gateway.routes
         WHERE organization_id = $1
           AND ($2::text IS NULL OR alias = $2)
         ORDER BY alias
        ",
        organization,
        alias,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many the transaction's organization has.
pub(crate) async fn count(tx: &mut TenantTransaction<'_>) -> Result<i64, Error> {
    let organization = tx.organization().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM gateway.routes WHERE organization_id = $1"#, // never null
        organization,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// Sets a route.
pub(crate) async fn put(
    tx: &mut TenantTransaction<'_>,
    id: Uuid,
    alias: &str,
    definition: &Value,
) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "
        INSERT INTO gateway.routes (id, organization_id, alias, definition)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT (organization_id, alias) DO UPDATE
           SET definition = EXCLUDED.definition
        ",
        id,
        organization,
        alias,
        definition,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a route; whether it was there.
pub(crate) async fn delete(tx: &mut TenantTransaction<'_>, alias: &str) -> Result<bool, Error> {
    let organization = tx.organization().uuid();
    let deleted = sqlx::query!(
        "DELETE FROM gateway.routes WHERE organization_id = $1 AND alias = $2",
        organization,
        alias,
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected() > 0)
}
