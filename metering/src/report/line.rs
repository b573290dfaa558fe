//! What the roll-ups answer, for every sheet: one line, of which each sheet shows its part.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::UsageRow;
use crate::sheet::{Cell, Column, Kind};

/// The dimensions that every sheet has; one that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dimensions {
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
}

/// All that is known of one combination of dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub(crate) usage: UsageRow,
    pub(crate) token_class: Option<String>,
    pub(crate) unit_price_usd: Option<Decimal>,
    pub(crate) quantity: Option<i64>,
}

/// Which sheet; it decides which roll-ups are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That of [`UsageRow`]s.
    Usage,
    /// That of [`super::CostRow`]s.
    Costs,
}

impl Dimensions {
    /// Their columns, the first ones of every sheet.
    pub(super) const COLUMNS: [Column; 11] = [
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
    ];

    /// The cells under these columns.
    pub(super) fn cells(self) -> [Cell; 11] {
        [
            self.organization_id.into(),
            self.organization.into(),
            self.parent_id.into(),
            self.parent.into(),
            self.period.into(),
            self.provider.into(),
            self.model.into(),
            self.price_id.into(),
            self.service.into(),
            self.usage_source.into(),
            self.outcome.into(),
        ]
    }
}

impl Which {
    /// The word in the query.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Costs => "costs",
        }
    }
}
