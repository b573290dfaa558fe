//! `POST /api/v1/invoices/{number}/credits`: gives back a part of an invoice, in the open month.

use ::api::{Authorized, Json, Path, Problem};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::InvoicePath;
use crate::api::Finance;
use crate::billing::{self, Credit};

/// Whether it was booked now.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Credited {
    /// False: the same credit was booked before, and is not again.
    pub is_new: bool,
}

/// Credit an invoice
///
/// For the operator. The invoice stays as it is; the first open month takes the credit, as a correction that names the invoice.
/// The same reference is booked once.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/{number}/credits",
    tag = "Invoices",
    params(InvoicePath),
    request_body = Credit,
    responses(
        (status = OK, description = "It is booked", body = Credited),
        (status = NOT_FOUND, description = "No invoice has this number"),
    ),
)]
pub(crate) async fn credit_invoice(
    State(finance): State<Finance>,
    _: Authorized,
    Path(path): Path<InvoicePath>,
    Json(credit): Json<Credit>,
) -> Result<axum::Json<Credited>, Problem> {
    let prices = finance.prices.load_full();
    let booked = billing::credit(&finance.database, &prices, &path.number, &credit);
    Ok(axum::Json(Credited {
        is_new: booked.await?,
    }))
}
