//! `POST /api/v1/invoices/close`: closes a month, or shows what closing it would make.

use ::api::{Authorized, Json, Problem};
use axum::extract::State;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use types::{Id, id};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Finance;
use crate::billing::{self, Closing, Invoice};

/// What is to be closed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// The first day of the month.
    #[schema(example = "2026-10-01")]
    pub month: NaiveDate,
    /// Whose; absent: everybody's.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
    /// Only see what would be; nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Nodes that are not waited for, because they never come back; should one come back, what it still has is billed later.
    #[serde(default)]
    pub without_nodes: Vec<Uuid>,
}

/// What was closed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CloseReport {
    /// Every organization, in the order of their ids.
    pub data: Vec<Closed>,
}

/// One organization's month.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Closed {
    /// Whose.
    pub organization_id: Uuid,
    /// Its invoice; one that was issued before is given again.
    pub invoice: Option<Invoice>,
    /// Why there is none.
    pub error: Option<String>,
}

/// Close a month
///
/// For the operator. Each organization's month is closed by itself: one that cannot be says why and holds up no other. Closing a
/// closed month changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/invoices/close",
    tag = "Invoices",
    request_body = CloseRequest,
    responses(
        (status = OK, description = "What was closed", body = CloseReport),
        (status = CONFLICT, description = "The month or its grace is not over, or nodes have not booked all of it"),
    ),
)]
pub(crate) async fn close_month(
    State(finance): State<Finance>,
    authorized: Authorized,
    Json(request): Json<CloseRequest>,
) -> Result<axum::Json<CloseReport>, Problem> {
    let closing = Closing {
        month: request.month,
        grace: finance.close_grace,
        without_nodes: request.without_nodes,
        dry_run: request.dry_run,
        by: Some(authorized.0.user()),
    };
    let (database, clock) = (&finance.database, &*finance.clock);
    let prices = finance.prices.load_full();
    let closed = match request.organization_id {
        Some(organization) => {
            let invoice = billing::close(database, &prices, clock, (organization, &closing));
            vec![(organization, Ok(invoice.await?))]
        }
        None => billing::close_all(database, &prices, clock, &closing).await?,
    };
    let data = closed.into_iter().map(|(organization, closed)| {
        let (invoice, error) = match closed {
            Ok(invoice) => (Some(invoice), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Closed {
            organization_id: organization.uuid(),
            invoice,
            error,
        }
    });
    Ok(axum::Json(CloseReport {
        data: data.collect(),
    }))
}
