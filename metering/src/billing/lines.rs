//! The lines of an invoice: what was charged, and who used it; both add up to the total to the cent.

use rust_decimal::Decimal;
use types::Usd;

use super::{Error, NotExact, allocate, to_cents};
use crate::store::invoices::LineRow;
use crate::store::periods::DepartmentSum;

/// What comes from earlier periods, and what goes to later ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried {
    pub(super) carry_in: Usd,
    pub(super) carry_out: Usd,
}

/// All lines: charges with what is carried, then departments.
pub(super) fn of(
    charges: Vec<LineRow>,
    departments: &[DepartmentSum],
    total: Decimal,
    carried: Carried,
) -> Result<Vec<LineRow>, Error> {
    let mut lines = charges;
    lines.extend(carry("carry_in", carried.carry_in));
    lines.extend(carry("carry_out", Usd::ZERO - carried.carry_out));
    let exact: Vec<_> = lines.iter().map(|line| line.exact).collect();
    let amounts = to_cents(&exact)?;
    if amounts.iter().sum::<Decimal>() != total {
        return Err(NotExact.into());
    }
    for (line, amount) in lines.iter_mut().zip(amounts) {
        line.amount = amount;
    }
    lines.extend(shares(departments, total)?);
    Ok(lines)
}

/// With what is carried, the exact amounts of the lines are a whole number of cents, and their sum is the total.
fn carry(kind: &str, amount: Usd) -> Option<LineRow> {
    (amount != Usd::ZERO).then(|| LineRow {
        breakdown: "charge".to_owned(),
        exact: amount,
        ..line(kind)
    })
}

/// The total in proportion to what each department used; where nothing was used, it is nobody's.
fn shares(departments: &[DepartmentSum], total: Decimal) -> Result<Vec<LineRow>, Error> {
    let used: Vec<_> = departments
        .iter()
        .map(|one| (one.department, one.cost - one.markups))
        .filter(|(department, cost)| department.is_some() || *cost != Usd::ZERO)
        .collect();
    let weights: Vec<_> = used.iter().map(|(_, cost)| *cost).collect();
    let Some(amounts) = allocate(total, &weights)? else {
        let nobodys = LineRow {
            breakdown: "department".to_owned(),
            exact: weights.into_iter().sum(),
            amount: total,
            ..line("department")
        };
        return Ok(vec![nobodys]);
    };
    let lines = used
        .into_iter()
        .zip(amounts)
        .map(|((department, exact), amount)| LineRow {
            breakdown: "department".to_owned(),
            department,
            exact,
            amount,
            ..line("department")
        });
    Ok(lines.collect())
}

fn line(kind: &str) -> LineRow {
    LineRow {
        breakdown: String::new(),
        kind: kind.to_owned(),
        department: None,
        provider: None,
        model: None,
        service: None,
        token_class: None,
        quantity: None,
        unit_price: None,
        exact: Usd::ZERO,
        amount: Decimal::ZERO,
    }
}
