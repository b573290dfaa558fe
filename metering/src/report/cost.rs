//! The rows of the cost report.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sheet::{Column, Kind, Sheet};

/// One line of the cost report; a dimension that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostRow {
    /// Whose cost.
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
    /// Who counted the tokens: provider, estimated or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<String>,
    /// How the attempts ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The class of tokens; each token is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_class: Option<String>,
    /// US dollars for a million of the class; with the price as a dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1.25")]
    pub unit_price_usd: Option<Decimal>,
    /// How many of the class; with the class as a dimension, as different classes do not add up to anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// US dollars, exact.
    #[schema(value_type = String, example = "12.345678")]
    pub cost_usd: Usd,
}

/// The columns, always all of them, so that a program can rely on their places.
const COLUMNS: [Column; 15] = [
    Column::new("organization_id", Kind::Text),
    Column::new("organization", Kind::Text),
    Column::new("parent_id", Kind::Text),
    Column::new("parent", Kind::Text),
    Column::new("period", Kind::Day),
    Column::new("provider", Kind::Text),
    Column::new("model", Kind::Text),
    Column::new("price_id", Kind::Text),
    Column::new("service", Kind::Text),
    Column::new("usage_source", Kind::Text),
    Column::new("outcome", Kind::Text),
    Column::new("token_class", Kind::Text),
    Column::new("unit_price_usd", Kind::Amount),
    Column::new("quantity", Kind::Integer),
    Column::new("cost_usd", Kind::Amount),
];

/// The report as rows and columns.
pub fn costs_sheet(rows: Vec<CostRow>) -> Sheet {
    let rows = rows.into_iter().map(|row| {
        vec![
            row.organization_id.into(),
            row.organization.into(),
            row.parent_id.into(),
            row.parent.into(),
            row.period.into(),
            row.provider.into(),
            row.model.into(),
            row.price_id.into(),
            row.service.into(),
            row.usage_source.into(),
            row.outcome.into(),
            row.token_class.into(),
            row.unit_price_usd.into(),
            row.quantity.into(),
            row.cost_usd.into(),
        ]
    });
    Sheet {
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}
