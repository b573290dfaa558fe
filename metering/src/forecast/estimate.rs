//! The arithmetic of the forecast: averages by weekday, and the spread around them.

use std::collections::BTreeMap;

use chrono::{Datelike, Months, NaiveDate, Weekday};
use rust_decimal::Decimal;
use types::Usd;

use super::{Costs, DAYS_MIN};

/// Decimals of what is estimated: more would only look exact.
const DECIMALS: u32 = 6;

/// How many standard deviations the interval reaches to each side: about 95 % of a normal distribution.
const DEVIATIONS: Decimal = Decimal::TWO;

/// Steps of Newton's method: each doubles the digits, and a start within a factor of 2^48 needs about that many to come near.
const NEWTON_STEPS: usize = 60;

/// What a month will have cost at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The expectation.
    pub expected: Usd,
    /// The lower end of the interval; never below what is spent already.
    pub low: Usd,
    /// The upper end.
    pub high: Usd,
}

/// Estimates the month of `today` from the costs of days, of which those before today are whole.
///
/// A day without costs after the first one cost nothing. None with fewer than [`DAYS_MIN`] whole days.
pub fn estimate(costs: &Costs, today: NaiveDate) -> Option<Estimate> {
    let whole = whole_days(costs, today);
    if whole.len() < DAYS_MIN {
        return None;
    }
    let profile = Profile::of(&whole);
    let month = today.with_day(1)?;
    let end = month.checked_add_months(Months::new(1))?;
    let spent_before: Decimal = whole
        .iter()
        .filter(|(day, _)| *day >= month)
        .map(|(_, cost)| *cost)
        .sum();
    let spent_today = costs.get(&today).map_or(Decimal::ZERO, Usd::decimal);
    let ahead: Vec<Decimal> = today
        .iter_days()
        .take_while(|day| *day < end)
        .map(|day| profile.expected(day))
        .collect();
    let rest = ahead.iter().sum::<Decimal>().max(spent_today);
    let reach = DEVIATIONS * profile.deviation(ahead.len());

    let spent = spent_before + spent_today;
    let expected = spent_before + rest;
    Some(Estimate {
        expected: rounded(expected),
        low: rounded((expected - reach).max(spent)),
        high: rounded(expected + reach),
    })
}

/// Every day from the first with costs to yesterday.
fn whole_days(costs: &Costs, today: NaiveDate) -> Vec<(NaiveDate, Decimal)> {
    let Some((first, _)) = costs
        .range(..today)
        .find(|(_, cost)| !cost.decimal().is_zero())
    else {
        return Vec::new();
    };
    let days = first.iter_days().take_while(|day| *day < today);
    let cost = |day| costs.get(&day).map_or(Decimal::ZERO, Usd::decimal);
    // Enough digits for a forecast, and few enough that squares of sums stay in range.
    days.map(|day| (day, cost(day).round_dp(DECIMALS)))
        .collect()
}

/// What a weekday costs on average, and how far days are from that.
struct Profile {
    means: BTreeMap<u32, Decimal>,
    variance: Decimal,
    days: Decimal,
}

impl Profile {
    fn of(days: &[(NaiveDate, Decimal)]) -> Self {
        let mut sums: BTreeMap<u32, (Decimal, Decimal)> = BTreeMap::new();
        for (day, cost) in days {
            let (sum, count) = sums.entry(number(day.weekday())).or_default();
            *sum += cost;
            *count += Decimal::ONE;
        }
        let means: BTreeMap<_, _> = sums
            .into_iter()
            .map(|(weekday, (sum, count))| (weekday, sum / count))
            .collect();
        let mut profile = Self {
            days: Decimal::from(days.len()),
            variance: Decimal::ZERO,
            means,
        };
        profile.variance = profile.variance_of(days);
        profile
    }

    /// With one of each weekday their average explains everything; then the spread between the weekdays is what is known.
    fn variance_of(&self, days: &[(NaiveDate, Decimal)]) -> Decimal {
        let free = self.days - Decimal::from(self.means.len());
        let mean = days.iter().map(|(_, cost)| *cost).sum::<Decimal>() / self.days;
        let (center, free): (&dyn Fn(NaiveDate) -> Decimal, _) = if free < Decimal::from(DAYS_MIN) {
            (&|_| mean, self.days - Decimal::ONE)
        } else {
            (&|day| self.expected(day), free)
        };
        let squares = days.iter().map(|(day, cost)| {
            let distance = *cost - center(*day);
            distance * distance
        });
        squares.sum::<Decimal>() / free
    }

