//! Rounding against an oracle of big rationals, over any sequence of months.

use num_bigint::BigInt;
use proptest::prelude::*;
use rust_decimal::Decimal;
use types::Usd;

use super::{NotExact, Rounded, allocate, round, to_cents};

/// The smallest parts of a dollar in the books.
const PARTS: i64 = 1_000_000_000_000;
const PARTS_PER_CENT: i64 = PARTS / 100;

fn usd(parts: i128) -> Usd {
    Usd::new(Decimal::from_i128_with_scale(parts, 12))
}

fn parts(amount: Decimal) -> BigInt {
    let mut amount = amount;
    amount.rescale(12);
    BigInt::from(amount.mantissa())
}

fn absolute(number: &BigInt) -> BigInt {
    BigInt::from(number.magnitude().clone())
}

fn cents(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[track_caller]
fn check(exact: &str, carry_in: &str, total: &str, carry_out: &str) {
    let rounded = round(Usd::new(cents(exact)), Usd::new(cents(carry_in)));
    let expected = Rounded {
        total: cents(total),
        carry_out: Usd::new(cents(carry_out)),
    };
    assert_eq!(rounded, Ok(expected));
}

#[test]
fn half_a_cent_goes_up_and_what_is_left_is_carried() {
    check("12.345", "0", "12.35", "-0.005");
    check("12.344999999999", "0", "12.34", "0.004999999999");
    check("12.344999999999", "0.000000000001", "12.35", "-0.005");
    check("0", "0", "0.00", "0");
    check("0.005", "-0.005", "0.00", "0");
}

/// The rows of the example in the documentation: month, exact, carried in, total, carried on.
#[test]
fn the_documented_example_is_what_the_program_does() {
    let text = include_str!("../../../docs/billing.md");
    let rows = text.lines().filter(|line| line.starts_with("| 2026-"));
    let mut carried = "0".to_owned();
    let mut months = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, exact, carry_in, total, carry_out] = cells.as_slice() else {
            panic!("{row}");
        };
        assert_eq!(*carry_in, carried, "{row}");
        check(exact, carry_in, total, carry_out);
        carried = (*carry_out).to_owned();
        months += 1;
    }
    assert_eq!(months, 5);
}

#[test]
fn what_is_below_nothing_is_a_credit_and_not_an_invoice() {
    check("-5", "0.004", "0.00", "-4.996");
    check("3", "-4.996", "0.00", "-1.996");
    check("2", "-1.996", "0.00", "0.004");
}

#[test]
fn parts_that_make_no_whole_cents_are_refused() {
    assert_eq!(to_cents(&[usd(1)]), Err(NotExact));
    let fine = Usd::new("0.0000000000001".parse().unwrap());
    assert_eq!(to_cents(&[fine]), Err(NotExact));
}

#[test]
fn the_cent_that_is_left_goes_to_the_largest_remainder() {
    let thirds = [usd(3_333_000_000), usd(3_334_000_000), usd(3_333_000_000)];
    let shared = to_cents(&thirds).unwrap();
    assert_eq!(shared, [cents("0.00"), cents("0.01"), cents("0.00")]);
    let weights = [usd(1), usd(1), usd(1)];
    let shared = allocate(cents("0.05"), &weights).unwrap().unwrap();
    assert_eq!(shared, [cents("0.02"), cents("0.02"), cents("0.01")]);
    assert_eq!(allocate(cents("0.05"), &[]), Ok(None));
}

proptest! {
    /// Whatever the months come to, what was invoiced is what was used but for half a cent.
    #[test]
    fn the_carry_stays_within_half_a_cent(months in proptest::collection::vec(0_i64..5_000 * PARTS, 1..40)) {
        let (mut carry, mut used, mut invoiced) = (Usd::ZERO, BigInt::from(0), BigInt::from(0));
        for month in months {
            let rounded = round(usd(month.into()), carry).unwrap();
            carry = rounded.carry_out;
            used += month;
            invoiced += parts(rounded.total);
            prop_assert!(absolute(&(&used - &invoiced)) * 2 <= BigInt::from(PARTS_PER_CENT));
            prop_assert_eq!(&used - &invoiced, parts(carry.decimal()));
        }
    }

    /// With corrections that go below nothing, too, nothing is lost: what was used is what was invoiced and what is carried.
    #[test]
    fn nothing_is_lost_by_credits(months in proptest::collection::vec(-50 * PARTS..50 * PARTS, 1..40)) {
        let (mut carry, mut used, mut invoiced) = (Usd::ZERO, BigInt::from(0), BigInt::from(0));
        for month in months {
            let rounded = round(usd(month.into()), carry).unwrap();
            carry = rounded.carry_out;
            used += month;
            invoiced += parts(rounded.total);
            prop_assert!(rounded.total >= Decimal::ZERO);
            prop_assert_eq!(&used - &invoiced, parts(carry.decimal()));
        }
    }

    /// Lines add up to the whole cents that they are of, and none is a cent away from its own.
    #[test]
    fn lines_in_cents_add_up(lines in proptest::collection::vec(-PARTS..9 * PARTS, 1..60)) {
        let sum: i64 = lines.iter().sum();
        let rest = sum.rem_euclid(PARTS_PER_CENT);
        let mut lines: Vec<Usd> = lines.into_iter().map(|line| usd(line.into())).collect();
        lines.push(usd((-rest).into()));
        let shared = to_cents(&lines).unwrap();
        let total: BigInt = shared.iter().map(|cents| parts(*cents)).sum();
        prop_assert_eq!(total, BigInt::from(sum - rest));
        for (cents, line) in shared.iter().zip(&lines) {
            let apart = absolute(&(parts(*cents) - parts(line.decimal())));
            prop_assert!(apart < BigInt::from(PARTS_PER_CENT));
        }
    }

    /// Departments' shares add up to the total, and none is a cent away from its proportion.
    #[test]
    fn shares_add_up_to_the_total(
        total in 0_i64..100_000_000,
        weights in proptest::collection::vec(0_i64..1_000 * PARTS, 1..40),
    ) {
        let whole: BigInt = weights.iter().copied().map(BigInt::from).sum();
        prop_assume!(whole != BigInt::from(0));
        let usds: Vec<_> = weights.iter().map(|weight| usd((*weight).into())).collect();
        let shared = allocate(Decimal::new(total, 2), &usds).unwrap().unwrap();
        let sum: Decimal = shared.iter().sum();
        prop_assert_eq!(sum, Decimal::new(total, 2));
        for (share, weight) in shared.iter().zip(&weights) {
            let share = BigInt::from(share.mantissa()) * &whole;
            let apart = absolute(&(share - BigInt::from(*weight) * total));
            prop_assert!(apart < whole);
        }
    }
}

