//! The sheet of costs: what was paid for, by token class and price.

use rust_decimal::Decimal;
use serde::Serialize;
use types::Usd;
use utoipa::ToSchema;

use super::line::{Dimensions, Line, Which};
use super::{Error, Filter, ReportRow};
use crate::sheet::{Cell, Column, Kind};

/// One line of the cost report; a dimension that was not asked for is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostRow {
    /// What it is the cost of.
    #[serde(flatten)]
    pub by: Dimensions,
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

/// What is not a dimension of all sheets.
const OWN: [Column; 4] = [
    Column::new("token_class", Kind::Text),
    Column::new("unit_price_usd", Kind::Amount),
    Column::new("quantity", Kind::Integer),
    Column::new("cost_usd", Kind::Amount),
];

impl ReportRow for CostRow {
    const WHICH: Which = Which::Costs;

    fn check(filter: &Filter) -> Result<(), Error> {
        filter.check_costs()
    }

    fn of(line: Line) -> Self {
        Self {
            by: line.usage.by,
            token_class: line.token_class,
            unit_price_usd: line.unit_price_usd,
            quantity: line.quantity,
            cost_usd: line.usage.cost_usd,
        }
    }

    fn own_columns() -> &'static [Column] {
        &OWN
    }

    fn cells(self) -> impl Iterator<Item = Cell> {
        let own = [
            self.token_class.into(),
            self.unit_price_usd.into(),
            self.quantity.into(),
            self.cost_usd.into(),
        ];
        self.by.cells().into_iter().chain(own)
    }
}
