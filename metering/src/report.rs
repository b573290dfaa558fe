//! What was used and what it cost, from the roll-ups: never from the events, however long the span.
//!
//! A row counts attempts at providers and answers from the cache; `cost_usd` is exact, and adds up to the billing period's total.

mod csv;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveDate};
use database::{Bulkhead, Database};
use serde::Serialize;
use thiserror::Error;
use types::id::{ApiKey, Organization};
use types::{Id, Usd};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::reports;

pub use csv::to_csv;

/// The longest span: a year and a day, so that a year can be asked for whichever way its end is meant.
const DAYS_MAX: u64 = 367;

/// Rows of one report; whoever needs more narrows it or groups by less.
pub const ROWS_MAX: usize = 10_000;

/// Whose usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One organization's.
    Organization(Id<Organization>),
    /// Everybody's; for the operator.
    All,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The first day, by UTC.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// What gets rows of its own.
    pub group_by: BTreeSet<Dimension>,
    /// One provider only.
    pub provider: Option<String>,
    /// One model only, as the provider names it.
    pub model: Option<String>,
    /// One key only.
    pub api_key: Option<Id<ApiKey>>,
}

/// What can get rows of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Each organization.
    Organization,
    /// Each month, by UTC.
    Month,
    /// Each day, by UTC.
    Day,
    /// Each provider.
    Provider,
    /// Each model.
    Model,
    /// Each key.
    ApiKey,
}

/// One line of the report; a dimension that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Row {
    /// Whose usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// The day, or the first day of the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<NaiveDate>,
    /// The provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<Uuid>,
    /// Attempts at providers, and answers from the cache.
    pub requests: i64,
    /// Answers from the cache among them.
    pub hits: i64,
    /// Requests whose usage nobody knows, because the process ended; booked at the estimate of their input.
    pub unknown_requests: i64,
    /// Requests whose usage was counted here, because the provider did not say.
    pub estimated_requests: i64,
    /// Input tokens, those from the provider's cache included.
    pub input_tokens: i64,
    /// Input tokens from the provider's cache.
    pub cache_read_tokens: i64,
    /// Output tokens, reasoning included.
    pub output_tokens: i64,
    /// Output tokens spent on reasoning.
    pub reasoning_tokens: i64,
    /// US dollars, exact.
    #[schema(value_type = String, example = "12.345678")]
    pub cost_usd: Usd,
    /// US dollars that answers from the cache would have cost.
    #[schema(value_type = String, example = "1.5")]
    pub saved_cost_usd: Usd,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Error {
    /// The end does not lie after the beginning, or too far.
    #[error("the span must have 1 to {DAYS_MAX} days")]
    Span,
    /// Month and day together make no sense.
    #[error("group by month or by day, not by both")]
    MonthAndDay,
    /// More than [`ROWS_MAX`].
    #[error("the report has more than {ROWS_MAX} rows; ask for a shorter span, or group by less")]
    TooLong,
    /// The database failed.
    #[error("the usage could not be read")]
    Database(#[from] database::Error),
}

/// The usage of an organization, or of all.
pub async fn usage(database: &Database, scope: Scope, filter: &Filter) -> Result<Vec<Row>, Error> {
    filter.check()?;
    let rows = match scope {
        Scope::Organization(organization) => {
            database
                .tenant("usage: report", Bulkhead::Control, organization, |tx| {
                    Box::pin(reports::usage(tx.connection(), Some(organization), filter))
                })
                .await?
        }
        Scope::All => {
            database
                .worker("usage: report", Bulkhead::Control, |tx| {
                    Box::pin(reports::usage(tx.connection(), None, filter))
                })
                .await?
        }
    };
    if rows.len() > ROWS_MAX {
        return Err(Error::TooLong);
    }
    Ok(rows)
}

impl Filter {
    /// Everything of a span, in one row.
    pub const fn of(from: NaiveDate, until: NaiveDate) -> Self {
        Self {
            from,
            until,
            group_by: BTreeSet::new(),
            provider: None,
            model: None,
            api_key: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let longest = self.from.checked_add_days(Days::new(DAYS_MAX));
        if self.until <= self.from || longest.is_none_or(|longest| self.until > longest) {
            return Err(Error::Span);
        }
        if self.by(Dimension::Month) && self.by(Dimension::Day) {
            return Err(Error::MonthAndDay);
        }
        Ok(())
    }

    /// Whether a dimension gets rows of its own.
    pub fn by(&self, dimension: Dimension) -> bool {
        self.group_by.contains(&dimension)
    }
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Organization,
        Self::Month,
        Self::Day,
        Self::Provider,
        Self::Model,
        Self::ApiKey,
    ];

    /// The word in `group_by`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Month => "month",
            Self::Day => "day",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::ApiKey => "api_key",
        }
    }
}

/// A word that is no dimension.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is none of organization, month, day, provider, model, api_key")]
pub struct UnknownDimension(pub String);

impl FromStr for Dimension {
    type Err = UnknownDimension;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == word);
        known.ok_or_else(|| UnknownDimension(word.to_owned()))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
