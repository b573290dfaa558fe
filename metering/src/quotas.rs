//! Quotas as people see and set them; how they are spent is the business of [`crate::quota`].

use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use database::TenantTransaction;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Clock, Id};
use utoipa::ToSchema;

use crate::store::quotas::{self as store, QuotaRow, Setting};

/// Every resource that a quota can limit, as in `usage_quotas`. Calls and tokens are enforced by the gateway.
pub const RESOURCE_TYPES: [&str; 5] = [
    "ai_tokens",
    "api_calls",
    "executions",
    "storage_gb",
    "workflows",
];

/// A quota and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuotaView {
    /// What is limited.
    #[schema(example = "ai_tokens")]
    pub resource_type: String,
    /// The most that may be used in a period; of an unlimited quota it means nothing.
    pub limit: i64,
    /// Used in the present period, as far as it is booked.
    pub used: i64,
    /// Handed out to gateways and not booked yet.
    pub reserved: i64,
    /// What is left: limit − used − reserved, and never below zero.
    pub remaining: Option<i64>,
    /// How long a period is.
    pub period: Period,
    /// When the present period ends; absent for an unlimited quota.
    pub reset_at: Option<DateTime<Utc>>,
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A month, beginning and ending on the same day as every month, or on the last where the month is shorter.
    Monthly,
    /// A year.
    Annual,
    /// No end and no limit: only counted.
    Unlimited,
}

/// What is to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSetting {
    /// The most that may be used in a period.
    #[schema(minimum = 0)]
    pub limit: i64,
    /// How long a period is.
    pub period: Period,
    /// When the present period ends. Absent: as it was; for a new quota, with the calendar month or year (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<DateTime<Utc>>,
}

/// Why a quota was not set, or is not there.
#[derive(Debug, Error)]
pub enum Error {
    /// No resource of this name.
    #[error("no such resource")]
    UnknownResource,
    /// The organization has no quota of it.
    #[error("the organization has no such quota")]
    NotFound,
    /// The limit lies below zero.
    #[error("the limit must not be negative")]
    NegativeLimit,
    /// The end of the period does not lie ahead.
    #[error("the period's end must lie in the future")]
    PastReset,
    /// It was changed since it was read, or the change did not say what it was meant for.
    #[error("the quota is not the one that was meant")]
    Precondition(#[source] Box<Refused>),
    /// The organization is not there.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The database failed.
    #[error("the quotas could not be read or written")]
    Database(#[source] database::Error),
}

/// Why the caller's precondition does not hold; the API's own words.
#[derive(Debug, Error)]
#[error("the precondition does not hold")]
pub struct Refused(pub api::Problem);

/// All quotas of the transaction's organization.
pub async fn list(tx: &mut TenantTransaction<'_>) -> Result<Vec<QuotaView>, Error> {
    let rows = store::list(tx, None).await?;
    rows.into_iter().map(QuotaView::try_from).collect()
}

/// One of them.
pub async fn find(
    tx: &mut TenantTransaction<'_>,
    resource_type: &str,
) -> Result<Option<QuotaView>, Error> {
    known(resource_type)?;
    let row = store::list(tx, Some(resource_type)).await?.pop();
    row.map(QuotaView::try_from).transpose()
}

/// Sets a quota, if the present one is what `allowed` accepts; what is used of it stays.
pub async fn put(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    (resource_type, setting): (&str, QuotaSetting),
    allowed: impl FnOnce(Option<&QuotaView>) -> Result<(), api::Problem> + Send,
) -> Result<QuotaView, Error> {
    known(resource_type)?;
    setting.check(clock.now())?;
    store::lock(tx, resource_type).await?;
    let present = find(tx, resource_type).await?;
    allowed(present.as_ref()).map_err(|problem| Error::Precondition(Box::new(Refused(problem))))?;

    let reset_at = setting.reset_at_after(present.as_ref(), clock.now());
    let row = Setting {
        resource_type,
        limit: setting.limit,
        period: setting.period.as_str(),
        reset_at,
    };
    store::put(tx, Id::new(clock), row).await?;
    find(tx, resource_type).await?.ok_or(Error::NotFound)
}

fn known(resource_type: &str) -> Result<(), Error> {
    if RESOURCE_TYPES.contains(&resource_type) {
        return Ok(());
    }
    Err(Error::UnknownResource)
}

impl QuotaSetting {
    fn check(&self, now: DateTime<Utc>) -> Result<(), Error> {
        if self.limit < 0 {
            return Err(Error::NegativeLimit);
        }
        if self.reset_at.is_some_and(|reset_at| reset_at <= now) {
            return Err(Error::PastReset);
        }
        Ok(())
    }

    /// The end of the present period: the one that is set, the one that was, or that of the calendar.
    fn reset_at_after(
        &self,
        present: Option<&QuotaView>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if self.period == Period::Unlimited {
            return None;
        }
        let kept = present
            .filter(|present| present.period == self.period)
            .and_then(|present| present.reset_at);
        self.reset_at
            .or(kept)
            .or_else(|| self.period.calendar_end(now))
    }
}

impl Period {
    /// The word in `usage_quotas.quota_period`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Annual => "annual",
            Self::Unlimited => "unlimited",
        }
    }

    /// The end of the calendar's month or year, by UTC.
    pub(crate) fn calendar_end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = now.date_naive();
        let end = match self {
            Self::Monthly => today.with_day(1)?.checked_add_months(Months::new(1))?,
            Self::Annual => today.with_ordinal(1)?.checked_add_months(Months::new(12))?,
            Self::Unlimited => return None,
        };
        Some(end.and_time(NaiveTime::MIN).and_utc())
    }
}

impl TryFrom<QuotaRow> for QuotaView {
    type Error = Error;

    fn try_from(row: QuotaRow) -> Result<Self, Error> {
        let period = match row.period.as_str() {
            "monthly" => Period::Monthly,
            "annual" => Period::Annual,
            "unlimited" => Period::Unlimited,
            _ => {
                return Err(Error::Database(database::Error::Inconsistent {
                    table: "usage_quotas",
                    column: "quota_period",
                    id: row.resource_type,
                }));
            }
        };
        let left = row
            .limit
            .saturating_sub(row.used)
            .saturating_sub(row.reserved);
        Ok(Self {
            resource_type: row.resource_type,
            limit: row.limit,
            used: row.used,
            reserved: row.reserved,
            remaining: (period != Period::Unlimited).then_some(left.max(0)),
            period,
            reset_at: row.reset_at,
        })
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::ForeignKey { .. } => Self::OrganizationNotFound,
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