    fn expected(&self, day: NaiveDate) -> Decimal {
        let mean = self.means.get(&number(day.weekday()));
        mean.copied().unwrap_or_default()
    }

    /// The deviation of the sum of so many days ahead: their own spread, and that of the average they are reckoned by.
    fn deviation(&self, ahead: usize) -> Decimal {
        let ahead = Decimal::from(ahead);
        square_root(self.variance * (ahead + ahead * ahead / self.days))
    }
}

fn number(weekday: Weekday) -> u32 {
    weekday.num_days_from_monday()
}

fn rounded(amount: Decimal) -> Usd {
    Usd::new(amount.round_dp(DECIMALS).normalize())
}

/// Newton's method; zero of what is not positive.
fn square_root(square: Decimal) -> Decimal {
    if square <= Decimal::ZERO {
        return Decimal::ZERO;
    }
    let mut root = square.max(Decimal::ONE);
    for _ in 0..NEWTON_STEPS {
        let next = (root + square / root) / Decimal::TWO;
        if next.round_dp(DECIMALS + 2) == root.round_dp(DECIMALS + 2) {
            return next;
        }
        root = next;
    }
    root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, number).unwrap()
    }

    fn costs(of: impl Fn(NaiveDate) -> i64, from: NaiveDate, until: NaiveDate) -> Costs {
        let days = from.iter_days().take_while(|day| *day < until);
        days.map(|day| (day, Usd::new(Decimal::from(of(day)))))
            .collect()
    }

    #[test]
    fn a_month_of_equal_days_costs_as_many_days_and_nothing_is_uncertain() {
        let costs = costs(|_| 10, day(1), day(16));
        let estimate = estimate(&costs, day(16)).unwrap();
        let whole = Usd::new(Decimal::from(300));
        assert_eq!(
            (estimate.low, estimate.expected, estimate.high),
            (whole, whole, whole)
        );
    }

    #[test]
    fn weekends_ahead_cost_what_weekends_cost() {
        let weekend = |day: NaiveDate| number(day.weekday()) >= 5;
        let from = NaiveDate::from_ymd_opt(2026, 10, 5).unwrap();
        let costs = costs(|day| if weekend(day) { 1 } else { 10 }, from, day(16));
        let estimate = estimate(&costs, day(16)).unwrap();
        // November 2026 has nine days of weekends and 21 others.
        assert_eq!(estimate.expected.to_string(), "219");
        assert_eq!(estimate.high, estimate.expected);
    }

    #[test]
    fn six_days_are_too_little() {
        let six = costs(|_| 10, day(10), day(16));
        assert_eq!(estimate(&six, day(16)), None);
        let seven = costs(|_| 10, day(9), day(16));
        assert!(estimate(&seven, day(16)).is_some());
        assert_eq!(estimate(&Costs::new(), day(16)), None);
    }

    #[test]
    fn the_last_day_of_a_month_forecasts_that_day_alone() {
        let costs = costs(|_| 10, day(1), day(30));
        let estimate = estimate(&costs, day(30)).unwrap();
        assert_eq!(estimate.expected.to_string(), "300");
    }

    #[test]
    fn roots_are_right_to_the_digits_that_are_shown() {
        for square in ["0.000001", "2", "144", "987654321.123456"] {
            let square: Decimal = square.parse().unwrap();
            let root = square_root(square);
            assert!((root * root - square).abs() <= square.max(Decimal::ONE) * Decimal::new(1, 6));
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_expectation_and_what_is_spent(
            amounts in prop::collection::vec(0_i64..1_000_000_000, 1..70), today in 1_u32..31,
        ) {
            let today = day(today);
            let first = today.checked_sub_days(chrono::Days::new(amounts.len() as u64)).unwrap();
            let days = first.iter_days().zip(&amounts);
            let costs: Costs = days.map(|(day, cents)| (day, Usd::new(Decimal::new(*cents, 2)))).collect();
            if let Some(estimate) = estimate(&costs, today) {
                let spent: Usd = costs.range(day(1)..).map(|(_, cost)| *cost).sum();
                prop_assert!(estimate.low <= estimate.expected && estimate.expected <= estimate.high);
                prop_assert!(spent <= estimate.low);
            }
        }
    }
}
