//! The endpoints of usage and cost.

pub mod report;

use std::collections::BTreeSet;

use ::api::{Code, Problem};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{Datelike, Months, NaiveDate};
use serde::Deserialize;
use types::Id;
use types::id::{ApiKey, Department, Organization, User, Workflow};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::report::{Dimension, Filter, Paging, ROWS_MAX, UnknownDimension};

/// Which usage.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first day, by UTC; absent: the first of this month.
    pub from: Option<NaiveDate>,
    /// The day after the last one; absent: a month after `from`.
    pub until: Option<NaiveDate>,
    /// What gets rows of its own, separated by commas: organization, parent (with subsidiaries), department, user, `api_key`,
    /// workflow, step, month, day, provider, model, price, service, `usage_source`, outcome, `tag:KEY`; of costs also `token_class`.
    #[serde(default)]
    #[param(example = "month,model")]
    pub group_by: String,
    /// One provider only.
    pub provider: Option<String>,
    /// One model only, as the provider names it.
    pub model: Option<String>,
    /// One key only.
    #[param(value_type = Option<Uuid>)]
    pub api_key_id: Option<Id<ApiKey>>,
    /// One department only.
    #[param(value_type = Option<Uuid>)]
    pub department_id: Option<Id<Department>>,
    /// One user only.
    #[param(value_type = Option<Uuid>)]
    pub user_id: Option<Id<User>>,
    /// One workflow only.
    #[param(value_type = Option<Uuid>)]
    pub workflow_id: Option<Id<Workflow>>,
    /// One price only.
    pub price_id: Option<Uuid>,
    /// One service of providers only: standard, batch, flex or priority.
    pub service: Option<String>,
    /// One source of counts only: provider, estimated, unknown or cache.
    pub usage_source: Option<String>,
    /// Only what ended so: completed, replayed, rejected, failed, cancelled or unknown.
    pub outcome: Option<String>,
    /// One class of tokens only; of costs.
    pub token_class: Option<String>,
    /// For the operator: whose usage. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<Organization>>,
    /// For the operator: the usage of all organizations.
    #[serde(default)]
    pub all_organizations: bool,
    /// The most rows, 1 to 10,000.
    #[param(minimum = 1, maximum = 10000, default = 10000)]
    pub limit: Option<usize>,
    /// The `next` of the page before; absent for the first page.
    pub after: Option<String>,
}

impl UsageQuery {
    fn paging(&self) -> Result<Paging, Problem> {
        Ok(Paging {
            offset: self.after.as_deref().map_or(Ok(0), decode)?,
            limit: self.limit.unwrap_or(ROWS_MAX),
        })
    }

    fn filter(self, today: NaiveDate) -> Result<Filter, Problem> {
        let words = self.group_by.split(',').map(str::trim);
        let group_by: Result<BTreeSet<Dimension>, UnknownDimension> = words
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect();
        let invalid = |error: UnknownDimension| {
            Problem::new(Code::InvalidParameter).detail(error.to_string())
        };
        let from = self.from.or_else(|| today.with_day(1)).unwrap_or(today);
        let until = self
            .until
            .or_else(|| from.checked_add_months(Months::new(1)));
        Ok(Filter {
            from,
            until: until.unwrap_or(from),
            group_by: group_by.map_err(invalid)?,
            provider: self.provider,
            model: self.model,
            api_key: self.api_key_id,
            department: self.department_id,
            user: self.user_id,
            workflow: self.workflow_id,
            price: self.price_id,
            service: self.service,
            usage_source: self.usage_source,
            outcome: self.outcome,
            token_class: self.token_class,
        })
    }
}

/// What to send as `after` for the page behind this one.
fn next(paging: Paging, more: bool) -> Option<String> {
    more.then(|| BASE64_URL_SAFE_NO_PAD.encode((paging.offset + paging.limit).to_string()))
}

fn decode(cursor: &str) -> Result<usize, Problem> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let offset = text.and_then(|text| text.parse().ok());
    offset.ok_or_else(|| {
        Problem::new(Code::InvalidCursor).detail("send the `next` of the page before, unchanged")
    })
}
