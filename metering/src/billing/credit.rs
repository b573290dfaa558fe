//! Credit notes: an issued invoice is not changed; what it charged too much is given back in the first open period.

use chrono::Duration;
use database::{Bulkhead, Database};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::id::Event;
use types::{Id, Usd};
use utoipa::ToSchema;

use super::Error;
use super::rounding::CENTS_SCALE;
use crate::price::PriceBook;
use crate::store::adjustments::{self, AdjustedSubject, Adjustment, AdjustmentKind};
use crate::store::invoices;
use crate::store::periods::midnight;

/// The longest texts, in characters.
const REFERENCE_CHARS_MAX: usize = 100;
const REASON_CHARS_MAX: usize = 1_000;

/// What is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    /// The credit note's own number or name: the same one is booked once, however often it is sent.
    #[schema(example = "CN-7")]
    pub reference: String,
    /// US dollars to give back, in whole cents; all credits of an invoice together are at most its total.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "12.34")]
    pub amount_usd: Decimal,
    /// Why.
    #[schema(example = "outage of 3 November")]
    pub reason: String,
}

/// Gives back a part of an invoice, or all of it; whether this was new.
pub async fn credit(
    database: &Database,
    prices: &PriceBook,
    number: &str,
    credit: &Credit,
) -> Result<bool, Error> {
    credit.check()?;
    database
        .worker("billing: credit", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let connection = tx.connection();
                let locked = invoices::lock(connection, number).await?;
                let (organization, end, total, id) = locked.ok_or(Error::InvoiceNotFound)?;
                let event =
                    Id::<Event>::from_uuid(id).derive(&format!("credit/{}", credit.reference));
                let others = adjustments::credited(connection, organization, number, event).await?;
                if others + credit.amount_usd > total {
                    let left = total - others;
                    return Err(field(
                        "amount_usd",
                        format!("must be at most {left}, which is left of the invoice"),
                    ));
                }
                let adjustment = Adjustment {
                    id: event,
                    // The last moment that the invoice is about, whenever it is credited: the same credit is the same event.
                    created_at: midnight(end) - Duration::microseconds(1),
                    organization,
                    kind: AdjustmentKind::Correction,
                    cost: Usd::new(-credit.amount_usd),
                    metadata: json!({
                        "invoice": number,
                        "reference": credit.reference,
                        "reason": credit.reason,
                    }),
                    subject: AdjustedSubject {
                        provider: "credit".to_owned(),
                        model: number.to_owned(),
                        ..AdjustedSubject::default()
                    },
                };
                let (new, _) = adjustments::post(connection, &[adjustment], prices).await?;
                Ok(new > 0)
            })
        })
        .await
}

impl Credit {
    fn check(&self) -> Result<(), Error> {
        text("reference", &self.reference, REFERENCE_CHARS_MAX)?;
        text("reason", &self.reason, REASON_CHARS_MAX)?;
        let amount = self.amount_usd.normalize();
        if amount <= Decimal::ZERO || amount.scale() > CENTS_SCALE {
            return Err(field(
                "amount_usd",
                "must be above zero, in whole cents".to_owned(),
            ));
        }
        Ok(())
    }
}

pub(super) fn text(name: &'static str, text: &str, chars_max: usize) -> Result<(), Error> {
    let chars = text.chars().count();
    if chars == 0 || chars > chars_max || text.contains('\0') {
        return Err(field(
            name,
            format!("must have 1 to {chars_max} characters"),
        ));
    }
    Ok(())
}

pub(super) const fn field(field: &'static str, why: String) -> Error {
    Error::Field { field, why }
}
