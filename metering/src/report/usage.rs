//! The rows of the usage report.

use chrono::NaiveDate;
use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sheet::{Column, Kind, Sheet};

/// One line of the usage report; a dimension that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Row {
    /// Whose usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// Its slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The organization whose subsidiaries are counted with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<Uuid>,
    /// Its slug; only the operator sees that of another organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The day, or the first day of the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<NaiveDate>,
    /// The department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department_id: Option<Uuid>,
    /// Its name today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<Uuid>,
    /// Its name today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<Uuid>,
    /// Its name today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model, as the provider names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_id: Option<Uuid>,
    /// The provider's service: standard, batch, flex or priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Who counted the tokens: provider, estimated, unknown or cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<String>,
    /// How the attempts ended: completed, replayed, rejected, failed, cancelled or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The value of the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether a dimension that was asked for has no value here: nobody's department, workflow or tag.
    pub unallocated: bool,
    /// Attempts at providers, and answers from the cache.
    pub requests: i64,
    /// Answers from the cache among them.
    pub hits: i64,
    /// Attempts that failed.
    pub failed_requests: i64,
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
    /// The part of the cost that failed attempts had.
    #[schema(value_type = String, example = "0.25")]
    pub failed_cost_usd: Usd,
    /// The part of the cost whose usage was counted here.
    #[schema(value_type = String, example = "0.1")]
    pub estimated_cost_usd: Usd,
    /// The part of the cost whose usage nobody knows.
    #[schema(value_type = String, example = "0")]
    pub unknown_cost_usd: Usd,
}

/// The columns, always all of them, so that a program can rely on their places.
const COLUMNS: [Column; 34] = [
    Column::new("organization_id", Kind::Text),
    Column::new("organization", Kind::Text),
    Column::new("parent_id", Kind::Text),
    Column::new("parent", Kind::Text),
    Column::new("period", Kind::Day),
    Column::new("department_id", Kind::Text),
    Column::new("department", Kind::Text),
    Column::new("user_id", Kind::Text),
    Column::new("api_key_id", Kind::Text),
    Column::new("api_key", Kind::Text),
    Column::new("workflow_id", Kind::Text),
    Column::new("workflow", Kind::Text),
    Column::new("provider", Kind::Text),
    Column::new("model", Kind::Text),
    Column::new("price_id", Kind::Text),
    Column::new("service", Kind::Text),
    Column::new("usage_source", Kind::Text),
    Column::new("outcome", Kind::Text),
    Column::new("tag", Kind::Text),
    Column::new("unallocated", Kind::Text),
    Column::new("requests", Kind::Integer),
    Column::new("hits", Kind::Integer),
    Column::new("failed_requests", Kind::Integer),
    Column::new("unknown_requests", Kind::Integer),
    Column::new("estimated_requests", Kind::Integer),
    Column::new("input_tokens", Kind::Integer),
    Column::new("cache_read_tokens", Kind::Integer),
    Column::new("output_tokens", Kind::Integer),
    Column::new("reasoning_tokens", Kind::Integer),
    Column::new("cost_usd", Kind::Amount),
    Column::new("saved_cost_usd", Kind::Amount),
    Column::new("failed_cost_usd", Kind::Amount),
    Column::new("estimated_cost_usd", Kind::Amount),
    Column::new("unknown_cost_usd", Kind::Amount),
];

/// The report as rows and columns.
pub fn usage_sheet(rows: Vec<Row>) -> Sheet {
    let rows = rows.into_iter().map(|row| {
        vec![
            row.organization_id.into(),
            row.organization.into(),
            row.parent_id.into(),
            row.parent.into(),
            row.period.into(),
            row.department_id.into(),
            row.department.into(),
            row.user_id.into(),
            row.api_key_id.into(),
            row.api_key.into(),
            row.workflow_id.into(),
            row.workflow.into(),
            row.provider.into(),
            row.model.into(),
            row.price_id.into(),
            row.service.into(),
            row.usage_source.into(),
            row.outcome.into(),
            row.tag.into(),
            row.unallocated.then_some("unallocated").into(),
            row.requests.into(),
            row.hits.into(),
            row.failed_requests.into(),
            row.unknown_requests.into(),
            row.estimated_requests.into(),
            row.input_tokens.into(),
            row.cache_read_tokens.into(),
            row.output_tokens.into(),
            row.reasoning_tokens.into(),
            row.cost_usd.into(),
            row.saved_cost_usd.into(),
            row.failed_cost_usd.into(),
            row.estimated_cost_usd.into(),
            row.unknown_cost_usd.into(),
        ]
    });
    Sheet {
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}
