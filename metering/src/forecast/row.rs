//! The rows of the forecast.

use chrono::NaiveDate;
use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Costs, Estimate};
use crate::sheet::{Column, Kind, Sheet};

/// What a month will have cost one organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Row {
    /// Whose.
    pub organization_id: Uuid,
    /// Its slug.
    pub organization: String,
    /// The month's first day.
    pub month: NaiveDate,
    /// What it cost so far, today included.
    #[schema(value_type = String, example = "40.2")]
    pub so_far_usd: Usd,
    /// What it will have cost; null where there is too little data.
    #[schema(value_type = Option<String>, example = "123.4")]
    pub expected_usd: Option<Usd>,
    /// The lower end of the interval, about 95 %.
    #[schema(value_type = Option<String>, example = "110")]
    pub low_usd: Option<Usd>,
    /// Its upper end.
    #[schema(value_type = Option<String>, example = "136.8")]
    pub high_usd: Option<Usd>,
    /// Why there is no forecast: fewer than seven days of usage.
    pub too_little_data: bool,
}

const COLUMNS: [Column; 8] = [
    Column::new("organization_id", Kind::Text),
    Column::new("organization", Kind::Text),
    Column::new("month", Kind::Day),
    Column::new("so_far_usd", Kind::Amount),
    Column::new("expected_usd", Kind::Amount),
    Column::new("low_usd", Kind::Amount),
    Column::new("high_usd", Kind::Amount),
    Column::new("note", Kind::Text),
];

impl Row {
    pub(super) fn of(
        (organization_id, organization): (Uuid, String),
        (month, end): (NaiveDate, NaiveDate),
        costs: &Costs,
        estimate: Option<&Estimate>,
    ) -> Self {
        Self {
            organization_id,
            organization,
            month,
            so_far_usd: costs.range(month..end).map(|(_, cost)| *cost).sum(),
            expected_usd: estimate.map(|estimate| estimate.expected),
            low_usd: estimate.map(|estimate| estimate.low),
            high_usd: estimate.map(|estimate| estimate.high),
            too_little_data: estimate.is_none(),
        }
    }
}

/// The forecast as rows and columns.
pub fn sheet(rows: Vec<Row>) -> Sheet {
    let rows = rows.into_iter().map(|row| {
        vec![
            row.organization_id.into(),
            row.organization.into(),
            row.month.into(),
            row.so_far_usd.into(),
            row.expected_usd.into(),
            row.low_usd.into(),
            row.high_usd.into(),
            row.too_little_data.then_some("too little data").into(),
        ]
    });
    Sheet {
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}
