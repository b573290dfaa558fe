//! `POST /api/v1/budgets`: makes a budget.

use ::api::{Answer, Authorized, IdempotencyHeader, Once, Problem, idempotency};
use axum::extract::State;
use chrono::{DateTime, Utc};
use database::{AsDatabaseError, Bulkhead};
use rust_decimal::Decimal;
use serde::Deserialize;
use types::{Id, id};
use utoipa::ToSchema;

use super::may_set;
use crate::api::Finance;
use crate::budgets::{
    self, BudgetPeriod, BudgetResource, BudgetScope, BudgetSetting, BudgetView, Enforcement,
};

/// Why a budget is not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the budget cannot be made")]
    Budget(#[from] budgets::Error),
    #[error("the request cannot be answered once")]
    Once(#[from] idempotency::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Budget(error) => error.into(),
            Error::Once(error) => error.into(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        Self::Budget(error.into())
    }
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Budget(error) => error.as_database_error(),
            Self::Once(error) => error.as_database_error(),
        }
    }
}

/// The budget to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBudget {
    /// What people call it; unique in the organization.
    #[schema(example = "Search, monthly", min_length = 1, max_length = 255)]
    name: String,
    /// Whose spending it counts.
    scope: BudgetScope,
    /// What it counts.
    resource_type: BudgetResource,
    /// The most that may be used in a period: dollars, tokens or calls.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "100.00")]
    limit: Decimal,
    /// How long a period is.
    period: BudgetPeriod,
    /// When the present period ends. Absent: with the calendar's day, month or year (UTC).
    #[serde(default)]
    reset_at: Option<DateTime<Utc>>,
    /// What happens at the limit.
    #[serde(default)]
    enforcement: Enforcement,
    /// The parts of the limit that are alerted, in percent, once in each period.
    #[serde(default = "budgets::usual_alerts")]
    #[schema(example = json!([50, 80, 100]))]
    alert_percents: Vec<i16>,
    /// For the operator: whose budget it is. Others leave it out.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
}

/// Make a budget
///
/// Gateways notice within two seconds; what was used before is not counted. A budget of the whole organization is made by
/// the operator only.
#[utoipa::path(
    post,
    path = "/api/v1/budgets",
    tag = "Budgets",
    params(IdempotencyHeader),
    request_body = CreateBudget,
    responses(
        (status = CREATED, description = "The budget", body = BudgetView),
        (status = NOT_FOUND, description = "No such organization"),
        (status = CONFLICT, description = "The name is taken, there are too many, or the same request is still running"),
    ),
)]
pub(crate) async fn create_budget(
    State(finance): State<Finance>,
    authorized: Authorized,
    once: Once<CreateBudget>,
) -> Result<Answer, Problem> {
    let organization = authorized.organization(once.body.organization_id)?;
    may_set(&authorized, &once.body.scope)?;
    let setting = &once.body.setting();
    let (database, clock, once) = (&finance.database, finance.clock.as_ref(), &once);
    let create = database.tenant("budgets: create", Bulkhead::Control, organization, |tx| {
        Box::pin(async move {
            if let Some(answer) = once.earlier(tx.connection(), organization).await? {
                return Ok::<_, Error>(answer);
            }
            let what = (&once.body.scope, once.body.resource_type);
            let budget = budgets::create(tx, clock, what, setting).await?;
            let answer = Answer::created(&budget);
            Ok(once.keep(tx.connection(), organization, answer).await?)
        })
    });
    Ok(create.await?)
}

impl CreateBudget {
    fn setting(&self) -> BudgetSetting {
        BudgetSetting {
            name: self.name.clone(),
            limit: self.limit,
            period: self.period,
            reset_at: self.reset_at,
            enforcement: self.enforcement,
            alert_percents: self.alert_percents.clone(),
        }
    }
}
