//! `POST /api/v1/invoices/{number}/pay`: says that an invoice is paid.

use ::api::{Authorized, Json, Path, Problem};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::InvoicePath;
use crate::api::Finance;
use crate::billing::{self, Invoice};

/// How it was paid.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// In the operator's words: a transfer's number, say.
    #[schema(example = "transfer 2026-11-07/44")]
    pub reference: String,
}

/// Mark an invoice as paid
///
/// For the operator; once. Nothing else of an invoice ever changes.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{number}/pay",
    tag = "Invoices",
    params(InvoicePath),
    request_body = Payment,
    responses(
        (status = OK, description = "The invoice", body = Invoice),
        (status = NOT_FOUND, description = "No invoice has this number"),
        (status = CONFLICT, description = "It is paid already"),
    ),
)]
pub(crate) async fn pay_invoice(
    State(finance): State<Finance>,
    _: Authorized,
    Path(path): Path<InvoicePath>,
    Json(payment): Json<Payment>,
) -> Result<axum::Json<Invoice>, Problem> {
    let (database, clock) = (&finance.database, &*finance.clock);
    let paid = billing::pay(database, clock, &path.number, &payment.reference);
    Ok(axum::Json(paid.await?))
}
