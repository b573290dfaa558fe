//! `GET /api/v1/invoices/{number}`: one closed month with its lines.

use ::api::{Authorized, Path, Problem};
use axum::Json;
use axum::extract::State;

use super::InvoicePath;
use crate::api::Finance;
use crate::billing::{self, Invoice};

/// Get an invoice
///
/// With its lines twice over: by what was charged, and by who used it.
#[utoipa::path(
    get,
    path = "/api/v1/invoices/{number}",
    tag = "Invoices",
    params(InvoicePath),
    responses(
        (status = OK, description = "The invoice", body = Invoice),
        (status = NOT_FOUND, description = "No invoice of the organization has this number"),
    ),
)]
pub(crate) async fn find_invoice(
    State(finance): State<Finance>,
    authorized: Authorized,
    Path(path): Path<InvoicePath>,
) -> Result<Json<Invoice>, Problem> {
    let caller = authorized.0;
    let organization = (!caller.is_operator()).then_some(caller.organization);
    let invoice = billing::find(&finance.database, organization, &path.number);
    Ok(Json(invoice.await?))
}
