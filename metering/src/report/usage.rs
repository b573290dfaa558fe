//! The sheet of usage: who used how much of what, and what it cost.

use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;
use uuid::Uuid;

use super::line::{Dimensions, Line, Which};
use super::{Error, Filter, ReportRow};
use crate::sheet::{Cell, Column, Kind};

/// One line of the usage report; a dimension that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageRow {
    /// What was used.
    #[serde(flatten)]
    pub by: Dimensions,
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

/// What is not a dimension of all sheets.
const OWN: [Column; 23] = [
    Column::new("department_id", Kind::Text),
    Column::new("department", Kind::Text),
    Column::new("user_id", Kind::Text),
    Column::new("api_key_id", Kind::Text),
    Column::new("api_key", Kind::Text),
    Column::new("workflow_id", Kind::Text),
    Column::new("workflow", Kind::Text),
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

impl ReportRow for UsageRow {
    const WHICH: Which = Which::Usage;

    fn check(filter: &Filter) -> Result<(), Error> {
        filter.check_usage()
    }

    fn of(line: Line) -> Self {
        line.usage
    }

    fn own_columns() -> &'static [Column] {
        &OWN
    }

    fn cells(self) -> impl Iterator<Item = Cell> {
        let own = [
            self.department_id.into(),
            self.department.into(),
            self.user_id.into(),
            self.api_key_id.into(),
            self.api_key.into(),
            self.workflow_id.into(),
            self.workflow.into(),
            self.tag.into(),
            self.unallocated.then_some("unallocated").into(),
            self.requests.into(),
            self.hits.into(),
            self.failed_requests.into(),
            self.unknown_requests.into(),
            self.estimated_requests.into(),
            self.input_tokens.into(),
            self.cache_read_tokens.into(),
            self.output_tokens.into(),
            self.reasoning_tokens.into(),
            self.cost_usd.into(),
            self.saved_cost_usd.into(),
            self.failed_cost_usd.into(),
            self.estimated_cost_usd.into(),
            self.unknown_cost_usd.into(),
        ];
        self.by.cells().into_iter().chain(own)
    }
}
