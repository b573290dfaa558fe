//! Budgets as people see and set them; how they are spent is the business of [`crate::quota`].

use chrono::{DateTime, Days, NaiveTime, Utc};
use database::TenantTransaction;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::id::Budget;
use types::{Clock, Id};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::quota::{Resource, Scope};
use crate::quotas::{Period, Refused};
use crate::store::budgets::{self as store, BudgetRow, Setting};

/// Budgets of one organization at most: each request looks at all of them.
pub const BUDGETS_MAX: i64 = 1_000;
/// The longest name, in characters.
const NAME_MAX: usize = 255;
/// Parts of one budget that are alerted at most.
const ALERTS_MAX: usize = 10;
/// The largest part that is alerted, in percent: soft budgets are overspent.
const ALERT_PERCENT_MAX: i16 = 1_000;

/// A budget and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetView {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: Id<Budget>,
    /// Whose spending it counts.
    pub scope: BudgetScope,
    /// What it counts.
    pub resource_type: BudgetResource,
    /// What can be changed.
    #[serde(flatten)]
    pub setting: BudgetSetting,
    /// Used in the present period, as far as it is booked.
    #[schema(value_type = String, example = "12.345")]
    pub used: Decimal,
    /// Handed out to gateways and not booked yet.
    #[schema(value_type = String, example = "0.5")]
    pub reserved: Decimal,
    /// What is left: limit − used − reserved, and never below zero.
    #[schema(value_type = String, example = "87.155")]
    pub remaining: Decimal,
    /// The parts that were reached in the present period, in percent.
    pub alerted_percents: Vec<i16>,
}

/// Whose spending a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BudgetScope {
    /// All of the organization's; set by the operator.
    Organization,
    /// A department's: that of the key.
    Department {
        /// The department.
        id: Uuid,
    },
    /// An API key's.
    ApiKey {
        /// The key.
        id: Uuid,
    },
    /// A person's, by whichever key.
    User {
        /// The person.
        id: Uuid,
    },
    /// A workflow's, as the header `x-flowpilot-workflow` says.
    Workflow {
        /// The workflow.
        id: Uuid,
    },
    /// What carries a label in the header `x-flowpilot-tags`.
    Tag {
        /// The label, as `name=value`.
        #[schema(example = "team=search")]
        tag: String,
    },
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetResource {
    /// Tokens at providers.
    AiTokens,
    /// Requests.
    ApiCalls,
    /// Dollars.
    Usd,
}

/// How long a budget's period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// A day of UTC.
    Daily,
    /// A month, beginning and ending on the same day as every month, or on the last where the month is shorter.
    Monthly,
    /// A year.
    Annual,
    /// It never begins anew.
    Total,
}

/// What happens at the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// Requests that may go beyond it are refused.
    #[default]
    Hard,
    /// Nothing; it is only counted and alerted.
    Soft,
}

/// What of a budget can be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSetting {
    /// What people call it; unique in the organization.
    #[schema(example = "Search, monthly", min_length = 1, max_length = 255)]
    pub name: String,
    /// The most that may be used in a period: dollars, tokens or calls.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "100.00")]
    pub limit: Decimal,
    /// How long a period is.
    pub period: BudgetPeriod,
    /// When the present period ends. Absent: as it was; for a new budget, with the calendar's day, month or year (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<DateTime<Utc>>,
    /// What happens at the limit.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// The parts of the limit that are alerted, in percent, once in each period.
    #[serde(default = "usual_alerts")]
    #[schema(example = json!([50, 80, 100]))]
    pub alert_percents: Vec<i16>,
}

pub(crate) fn usual_alerts() -> Vec<i16> {
    vec![50, 80, 100]
}

