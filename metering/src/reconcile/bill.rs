//! A provider's bill as it is uploaded: `day,model,token_class,quantity,cost_usd`, one line for each.
//!
//! Providers export their bills in forms of their own, which change; this one is small enough to be made from any of them
//! with a spreadsheet, and has no room for a second meaning.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use thiserror::Error;
use types::Usd;

use super::{Line, Theirs};
use crate::price::TokenClass;

/// The first line.
pub(super) const HEADER: &str = "day,model,token_class,quantity,cost_usd";

/// Lines of one bill: a month of a hundred models in ten classes is 31,000.
const LINES_MAX: usize = 100_000;

/// A bill that was read; lines about the same thing are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    lines: BTreeMap<Line, Theirs>,
}

/// What is wrong with a bill.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BillError {
    /// The header.
    #[error("the bill must begin with the line `{HEADER}`")]
    Header,
    /// A line, counted from 1.
    #[error("line {0} of the bill: {1}")]
    Line(usize, &'static str),
    /// More than there can be.
    #[error("the bill has more than {LINES_MAX} lines")]
    TooLong,
    /// A day that was not asked for.
    #[error("the bill has a line of {0}, which is outside of the month")]
    Outside(NaiveDate),
}

impl Bill {
    /// Reads a bill.
    pub fn parse(text: &str) -> Result<Self, BillError> {
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        if lines.next().map(str::trim) != Some(HEADER) {
            return Err(BillError::Header);
        }
        let mut read = BTreeMap::<Line, Theirs>::new();
        for (place, text) in lines.enumerate() {
            if place >= LINES_MAX {
                return Err(BillError::TooLong);
            }
            if text.trim().is_empty() {
                continue;
            }
            let (line, theirs) = line(text).map_err(|what| BillError::Line(place + 2, what))?;
            let sum = read.entry(line).or_default();
            sum.quantity = sum.quantity.saturating_add(theirs.quantity);
            sum.cost = sum.cost + theirs.cost;
        }
        Ok(Self { lines: read })
    }

    pub(super) const fn lines(&self) -> &BTreeMap<Line, Theirs> {
        &self.lines
    }

    pub(super) fn check(&self, from: NaiveDate, until: NaiveDate) -> Result<(), BillError> {
        let outside = self
            .lines
            .keys()
            .find(|line| line.day < from || line.day >= until);
        outside.map_or(Ok(()), |line| Err(BillError::Outside(line.day)))
    }
}

fn line(text: &str) -> Result<(Line, Theirs), &'static str> {
    let cells: Vec<&str> = text
        .split(',')
        .map(|cell| cell.trim().trim_matches('"'))
        .collect();
    let [day, model, class, quantity, cost] = cells.as_slice() else {
        return Err("it has not five cells");
    };
    let day = day
        .parse()
        .map_err(|_| "the day is not written as 2026-11-25")?;
    if model.is_empty() {
        return Err("the model is missing");
    }
    let class =
        TokenClass::parse(class).ok_or("the token class is none of ours; see docs/reports.md")?;
    let quantity = quantity
        .parse()
        .map_err(|_| "the quantity is no whole number")?;
    let cost: Decimal = cost.parse().map_err(|_| "the cost is no decimal number")?;
    if cost.normalize().scale() > types::money::USD_SCALE {
        return Err("the cost has more than twelve decimals");
    }
    let line = Line {
        day,
        model: (*model).to_owned(),
        class: class.as_str().to_owned(),
    };
    Ok((
        line,
        Theirs {
            quantity,
            cost: Usd::new(cost),
        },
    ))
}
