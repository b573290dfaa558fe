//! Where money is rounded, the only place: an invoice's total to the cent, and its lines so that they add up to it.
//!
//! Half a cent goes up, as invoices have it and as Council Regulation (EC) No 1103/97, article 5, prescribes for amounts to be
//! paid ("exactly half-way … rounded up"); to the even cent would be fairer over many amounts, but what is rounded away here is
//! not lost: the next period takes it in. An amount below zero is not invoiced; all of it is carried on, as a credit.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use types::Usd;
use types::money::USD_SCALE;

/// Decimals of an amount that is paid.
pub(crate) const CENTS_SCALE: u32 = 2;

/// The smallest parts of a dollar in the books that make a cent.
const PARTS_PER_CENT: i128 = 10_i128.pow(USD_SCALE - CENTS_SCALE);

/// What an exact amount comes to on an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// In whole cents, and not below zero.
    pub total: Decimal,
    /// What the next period takes in.
    pub carry_out: Usd,
}

/// An amount that is too large to be exact, or parts that do not make their whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amounts of the invoice do not add up")]
pub struct NotExact;

/// Rounds an exact sum and what was carried into it.
pub fn round(exact: Usd, carry_in: Usd) -> Result<Rounded, NotExact> {
    let due = exact.checked_add(carry_in).map_err(|_| NotExact)?.decimal();
    let mut total = due
        .max(Decimal::ZERO)
        .round_dp_with_strategy(CENTS_SCALE, RoundingStrategy::MidpointAwayFromZero);
    total.rescale(CENTS_SCALE);
    let carry_out = due.checked_sub(total).ok_or(NotExact)?;
    Ok(Rounded {
        total,
        carry_out: Usd::new(carry_out),
    })
}

/// Whole cents for amounts that add up to whole cents: each is less than a cent from its own, and their sum is the same.
pub fn to_cents(amounts: &[Usd]) -> Result<Vec<Decimal>, NotExact> {
    let parts: Vec<i128> = amounts
        .iter()
        .map(|usd| parts_of(*usd))
        .collect::<Result<_, _>>()?;
    let sum = sum(&parts)?;
    if sum.rem_euclid(PARTS_PER_CENT) != 0 {
        return Err(NotExact);
    }
    let shares = parts.iter().map(|parts| Share {
        cents: parts.div_euclid(PARTS_PER_CENT),
        remainder: parts.rem_euclid(PARTS_PER_CENT),
    });
    by_largest_remainder(shares.collect(), sum / PARTS_PER_CENT)
}

/// Whole cents of a total in proportion to weights; none of them, where the weights add up to nothing.
pub fn allocate(total: Decimal, weights: &[Usd]) -> Result<Option<Vec<Decimal>>, NotExact> {
    let parts: Vec<i128> = weights
        .iter()
        .map(|usd| parts_of(*usd))
        .collect::<Result<_, _>>()?;
    let whole = sum(&parts)?;
    if whole <= 0 {
        return Ok(None);
    }
    let total = parts_of(Usd::new(total))? / PARTS_PER_CENT;
    let shares = parts.iter().map(|weight| {
        let share = weight.checked_mul(total).ok_or(NotExact)?;
        Ok(Share {
            cents: share.div_euclid(whole),
            remainder: share.rem_euclid(whole),
        })
    });
    let shares: Vec<_> = shares.collect::<Result<_, _>>()?;
    by_largest_remainder(shares, total).map(Some)
}

/// The cents below an exact share, and what is left of it.
#[derive(Debug, Clone, Copy)]
struct Share {
    cents: i128,
    remainder: i128,
}

/// Gives the cents that are left one each to those with the most left, earlier ones first.
fn by_largest_remainder(shares: Vec<Share>, total: i128) -> Result<Vec<Decimal>, NotExact> {
    let given = shares.iter().map(|share| share.cents).sum::<i128>();
    let left = (total - given).to_usize().ok_or(NotExact)?;
    if left > shares.len() {
        return Err(NotExact);
    }
    let mut order: Vec<(usize, i128)> = shares
        .iter()
        .map(|share| share.remainder)
        .enumerate()
        .collect();
    order.sort_by(|(_, one), (_, other)| other.cmp(one));
    let mut cents: Vec<i128> = shares.into_iter().map(|share| share.cents).collect();
    for (index, _) in order.into_iter().take(left) {
        if let Some(cents) = cents.get_mut(index) {
            *cents += 1;
        }
    }
    cents
        .into_iter()
        .map(|cents| Decimal::try_from_i128_with_scale(cents, CENTS_SCALE).map_err(|_| NotExact))
        .collect()
}

/// An amount as a whole number of the smallest parts that the books have.
fn parts_of(usd: Usd) -> Result<i128, NotExact> {
    let mut decimal = usd.decimal().normalize();
    if decimal.scale() > USD_SCALE {
        return Err(NotExact);
    }
    decimal.rescale(USD_SCALE);
    // A number that is too long to have all its decimals keeps fewer.
    if decimal.scale() != USD_SCALE {
        return Err(NotExact);
    }
    Ok(decimal.mantissa())
}

fn sum(parts: &[i128]) -> Result<i128, NotExact> {
    let mut all = parts.iter();
    all.try_fold(0_i128, |sum, part| sum.checked_add(*part))
        .ok_or(NotExact)
}
