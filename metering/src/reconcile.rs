//! A provider's bill beside our books: by model, token class and day, what differs and what may explain it.
//!
//! The difference of a line is theirs minus ours, and is divided without a rest. What their price does not agree with ours in is
//! price mismatch. What they counted more or less is put to what we know to be unsure of that model and day, in this order and no
//! more than was booked so: requests whose usage nobody knows, usage that was counted here, attempts that failed. The rest is
//! unexplained. Everything that was asked of the provider counts, whoever paid.

mod bill;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use database::{Bulkhead, Database};
use rust_decimal::Decimal;
use thiserror::Error;
use types::Usd;

use crate::store::reconcile as store;

pub use bill::{Bill, BillError};
pub use row::{Row, sheet};

/// Decimals to which a unit price is divided out where ours differed within a day.
const UNIT_DECIMALS: u32 = 12;

/// What a line of a bill is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) day: NaiveDate,
    pub(crate) model: String,
    pub(crate) class: String,
}

/// What the provider says about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Theirs {
    pub(crate) quantity: i64,
    pub(crate) cost: Usd,
}

/// What our books say about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) quantity: i64,
    pub(crate) cost: Usd,
    /// The parts of the cost that are unsure.
    pub(crate) unsure: Unsure,
}

/// Costs that may be wrong, by why; of a day and model they explain that much of a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unsure {
    pub(crate) unknown: Usd,
    pub(crate) estimated: Usd,
    pub(crate) failed: Usd,
}

/// Why there is no comparison.
#[derive(Debug, Error)]
pub enum Error {
    /// The bill cannot be read.
    #[error(transparent)]
    Bill(#[from] BillError),
    /// The database failed.
    #[error("the books could not be read")]
    Database(#[from] database::Error),
}

/// Compares a bill with what was asked of a provider in a span of days; `until` is not included.
pub async fn reconcile(
    database: &Database,
    provider: &str,
    (from, until): (NaiveDate, NaiveDate),
    bill: &Bill,
) -> Result<Vec<Row>, Error> {
    bill.check(from, until)?;
    let ours = database
        .worker("reconcile: read", Bulkhead::Control, |tx| {
            Box::pin(store::ours(tx.connection(), provider, (from, until)))
        })
        .await?;
    Ok(compare(&ours, bill.lines()))
}

/// Every line that either side has.
pub(crate) fn compare(ours: &BTreeMap<Line, Ours>, theirs: &BTreeMap<Line, Theirs>) -> Vec<Row> {
    let mut unsure = unsure_by_day(ours);
    let mut lines: Vec<&Line> = ours.keys().chain(theirs.keys()).collect();
    lines.sort();
    lines.dedup();
    let rows = lines.into_iter().map(|line| {
        let ours = ours.get(line).copied().unwrap_or_default();
        let theirs = theirs.get(line).copied().unwrap_or_default();
        let budget = unsure.entry((line.day, line.model.as_str())).or_default();
        explain(line, ours, theirs, budget)
    });
    rows.collect()
}

fn unsure_by_day(ours: &BTreeMap<Line, Ours>) -> BTreeMap<(NaiveDate, &str), Unsure> {
    let mut by_day: BTreeMap<(NaiveDate, &str), Unsure> = BTreeMap::new();
    for (line, ours) in ours {
        let sum = by_day.entry((line.day, line.model.as_str())).or_default();
        sum.unknown = sum.unknown + ours.unsure.unknown;
        sum.estimated = sum.estimated + ours.unsure.estimated;
        sum.failed = sum.failed + ours.unsure.failed;
    }
    by_day
}

/// Divides a line's difference; what is explained by what was unsure is taken from the budget of its day and model.
fn explain(line: &Line, ours: Ours, theirs: Theirs, budget: &mut Unsure) -> Row {
    let difference = theirs.cost - ours.cost;
    let price_mismatch = price_mismatch(ours, theirs);
    let counted = difference - price_mismatch;
    let (unknown, rest) = take(&mut budget.unknown, counted);
    let (estimated, rest) = take(&mut budget.estimated, rest);
    let (failed, unexplained) = take(&mut budget.failed, rest);
    Row {
        day: line.day,
        model: line.model.clone(),
        token_class: line.class.clone(),
        our_quantity: ours.quantity,
        their_quantity: theirs.quantity,
        our_cost_usd: ours.cost,
        their_cost_usd: theirs.cost,
        difference_usd: difference,
        price_mismatch_usd: price_mismatch,
        unknown_usd: unknown,
        estimated_usd: estimated,
        failed_usd: failed,
        unexplained_usd: unexplained,
    }
}

/// What their quantity costs with them, less what it would with us; nothing where we have no price or they no quantity.
fn price_mismatch(ours: Ours, theirs: Theirs) -> Usd {
    if ours.quantity <= 0 || theirs.quantity <= 0 {
        return Usd::ZERO;
    }
    let (ours_quantity, theirs_quantity) =
        (Decimal::from(ours.quantity), Decimal::from(theirs.quantity));
    let at_our_price = if ours.quantity == theirs.quantity {
        ours.cost.decimal()
    } else {
        // Multiplied first: exact, but for the last of twelve decimals.
        (ours.cost.decimal() * theirs_quantity / ours_quantity).round_dp(UNIT_DECIMALS)
    };
    theirs.cost - Usd::new(at_our_price)
}

/// Takes of a budget what an amount needs, with the amount's sign: what was taken, and what is left of the amount.
fn take(budget: &mut Usd, amount: Usd) -> (Usd, Usd) {
    let wanted = amount
        .decimal()
        .abs()
        .min(budget.decimal().max(Decimal::ZERO));
    *budget = *budget - Usd::new(wanted);
    let taken = Usd::new(if amount.decimal().is_sign_negative() {
        -wanted
    } else {
        wanted
    });
    (taken, amount - taken)
}
