//! One row of the export, from a charge or from the rounding of an invoice.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use rust_decimal::Decimal;
use serde_json::json;

use super::publisher::publisher;
use super::{Billing, Charge};
use crate::price::TokenClass;
use crate::sheet::Cell;

const CURRENCY: &str = "USD";

/// A charge; its cells are in the order of the columns.
pub(super) fn usage(billing: &Billing, charge: &Charge, operator: &str) -> Vec<Cell> {
    let cost: Cell = charge.cost.into();
    let quantity: Cell = Decimal::from(charge.quantity).into();
    let unit_price: Cell = each(charge.unit_price_usd).into();
    let (unit, meter) = words(charge.class);
    let next_day = charge.day.checked_add_days(Days::new(1));
    let sku = format!(
        "{}/{}/{}",
        charge.provider,
        charge.model,
        charge.class.as_str()
    );
    let details = json!({ "x_PriceId": charge.price_id, "x_Service": charge.service });
    vec![
        cost.clone(),
        account(operator).into(),
        operator.into(),
        CURRENCY.into(),
        midnight(billing.ends).into(),
        midnight(billing.begins).into(),
        "Usage".into(),
        is_late(billing, charge).then_some("Correction").into(),
        format!("{} {meter}", charge.model).into(),
        "Usage-Based".into(),
        midnight(next_day.unwrap_or(charge.day)).into(),
        midnight(charge.day).into(),
        Cell::Empty,
        quantity.clone(),
        unit.into(),
        cost.clone(),
        unit_price.clone(),
        cost.clone(),
        invoice(billing).into(),
        operator.into(),
        cost.clone(),
        unit_price.clone(),
        "Standard".into(),
        CURRENCY.into(),
        unit_price.clone(),
        cost,
        unit_price,
        quantity,
        unit.into(),
        operator.into(),
        publisher(&charge.provider, &charge.model).into(),
        "AI and Machine Learning".into(),
        charge.provider.as_str().into(),
        "Generative AI".into(),
        sku.clone().into(),
        meter.into(),
        details.to_string().into(),
        price(charge, &sku).into(),
        billing.organization_id.into(),
        billing.name.as_str().into(),
        "{}".into(),
        charge.model.as_str().into(),
        charge.provider.as_str().into(),
        charge.service.clone().into(),
        charge.class.as_str().into(),
        Decimal::from(charge.requests).into(),
        charge.estimated_cost.into(),
        charge.failed_cost.into(),
        billing.slug.as_str().into(),
    ]
}

/// What the invoice differs from the exact sum by; none before there is one, and where there is no difference.
pub(super) fn rounding(billing: &Billing, operator: &str) -> Option<Vec<Cell>> {
    let difference = billing.invoiced? - billing.exact;
    if difference.decimal().is_zero() {
        return None;
    }
    let cost: Cell = difference.into();
    Some(vec![
        cost.clone(),
        account(operator).into(),
        operator.into(),
        CURRENCY.into(),
        midnight(billing.ends).into(),
        midnight(billing.begins).into(),
        "Adjustment".into(),
        Cell::Empty,
        "Rounding of the invoice to the cent, with what earlier ones left over".into(),
        "One-Time".into(),
        midnight(billing.ends).into(),
        midnight(billing.begins).into(),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        cost.clone(),
        Cell::Empty,
        cost.clone(),
        invoice(billing).into(),
        operator.into(),
        cost.clone(),
        Cell::Empty,
        Cell::Empty,
        CURRENCY.into(),
        Cell::Empty,
        cost,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        operator.into(),
        operator.into(),
        "AI and Machine Learning".into(),
        "Invoicing".into(),
        "Generative AI".into(),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        billing.organization_id.into(),
        billing.name.as_str().into(),
        "{}".into(),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        billing.slug.as_str().into(),
    ])
}

/// The unit price, of one instead of a million: the decimal point moves by six places.
fn each(per_million: Decimal) -> Decimal {
    let mut each = per_million.normalize();
    // A price has six decimals at most, so that twelve are enough.
    let _ = each.set_scale(each.scale() + types::money::PRICE_SCALE);
    each.normalize()
}

/// The number of the invoice; of a period that is open, of the one that it will become.
fn invoice(billing: &Billing) -> String {
    let draft = || format!("DRAFT-{}-{}", billing.slug, billing.begins.format("%Y-%m"));
    billing.invoice_id.clone().unwrap_or_else(draft)
}

/// The operator's account, from which organizations are charged as sub-accounts.
fn account(operator: &str) -> String {
    let words = operator.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

/// Used in a month that was closed before it was booked.
fn is_late(billing: &Billing, charge: &Charge) -> bool {
    (charge.day.year(), charge.day.month()) != (billing.begins.year(), billing.begins.month())
}

/// What tells this unit price from all others.
fn price(charge: &Charge, sku: &str) -> String {
    let id = charge.price_id.map(|id| id.to_string());
    let service = charge.service.as_deref().unwrap_or("none");
    let unit_price = charge.unit_price_usd.normalize();
    format!(
        "{sku}@{}/{service}/{unit_price}",
        id.as_deref().unwrap_or("none")
    )
}

/// The unit and the meter of a class.
const fn words(class: TokenClass) -> (&'static str, &'static str) {
    match class {
        TokenClass::Input => ("Tokens", "Input Tokens"),
        TokenClass::AudioInput => ("Tokens", "Audio Input Tokens"),
        TokenClass::ImageInput => ("Tokens", "Image Input Tokens"),
        TokenClass::CacheRead => ("Tokens", "Cached Input Tokens"),
        TokenClass::CacheWrite5m => ("Tokens", "Cache Write Tokens, 5 Minutes"),
        TokenClass::CacheWrite1h => ("Tokens", "Cache Write Tokens, 1 Hour"),
        TokenClass::Output => ("Tokens", "Output Tokens"),
        TokenClass::Reasoning => ("Tokens", "Reasoning Tokens"),
        TokenClass::AudioOutput => ("Tokens", "Audio Output Tokens"),
        TokenClass::WebSearch => ("Searches", "Web Searches"),
        TokenClass::Markup => ("Charges", "Mark-up"),
        TokenClass::Undivided => ("Events", "Requests"),
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