/// Why a budget was not made or changed, or is not there.
#[derive(Debug, Error)]
pub enum Error {
    /// No budget has this id.
    #[error("no such budget")]
    NotFound,
    /// A field is wrong.
    #[error("the field {0} {1}")]
    Invalid(&'static str, &'static str),
    /// Only the operator sets budgets of whole organizations.
    #[error("a budget of the whole organization is the operator's to set")]
    OperatorOnly,
    /// Another budget is called so.
    #[error("the name is taken")]
    NameTaken,
    /// There are as many as there may be.
    #[error("an organization has at most {BUDGETS_MAX} budgets")]
    TooMany,
    /// The budget is not as the caller read it, or the change did not say what it was meant for.
    #[error("the budget is not the one that was meant")]
    Precondition(#[source] Box<Refused>),
    /// The organization is not there.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The database failed.
    #[error("the budgets could not be read or written")]
    Database(#[source] database::Error),
}

/// What the caller may do with a budget of this scope, as it is now; the API's own words where it may not.
pub type Allowed<'a> = dyn Fn(&BudgetView) -> Result<(), Error> + Send + Sync + 'a;

/// The organization's budgets after one, by id.
pub async fn list(
    tx: &mut TenantTransaction<'_>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<BudgetView>, Error> {
    let rows = store::list(tx, after, limit).await?;
    rows.into_iter().map(BudgetView::try_from).collect()
}

/// One of them.
pub async fn find(tx: &mut TenantTransaction<'_>, id: Id<Budget>) -> Result<BudgetView, Error> {
    let row = store::find(tx, id).await?.ok_or(Error::NotFound)?;
    row.try_into()
}

/// Makes a budget; what was used before is not counted.
pub async fn create(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    (scope, resource): (&BudgetScope, BudgetResource),
    setting: &BudgetSetting,
) -> Result<BudgetView, Error> {
    setting.check(resource, clock.now())?;
    let (scope_id, tag) = scope.columns();
    if store::scope_of(scope.word(), scope_id, tag).is_none() {
        return Err(Error::Invalid("scope", "must be a label as name=value"));
    }
    if !store::scope_exists(tx, scope.word(), scope_id).await? {
        return Err(Error::Invalid(
            "scope",
            "names nothing of this organization",
        ));
    }
    if store::count(tx).await? >= BUDGETS_MAX {
        return Err(Error::TooMany);
    }
    let id = Id::new(clock);
    let row = setting.row(setting.reset_at_after(None, clock.now()));
    let what = (scope.word(), scope_id, tag, resource.word());
    store::insert(tx, id, what, row).await?;
    find(tx, id).await
}

/// Changes a budget, if the present one is what `allowed` accepts; what is used of it stays.
pub async fn put(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    (id, setting): (Id<Budget>, &BudgetSetting),
    allowed: &Allowed<'_>,
) -> Result<BudgetView, Error> {
    store::lock(tx, id).await?;
    let present = find(tx, id).await?;
    allowed(&present)?;
    setting.check(present.resource_type, clock.now())?;
    let reset_at = setting.reset_at_after(Some(&present.setting), clock.now());
    store::update(tx, id, setting.row(reset_at)).await?;
    find(tx, id).await
}

/// Deletes a budget, if the present one is what `allowed` accepts: what it limited is limited no more.
pub async fn delete(
    tx: &mut TenantTransaction<'_>,
    id: Id<Budget>,
    allowed: &Allowed<'_>,
) -> Result<(), Error> {
    store::lock(tx, id).await?;
    allowed(&find(tx, id).await?)?;
    store::delete(tx, id).await?;
    Ok(())
}

impl BudgetSetting {
    fn check(&self, resource: BudgetResource, now: DateTime<Utc>) -> Result<(), Error> {
        let length = self.name.chars().count();
        if length == 0 || length > NAME_MAX || self.name.contains('\0') {
            return Err(Error::Invalid("name", "must have 1 to 255 characters"));
        }
        let (limit_max, scale) = resource.bounds();
        if self.limit.is_sign_negative() || self.limit > limit_max {
            return Err(Error::Invalid(
                "limit",
                "must lie between 0 and 10^9 dollars, or 10^18 tokens or calls",
            ));
        }
        if self.limit.normalize().scale() > scale {
            return Err(Error::Invalid(
                "limit",
                "must be a whole number, or dollars of at most 9 decimals",
            ));
        }
        if self.reset_at.is_some_and(|reset_at| reset_at <= now) {
            return Err(Error::Invalid("reset_at", "must lie in the future"));
        }
        if self.reset_at.is_some() && self.period == BudgetPeriod::Total {
            return Err(Error::Invalid(
                "reset_at",
                "does not go with the period total",
            ));
        }
        let percents = &self.alert_percents;
        let sensible = percents
            .iter()
            .all(|percent| (1..=ALERT_PERCENT_MAX).contains(percent));
        if percents.len() > ALERTS_MAX || !sensible {
            return Err(Error::Invalid(
                "alert_percents",
                "must be at most 10 numbers from 1 to 1000",
            ));
        }
        Ok(())
    }

    fn row(&self, reset_at: Option<DateTime<Utc>>) -> Setting<'_> {
        Setting {
            name: &self.name,
            limit: self.limit,
            period: self.period.word(),
            reset_at,
            enforcement: match self.enforcement {
                Enforcement::Hard => "hard",
                Enforcement::Soft => "soft",
            },
            alert_percents: &self.alert_percents,
        }
    }

    /// The end of the present period: the one that is set, the one that was, or that of the calendar.
    fn reset_at_after(&self, present: Option<&Self>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let kept = present
            .filter(|present| present.period == self.period)
            .and_then(|present| present.reset_at);
        self.reset_at
            .or(kept)
            .or_else(|| self.period.calendar_end(now))
    }
}

impl BudgetPeriod {
    const fn word(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Monthly => "monthly",
            Self::Annual => "annual",
            Self::Total => "total",
        }
    }

