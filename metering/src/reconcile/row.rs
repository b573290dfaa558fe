//! The rows of a reconciliation.

use chrono::NaiveDate;
use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;

use crate::sheet::{Column, Kind, Sheet};

/// A line of the bill beside our books. The last five amounts add up to the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Row {
    /// The day, by UTC.
    pub day: NaiveDate,
    /// The model, as the provider names it.
    pub model: String,
    /// The class of tokens.
    pub token_class: String,
    /// What we counted.
    pub our_quantity: i64,
    /// What they counted.
    pub their_quantity: i64,
    /// What we booked.
    #[schema(value_type = String)]
    pub our_cost_usd: Usd,
    /// What they charge.
    #[schema(value_type = String)]
    pub their_cost_usd: Usd,
    /// Theirs less ours.
    #[schema(value_type = String)]
    pub difference_usd: Usd,
    /// What their quantity costs more with them than at our price.
    #[schema(value_type = String)]
    pub price_mismatch_usd: Usd,
    /// What requests of unknown usage may explain.
    #[schema(value_type = String)]
    pub unknown_usd: Usd,
    /// What usage counted here may explain.
    #[schema(value_type = String)]
    pub estimated_usd: Usd,
    /// What failed attempts may explain.
    #[schema(value_type = String)]
    pub failed_usd: Usd,
    /// What nothing explains.
    #[schema(value_type = String)]
    pub unexplained_usd: Usd,
}

const COLUMNS: [Column; 13] = [
    Column::new("day", Kind::Day),
    Column::new("model", Kind::Text),
    Column::new("token_class", Kind::Text),
    Column::new("our_quantity", Kind::Integer),
    Column::new("their_quantity", Kind::Integer),
    Column::new("our_cost_usd", Kind::Amount),
    Column::new("their_cost_usd", Kind::Amount),
    Column::new("difference_usd", Kind::Amount),
    Column::new("price_mismatch_usd", Kind::Amount),
    Column::new("unknown_usd", Kind::Amount),
    Column::new("estimated_usd", Kind::Amount),
    Column::new("failed_usd", Kind::Amount),
    Column::new("unexplained_usd", Kind::Amount),
];

/// The comparison as rows and columns.
pub fn sheet(rows: Vec<Row>) -> Sheet {
    let rows = rows.into_iter().map(|row| {
        vec![
            row.day.into(),
            row.model.into(),
            row.token_class.into(),
            row.our_quantity.into(),
            row.their_quantity.into(),
            row.our_cost_usd.into(),
            row.their_cost_usd.into(),
            row.difference_usd.into(),
            row.price_mismatch_usd.into(),
            row.unknown_usd.into(),
            row.estimated_usd.into(),
            row.failed_usd.into(),
            row.unexplained_usd.into(),
        ]
    });
    Sheet {
        columns: COLUMNS.to_vec(),
        rows: rows.collect(),
    }
}
