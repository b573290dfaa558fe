//! Quantity times unit price is the cost of every row, and the rows add up to the period, and to the invoice.

use chrono::NaiveDate;
use proptest::prelude::*;
use rust_decimal::Decimal;
use types::Usd;
use uuid::Uuid;

use super::*;
use crate::sheet::{Cell, Sheet};

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, number).unwrap()
}

fn billing(number: u128, exact: Usd, invoiced: Option<i64>) -> Billing {
    Billing {
        organization_id: Uuid::from_u128(number),
        slug: format!("org-{number}"),
        name: format!("Organization {number}"),
        begins: day(1),
        ends: NaiveDate::from_ymd_opt(2026, 12, 1).unwrap(),
        exact,
        invoiced: invoiced.map(|cents| Usd::new(Decimal::new(cents, 2))),
        invoice_id: invoiced.map(|_| "INV-1".to_owned()),
    }
}

fn charge(day: NaiveDate, quantity: i64, micros: i64) -> Charge {
    let unit_price_usd = Decimal::new(micros, 6);
    let mut cost = Decimal::from(quantity) * unit_price_usd;
    cost.set_scale(cost.scale() + 6).unwrap();
    Charge {
        day,
        provider: "gemini".to_owned(),
        model: "gemini-2.5-flash".to_owned(),
        price_id: Some(Uuid::nil()),
        service: Some("standard".to_owned()),
        class: TokenClass::Output,
        unit_price_usd,
        requests: 1,
        quantity,
        cost: Usd::new(cost),
        estimated_cost: Usd::ZERO,
        failed_cost: Usd::ZERO,
    }
}

fn charged(billing: &Billing, charges: &[Charge]) -> Vec<Charged> {
    let of = |charge| Charged {
        billing: billing.clone(),
        charge,
    };
    if charges.is_empty() {
        return vec![of(None)];
    }
    charges
        .iter()
        .cloned()
        .map(|charge| of(Some(charge)))
        .collect()
}

fn amount(sheet: &Sheet, row: &[Cell], name: &str) -> Option<Decimal> {
    let place = sheet.columns.iter().position(|column| column.name == name);
    match &row[place.unwrap()] {
        Cell::Amount(amount) => Some(*amount),
        _ => None,
    }
}

fn word(sheet: &Sheet, row: &[Cell], name: &str) -> String {
    let place = sheet.columns.iter().position(|column| column.name == name);
    match &row[place.unwrap()] {
        Cell::Text(text) => text.clone(),
        _ => String::new(),
    }
}

proptest! {
    #[test]
    fn the_rows_add_up_to_the_invoice(
        charges in prop::collection::vec((1_u32..31, -5_i64..1_000_000_000, 0_i64..100_000_000), 0..20),
        cents in prop::option::of(0_i64..100_000_000),
    ) {
        let charges: Vec<_> = charges.into_iter().map(|(at, quantity, micros)| charge(day(at), quantity, micros)).collect();
        let exact: Usd = charges.iter().map(|charge| charge.cost).sum();
        let billing = billing(1, exact, cents);
        let sheet = sheet(&charged(&billing, &charges), "Operator Inc.").unwrap();

        let whole = cents.map_or(exact.decimal(), |cents| Decimal::new(cents, 2));
        prop_assert_eq!(sheet.sum("BilledCost"), whole);
        for row in &sheet.rows {
            prop_assert_eq!(row.len(), sheet.columns.len());
            let cost = amount(&sheet, row, "BilledCost").unwrap();
            for same in ["EffectiveCost", "ListCost", "ContractedCost"] {
                prop_assert_eq!(amount(&sheet, row, same), Some(cost));
            }
            if let Some(quantity) = amount(&sheet, row, "PricingQuantity") {
                prop_assert_eq!(quantity * amount(&sheet, row, "ListUnitPrice").unwrap(), cost);
            } else {
                prop_assert_eq!(word(&sheet, row, "ChargeCategory"), "Adjustment");
            }
            prop_assert!(!word(&sheet, row, "InvoiceId").is_empty());
        }
    }
}

#[test]
fn usage_of_an_earlier_month_is_a_correction_in_the_period_that_bills_it() {
    let late = NaiveDate::from_ymd_opt(2026, 10, 31).unwrap();
    let charges = [charge(late, 10, 2_500_000), charge(day(2), 10, 2_500_000)];
    let billing = billing(1, charges.iter().map(|charge| charge.cost).sum(), None);
    let sheet = sheet(&charged(&billing, &charges), "Operator").unwrap();
    let classes: Vec<_> = sheet
        .rows
        .iter()
        .map(|row| word(&sheet, row, "ChargeClass"))
        .collect();
    assert_eq!(classes, ["Correction", ""]);
    assert_eq!(
        word(&sheet, &sheet.rows[0], "InvoiceId"),
        "DRAFT-org-1-2026-11"
    );
    assert_eq!(word(&sheet, &sheet.rows[0], "PublisherName"), "Google");
}

#[test]
fn charges_that_do_not_add_up_to_the_period_are_not_exported() {
    let charges = [charge(day(2), 10, 2_500_000)];
    let billing = billing(1, Usd::ZERO, None);
    let refused = sheet(&charged(&billing, &charges), "Operator").unwrap_err();
    assert!(matches!(refused, FocusError::DoesNotAddUp { .. }));
}

#[test]
fn a_month_that_cost_nothing_has_no_rows_but_what_earlier_ones_left_over() {
    let empty = sheet(&charged(&billing(1, Usd::ZERO, None), &[]), "Operator").unwrap();
    assert_eq!(empty.rows.len(), 0);
    let carried = sheet(&charged(&billing(1, Usd::ZERO, Some(1)), &[]), "Operator").unwrap();
    assert_eq!(carried.rows.len(), 1);
    assert_eq!(carried.sum("BilledCost"), Decimal::new(1, 2));
}