    fn calendar_end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Daily => {
                let tomorrow = now.date_naive().checked_add_days(Days::new(1))?;
                Some(tomorrow.and_time(NaiveTime::MIN).and_utc())
            }
            Self::Monthly => Period::Monthly.calendar_end(now),
            Self::Annual => Period::Annual.calendar_end(now),
            Self::Total => None,
        }
    }
}

impl BudgetResource {
    const fn word(self) -> &'static str {
        match self {
            Self::AiTokens => Resource::AiTokens.as_str(),
            Self::ApiCalls => Resource::ApiCalls.as_str(),
            Self::Usd => Resource::Usd.as_str(),
        }
    }

    /// The largest limit, and its decimals: leases count in 64 bits.
    fn bounds(self) -> (Decimal, u32) {
        match self {
            Self::Usd => (Decimal::from(10_u64.pow(9)), 9),
            Self::AiTokens | Self::ApiCalls => (Decimal::from(10_u64.pow(18)), 0),
        }
    }
}

impl BudgetScope {
    const fn word(&self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Department { .. } => "department",
            Self::ApiKey { .. } => "api_key",
            Self::User { .. } => "user",
            Self::Workflow { .. } => "workflow",
            Self::Tag { .. } => "tag",
        }
    }

    fn columns(&self) -> (Option<Uuid>, Option<&str>) {
        match self {
            Self::Organization => (None, None),
            Self::Department { id }
            | Self::ApiKey { id }
            | Self::User { id }
            | Self::Workflow { id } => (Some(*id), None),
            Self::Tag { tag } => (None, Some(tag)),
        }
    }
}

impl From<Scope> for BudgetScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Organization => Self::Organization,
            Scope::Department(id) => Self::Department { id: id.uuid() },
            Scope::ApiKey(id) => Self::ApiKey { id: id.uuid() },
            Scope::User(id) => Self::User { id: id.uuid() },
            Scope::Workflow(id) => Self::Workflow { id: id.uuid() },
            Scope::Tag { name, value } => Self::Tag {
                tag: format!("{name}={value}"),
            },
        }
    }
}

impl TryFrom<BudgetRow> for BudgetView {
    type Error = Error;

    fn try_from(row: BudgetRow) -> Result<Self, Error> {
        let inconsistent = || Error::Database(store::inconsistent(row.id));
        let scope = store::scope_of(&row.scope_type, row.scope_id, row.scope_tag.as_deref());
        let resource_type = match row.resource_type.as_str() {
            "ai_tokens" => BudgetResource::AiTokens,
            "api_calls" => BudgetResource::ApiCalls,
            "usd" => BudgetResource::Usd,
            _ => return Err(inconsistent()),
        };
        let period = match row.period.as_str() {
            "daily" => BudgetPeriod::Daily,
            "monthly" => BudgetPeriod::Monthly,
            "annual" => BudgetPeriod::Annual,
            "total" => BudgetPeriod::Total,
            _ => return Err(inconsistent()),
        };
        let left = row.limit - row.used - row.reserved;
        Ok(Self {
            id: Id::from_uuid(row.id),
            scope: scope.ok_or_else(inconsistent)?.into(),
            resource_type,
            used: row.used.normalize(),
            reserved: row.reserved.normalize(),
            remaining: left.max(Decimal::ZERO).normalize(),
            alerted_percents: row.alerted_percents,
            setting: BudgetSetting {
                name: row.name,
                limit: row.limit.normalize(),
                period,
                reset_at: row.reset_at,
                enforcement: if row.enforcement == "soft" {
                    Enforcement::Soft
                } else {
                    Enforcement::Hard
                },
                alert_percents: row.alert_percents,
            },
        })
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::ForeignKey { .. } => Self::OrganizationNotFound,
            database::Error::Unique { .. } => Self::NameTaken,
            error => Self::Database(error),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
