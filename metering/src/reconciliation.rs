//! Requests whose usage nobody knows, because a gateway did not live to settle them: the list that the provider's bill decides.
//!
//! They are booked at the estimate of their input and no output (see [`crate::journal`]), so that what is on this list is what
//! the books may be wrong by.

use chrono::{DateTime, NaiveDate, Utc};
use database::Database;
use serde::Serialize;
use types::Usd;
use uuid::Uuid;

use crate::report::{Error, ROWS_MAX, Scope};
use crate::store::unknown as store;

/// One attempt that was begun and never settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Whose request.
    pub organization_id: Uuid,
    /// Which, as in the answer's headers and in `ai_requests`.
    pub request_id: Uuid,
    /// Which attempt of it, from 1.
    pub attempt: i32,
    /// When it was admitted.
    pub created_at: DateTime<Utc>,
    /// Who was asked, or about to be.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The key it came with.
    pub api_key_id: Option<Uuid>,
    /// Tokens booked for it: the estimate of its input, from above.
    pub input_tokens: i64,
    /// What is booked for it, in US dollars, exact.
    pub cost_usd: Usd,
}

/// Those admitted from the first day on and before the second, by UTC, oldest first.
pub async fn unknown(
    database: &Database,
    scope: Scope,
    (from, until): (NaiveDate, NaiveDate),
) -> Result<Vec<Unknown>, Error> {
    if from >= until {
        return Err(Error::Span);
    }
    let span = (from, until);
    let rows = scope.read(
        database,
        "reconciliation: list",
        &span,
        |connection, of, span| Box::pin(store::list(connection, of, *span)),
    );
    let rows = rows.await?;
    if rows.len() > ROWS_MAX {
        return Err(Error::TooLong);
    }
    Ok(rows)
}
