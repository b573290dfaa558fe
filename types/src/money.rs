//! Money: US dollars as an exact decimal, never a float, never rounded on the way.
//!
//! A price has at most six decimals per million tokens, so price × tokens ÷ 10⁶ has at most twelve:
//! every product below is exact, and sums of exact numbers are exact. Rounding belongs to the invoice alone.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Decimals of a per-request amount: those of `NUMERIC(20, 12)`.
pub const USD_SCALE: u32 = 12;
/// Decimals of a price per million tokens: those of `NUMERIC(20, 6)`.
pub const PRICE_SCALE: u32 = 6;

/// An amount of US dollars.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(#[serde(with = "rust_decimal::serde::str")] Decimal);

/// A price in US dollars per million tokens, not negative and of at most [`PRICE_SCALE`] decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Decimal", into = "Decimal")]
pub struct UsdPerMillion(Decimal);

/// Why an amount could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// A price below zero.
    #[error("a price cannot be negative")]
    NegativePrice,
    /// More decimals than a price may have.
    #[error("a price has at most {PRICE_SCALE} decimals per million tokens")]
    PriceTooFine,
    /// The exact result does not fit into 28 digits.
    #[error("the amount is too large to be exact")]
    TooLarge,
}

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Takes an exact decimal.
    pub const fn new(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The exact decimal.
    pub const fn decimal(&self) -> Decimal {
        self.0
    }

    /// The sum, or an error where it would not be exact.
    pub fn checked_add(self, other: Self) -> Result<Self, Error> {
        self.0.checked_add(other.0).map(Self).ok_or(Error::TooLarge)
    }
}

impl UsdPerMillion {
    /// A price; refuses what could not be multiplied exactly.
    pub fn new(price: Decimal) -> Result<Self, Error> {
        let price = price.normalize();
        if price.is_sign_negative() && !price.is_zero() {
            return Err(Error::NegativePrice);
        }
        if price.scale() > PRICE_SCALE {
            return Err(Error::PriceTooFine);
        }
        Ok(Self(price))
    }

    /// The exact decimal.
    pub const fn decimal(&self) -> Decimal {
        self.0
    }

    /// What so many tokens cost: multiplied, then the decimal point moved by six places; no division, no rounding.
    pub fn cost_of(&self, tokens: u64) -> Result<Usd, Error> {
        let mut product = self
            .0
            .checked_mul(Decimal::from(tokens))
            .ok_or(Error::TooLarge)?;
        product
            .set_scale(product.scale() + PRICE_SCALE)
            .map_err(|_| Error::TooLarge)?;
        Ok(Usd(product.normalize()))
    }
}

impl TryFrom<Decimal> for UsdPerMillion {
    type Error = Error;

    fn try_from(price: Decimal) -> Result<Self, Self::Error> {
        Self::new(price)
    }
}

impl From<UsdPerMillion> for Decimal {
    fn from(price: UsdPerMillion) -> Self {
        price.0
    }
}

/// Amounts of one request are far below the 28 digits where a sum would lose any; totals use [`Usd::checked_add`].
impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_price_of_one_token_is_not_lost() {
        let price = UsdPerMillion::new(Decimal::new(1, 6)).unwrap();
        assert_eq!(price.cost_of(1).unwrap().to_string(), "0.000000000001");
    }

    #[test]
    fn a_price_finer_than_the_ledger_is_refused() {
        assert_eq!(
            UsdPerMillion::new(Decimal::new(1, 7)),
            Err(Error::PriceTooFine)
        );
        assert_eq!(
            UsdPerMillion::new(Decimal::new(-1, 0)),
            Err(Error::NegativePrice)
        );
    }

    proptest! {
        /// The oracle is plain integer arithmetic on millionths of a millionth of a dollar.
        #[test]
        fn cost_equals_integer_arithmetic(micros in 0_i64..10_000_000_000, tokens in 0_u64..10_000_000_000) {
            let cost = UsdPerMillion::new(Decimal::new(micros, PRICE_SCALE)).unwrap().cost_of(tokens).unwrap();
            let pico = i128::from(micros) * i128::from(tokens);
            prop_assert_eq!(cost.decimal(), Decimal::from_i128_with_scale(pico, USD_SCALE));
        }
    }
}
