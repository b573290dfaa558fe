//! `metering.budgets`, as gateways spend them and as people see and set them.

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database, Error, TenantTransaction};
use rust_decimal::Decimal;
use types::Id;
use types::id::{Budget, Organization};
use uuid::Uuid;

use crate::quota::{Resource, Scope};

/// What a gateway has to know of a budget.
#[derive(Debug)]
pub(crate) struct Spendable {
    pub(crate) id: Id<Budget>,
    pub(crate) scope: Scope,
    pub(crate) resource: Resource,
    pub(crate) hard: bool,
}

/// A row, with the period that is over already counted as over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BudgetRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) scope_type: String,
    pub(crate) scope_id: Option<Uuid>,
    pub(crate) scope_tag: Option<String>,
    pub(crate) resource_type: String,
    pub(crate) limit: Decimal,
    pub(crate) used: Decimal,
    pub(crate) reserved: Decimal,
    pub(crate) period: String,
    pub(crate) reset_at: Option<DateTime<Utc>>,
    pub(crate) enforcement: String,
    pub(crate) alert_percents: Vec<i16>,
    pub(crate) alerted_percents: Vec<i16>,
}

/// What of a budget can be changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) limit: Decimal,
    pub(crate) period: &'a str,
    pub(crate) reset_at: Option<DateTime<Utc>>,
    pub(crate) enforcement: &'a str,
    pub(crate) alert_percents: &'a [i16],
}

/// The budgets of an organization, in the order in which they are taken.
pub(crate) async fn list_to_spend(
    database: &Database,
    organization: Id<Organization>,
) -> Result<Vec<Spendable>, Error> {
    let rows = database.tenant(
        "budgets: list to spend",
        Bulkhead::Hot,
        organization,
        |tx| {
            Box::pin(async move {
                let organization = tx.organization().uuid();
                let rows = sqlx::query!(
                    "
                SELECT id
                     , scope_type
                     , scope_id
                     , scope_tag
                     , resource_type
                     , enforcement
                  FROM metering.budgets
                 WHERE organization_id = $1
                 ORDER BY id
                ",
                    organization,
                )
                .fetch_all(tx.connection())
                .await?;
                rows.into_iter()
                    .map(|row| {
                        let scope =
                            scope_of(&row.scope_type, row.scope_id, row.scope_tag.as_deref());
                        let known = scope.zip(Resource::of(&row.resource_type));
                        let (scope, resource) = known.ok_or_else(|| inconsistent(row.id))?;
                        Ok(Spendable {
                            id: Id::from_uuid(row.id),
                            scope,
                            resource,
                            hard: row.enforcement == "hard",
                        })
                    })
                    .collect::<Result<Vec<_>, Error>>()
            })
        },
    );
    rows.await
}

/// The scope that the columns say.
pub(crate) fn scope_of(kind: &str, id: Option<Uuid>, tag: Option<&str>) -> Option<Scope> {
    match (kind, id, tag) {
        ("organization", None, None) => Some(Scope::Organization),
        ("department", Some(id), None) => Some(Scope::Department(Id::from_uuid(id))),
        ("api_key", Some(id), None) => Some(Scope::ApiKey(Id::from_uuid(id))),
        ("user", Some(id), None) => Some(Scope::User(Id::from_uuid(id))),
        ("workflow", Some(id), None) => Some(Scope::Workflow(Id::from_uuid(id))),
        ("tag", None, Some(tag)) => {
            let (name, value) = tag.split_once('=')?;
            Some(Scope::Tag {
                name: name.to_owned(),
                value: value.to_owned(),
            })
        }
        _ => None,
    }
}

pub(crate) fn inconsistent(id: Uuid) -> Error {
    Error::Inconsistent {
        table: "metering.budgets",
        column: "scope_type",
        id: id.to_string(),
    }
}

/// The organization's budgets after one, by id.
pub(crate) async fn list(
    tx: &mut TenantTransaction<'_>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<BudgetRow>, Error> {
    select(tx, None, after, limit).await
}

/// One budget.
pub(crate) async fn find(
    tx: &mut TenantTransaction<'_>,
    id: Id<Budget>,
) -> Result<Option<BudgetRow>, Error> {
    Ok(select(tx, Some(id.uuid()), None, 1).await?.pop())
}