/// What an invoice says by the book: the cents that are due, and one more from half a cent on; nothing where nothing is due.
fn due_in_cents(due: &BigInt) -> BigInt {
    let cent = BigInt::from(PARTS_PER_CENT);
    if *due <= BigInt::from(0) {
        return BigInt::from(0);
    }
    let (whole, rest) = (due / &cent, due % &cent);
    if rest * 2 < cent { whole } else { whole + 1 }
}

/// Cents handed out one by one: each to whom most is owed still, to the first of several. What is owed is over `whole`.
fn handed_out(owed: &[BigInt], whole: &BigInt, cents: &BigInt) -> Vec<BigInt> {
    let mut owed = owed.to_vec();
    let mut given = vec![BigInt::from(0); owed.len()];
    let mut left = cents.clone();
    while left > BigInt::from(0) {
        let mut most = 0;
        for one in 1..owed.len() {
            if owed[one] > owed[most] {
                most = one;
            }
        }
        owed[most] -= whole;
        given[most] += 1;
        left -= 1;
    }
    given
}

fn in_cents(amounts: &[Decimal]) -> Vec<BigInt> {
    let cents = amounts.iter().map(|amount| {
        assert_eq!(amount.scale(), 2);
        BigInt::from(amount.mantissa())
    });
    cents.collect()
}

/// Months of which many come to exactly half a cent.
fn months() -> impl Strategy<Value = Vec<i64>> {
    let halves = (-9_i64..30).prop_map(|halves| halves * PARTS_PER_CENT / 2);
    proptest::collection::vec(prop_oneof![halves, -PARTS..9 * PARTS], 1..40)
}

proptest! {
    #[test]
    fn every_invoice_is_what_is_due_by_the_book(months in months()) {
        let (mut carry, mut due) = (Usd::ZERO, BigInt::from(0));
        for month in months {
            due += month;
            let rounded = round(usd(month.into()), carry).unwrap();
            let cents = due_in_cents(&due);
            prop_assert_eq!(BigInt::from(rounded.total.mantissa()), cents.clone());
            due -= cents * PARTS_PER_CENT;
            prop_assert_eq!(parts(rounded.carry_out.decimal()), due.clone());
            carry = rounded.carry_out;
        }
    }

    /// Few weights of few sizes, so that remainders are often the same.
    #[test]
    fn shares_are_those_of_cents_handed_out_one_by_one(
        total in 0_i64..400,
        weights in proptest::collection::vec(0_i64..12, 1..12),
    ) {
        let whole: i64 = weights.iter().sum();
        prop_assume!(whole > 0);
        let usds: Vec<_> = weights.iter().map(|weight| usd((*weight).into())).collect();
        let owed: Vec<_> = weights.iter().map(|weight| BigInt::from(weight * total)).collect();
        let shared = allocate(Decimal::new(total, 2), &usds).unwrap().unwrap();
        prop_assert_eq!(in_cents(&shared), handed_out(&owed, &whole.into(), &total.into()));
    }

    /// Amounts in fifths of a cent, below nothing too: everybody first owes so much that nothing is below nothing.
    #[test]
    fn lines_are_those_of_cents_handed_out_one_by_one(fifths in proptest::collection::vec(-40_i64..60, 1..12)) {
        let mut fifths = fifths;
        let sum: i64 = fifths.iter().sum();
        fifths.push(-sum.rem_euclid(5));
        let lines: Vec<_> = fifths.iter().map(|fifth| usd((fifth * PARTS_PER_CENT / 5).into())).collect();
        let advance = 10;
        let owed: Vec<_> = fifths.iter().map(|fifth| BigInt::from(fifth + 5 * advance)).collect();
        let cents: BigInt = owed.iter().sum::<BigInt>() / 5;
        let expected = handed_out(&owed, &5.into(), &cents).into_iter().map(|cents| cents - advance);
        prop_assert_eq!(in_cents(&to_cents(&lines).unwrap()), expected.collect::<Vec<_>>());
    }
}
