//! `POST /api/v1/prices/reprice`: the difference to the prices of now, and its booking.

use ::api::{Authorized, Json, Problem};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use types::{Id, id};
use utoipa::ToSchema;

use crate::api::Finance;
use crate::reprice::{self, Error, Repriced, Repricing};

/// What is to be repriced.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepriceRequest {
    /// The first moment of admission.
    pub from: DateTime<Utc>,
    /// The moment after the last one.
    pub until: DateTime<Utc>,
    /// One organization's events alone.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
    /// One provider's, by its name in the configuration.
    #[serde(default)]
    pub provider: Option<String>,
    /// One model's, as the provider calls it.
    #[serde(default)]
    pub model: Option<String>,
    /// Only see the difference. To book it, say false.
    #[serde(default = "yes")]
    pub dry_run: bool,
}

const fn yes() -> bool {
    true
}

/// Reprice what is booked
///
/// For the operator. Appends a correction for each event that costs something else by the prices of now; no event is changed, and
/// running it twice books nothing twice. A month that is invoiced stays as it is: the first open one takes its corrections.
#[utoipa::path(
    post,
    path = "/api/v1/prices/reprice",
    tag = "Prices",
    request_body = RepriceRequest,
    responses((status = OK, description = "What differs, and what was booked", body = Repriced)),
)]
pub(crate) async fn reprice_events(
    State(finance): State<Finance>,
    _: Authorized,
    Json(request): Json<RepriceRequest>,
) -> Result<axum::Json<Repriced>, Problem> {
    let repricing = Repricing {
        from: request.from,
        until: request.until,
        organization: request.organization_id,
        provider: request.provider,
        model: request.model,
        dry_run: request.dry_run,
        price_providers: finance.price_providers.as_ref().clone(),
    };
    let prices = finance.prices.load_full();
    let repriced = reprice::reprice(&finance.database, &prices, &repricing);
    Ok(axum::Json(repriced.await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Span => Self::invalid_field("until", "must lie after from"),
            Error::Database(error) => error.into(),
        }
    }
}