async fn select(
    tx: &mut TenantTransaction<'_>,
    id: Option<Uuid>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<BudgetRow>, Error> {
    let organization = tx.organization().uuid();
    let rows = sqlx::query_as!(
        BudgetRow,
        r#"
        SELECT budget.id
             , budget.name
             , budget.scope_type
             , budget.scope_id
             , budget.scope_tag
             , budget.resource_type
             , budget.limit_amount AS "limit"
             , CASE WHEN over.is_over THEN 0 ELSE budget.used_amount END AS "used!" -- of columns that are never null
             , CASE WHEN over.is_over THEN 0 ELSE budget.reserved_amount END AS "reserved!"
             , budget.budget_period AS "period"
             , CASE WHEN over.is_over
                    THEN metering.period_end(COALESCE(budget.anchor_at, budget.reset_at), budget.budget_period, now())
                    ELSE budget.reset_at
               END AS reset_at
             , budget.enforcement
             , budget.alert_percents
             , ARRAY(
                   SELECT alert.percent
                     FROM metering.budget_alerts AS alert
                    WHERE alert.organization_id = budget.organization_id
                      AND alert.budget_id = budget.id
                      AND alert.period = budget.period
                      AND NOT over.is_over
                    ORDER BY alert.percent
               ) AS "alerted_percents!" -- an array, if an empty one
          FROM metering.budgets AS budget
         CROSS JOIN LATERAL (
            SELECT COALESCE(budget.reset_at <= now(), FALSE) AS is_over
         ) AS over
         WHERE budget.organization_id = $1
           AND ($2::uuid IS NULL OR budget.id = $2)
           AND ($3::uuid IS NULL OR budget.id > $3)
         ORDER BY budget.id
         LIMIT $4
        "#,
        organization,
        id,
        after,
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many budgets the organization has.
pub(crate) async fn count(tx: &mut TenantTransaction<'_>) -> Result<i64, Error> {
    let organization = tx.organization().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM metering.budgets WHERE organization_id = $1"#, // a count is never null
        organization,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// Whether the organization has what a scope names. A person is a member, or has made one of its keys.
pub(crate) async fn scope_exists(
    tx: &mut TenantTransaction<'_>,
    scope_type: &str,
    scope_id: Option<Uuid>,
) -> Result<bool, Error> {
    let organization = tx.organization().uuid();
    let exists = sqlx::query_scalar!(
        r#"
        SELECT CASE $2
                   WHEN 'department' THEN EXISTS (
                       SELECT FROM departments WHERE organization_id = $1 AND id = $3)
                   WHEN 'api_key' THEN EXISTS (
                       SELECT FROM api_keys WHERE organization_id = $1 AND id = $3)
                   WHEN 'user' THEN EXISTS (
                       SELECT FROM organization_members WHERE organization_id = $1 AND user_id = $3)
                       OR EXISTS (
                       SELECT FROM api_keys WHERE organization_id = $1 AND created_by = $3)
                   WHEN 'workflow' THEN EXISTS (
                       SELECT FROM workflows WHERE organization_id = $1 AND id = $3)
                   ELSE TRUE
               END AS "exists!" -- every branch is a truth value
        "#,
        organization,
        scope_type,
        scope_id,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(exists)
}

/// Locks a budget and begins its next period if that is due, so that what is read next is what is changed.
pub(crate) async fn lock(tx: &mut TenantTransaction<'_>, id: Id<Budget>) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "SELECT current_period FROM metering.lock_limit($1, NULL, $2)",
        organization,
        id.uuid(),
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Makes a budget for a scope and a resource.
pub(crate) async fn insert(
    tx: &mut TenantTransaction<'_>,
    id: Id<Budget>,
    (scope_type, scope_id, scope_tag, resource_type): (&str, Option<Uuid>, Option<&str>, &str),
    setting: Setting<'_>,
) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "
        INSERT INTO metering.budgets
               ( id, organization_id, scope_type, scope_id, scope_tag, resource_type, name, limit_amount, budget_period
               , reset_at, anchor_at, enforcement, alert_percents )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12)
        ",
        id.uuid(),
        organization,
        scope_type,
        scope_id,
        scope_tag,
        resource_type,
        setting.name,
        setting.limit,
        setting.period,
        setting.reset_at,
        setting.enforcement,
        setting.alert_percents,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Changes a budget. The period's end becomes the anchor of those to come unless it is one that the present anchor gives.
pub(crate) async fn update(
    tx: &mut TenantTransaction<'_>,
    id: Id<Budget>,
    setting: Setting<'_>,
) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "
        UPDATE metering.budgets
           SET name = $3
             , limit_amount = $4
             , budget_period = $5::text
             , reset_at = $6::timestamptz
             , anchor_at = CASE
                   WHEN budget_period = $5::text AND anchor_at IS NOT NULL
                    AND $6::timestamptz = metering.period_end(anchor_at, $5::text, $6::timestamptz - interval '1 microsecond') THEN anchor_at
                   ELSE $6::timestamptz
               END
             , enforcement = $7
             , alert_percents = $8
         WHERE organization_id = $1
           AND id = $2
        ",
        organization,
        id.uuid(),
        setting.name,
        setting.limit,
        setting.period,
        setting.reset_at,
        setting.enforcement,
        setting.alert_percents,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Deletes a budget, with its leases and alerts.
pub(crate) async fn delete(tx: &mut TenantTransaction<'_>, id: Id<Budget>) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "DELETE FROM metering.budgets WHERE organization_id = $1 AND id = $2",
        organization,
        id.uuid(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
