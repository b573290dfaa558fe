//! `Idempotency-Key`: a creating request that is sent twice creates once.
//!
//! The answer is kept in the transaction that creates, so the two exist together or not at all:
//! a request that failed, or whose process died, left nothing behind and is simply run again.
//! While one request runs, an advisory lock of its transaction marks the key as in flight.
//!
//! The rules are Stripe's, but for errors: they keep nothing here, since they changed nothing.
//!
//! | the key was used | answer |
//! |---|---|
//! | not within 24 hours | the request runs |
//! | for the same request, which ended | the stored status and body, `idempotency-replayed: true` |
//! | for the same request, which still runs | 409 with `Retry-After` |
//! | for another request | 422 |
//!
//! Secrets are not stored: an [`Answer`] keeps what [`Answer::kept_as`] says instead, in which
//! the secret is missing. Whoever lost a key's secret with the first answer rotates the key.

mod store;

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::Database;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use types::id::Organization;
use types::{Caller, Id, Principal};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::auth::Authorized;
use crate::extract;
use crate::problem::{Code, Problem};

/// The header that names a creating request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header of an answer that was given before.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in characters, as in `api.idempotency_keys.key`.
const KEY_LENGTH_MAX: usize = 255;

/// When to try again while the first request runs: management transactions last milliseconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often kept answers whose time is over are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// A creating request: its body, and the means to answer it once. An extractor.
#[derive(Debug, Clone)]
pub struct Once<T> {
    /// The body.
    pub body: T,
    claim: Option<Claim>,
}

/// Which request this is.
#[derive(Debug, Clone)]
struct Claim {
    principal: Uuid,
    key: String,
    request_hash: String,
}

/// The header `Idempotency-Key`, for `params(…)` of an operation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyHeader {
    /// Any text of up to 255 characters that names this request, for instance a UUID. Sent again
    /// within 24 hours, the same request is answered as the first time.
    #[param(rename = "Idempotency-Key", required = false)]
    pub idempotency_key: Option<String>,
}

/// What a creating request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    body: Bytes,
    kept: Bytes,
    replayed: bool,
}

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The same key is being used at this moment.
    #[error("a request with the same idempotency key is still running")]
    InFlight,
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    Mismatch,
    /// The database failed.
    #[error("looking for an earlier answer")]
    Database(#[from] database::Error),
}

impl<T> Once<T> {
    /// The answer that was given before, if there is one. Call it first in the transaction that
    /// creates; until that ends, nobody else passes with the same key.
    pub async fn earlier(
        &self,
        connection: &mut PgConnection,
        organization: Id<Organization>,
    ) -> Result<Option<Answer>, Error> {
        let Some(claim) = &self.claim else {
            return Ok(None);
        };
        if !store::lock(connection, organization, claim).await? {
            return Err(Error::InFlight);
        }
        match store::find(connection, organization, claim).await? {
            Some(kept) if kept.request_hash != claim.request_hash => Err(Error::Mismatch),
            Some(kept) => Ok(Some(kept.into_answer())),
            None => Ok(None),
        }
    }

    /// Keeps the answer for 24 hours. Call it last in the transaction that creates.
    pub async fn keep(
        &self,
        connection: &mut PgConnection,
        organization: Id<Organization>,
        answer: Answer,
    ) -> Result<Answer, Error> {
        if let Some(claim) = &self.claim {
            store::insert(connection, organization, claim, &answer).await?;
        }
        Ok(answer)
    }
}

impl Answer {
    /// 201 with a body.
    pub fn created(body: &impl Serialize) -> Self {
        let body = Bytes::from(serde_json::to_vec(body).unwrap_or_default());
        Self {
            status: StatusCode::CREATED,
            kept: body.clone(),
            body,
            replayed: false,
        }
    }

    /// What is stored and answered later instead: the body without its secrets.
    #[must_use]
    pub fn kept_as(mut self, body: &impl Serialize) -> Self {
        self.kept = Bytes::from(serde_json::to_vec(body).unwrap_or_default());
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.status, self.body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if self.replayed {
            let replayed = HeaderValue::from_static("true");
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAYED, replayed);
        }
        response
    }
}

impl<T, S> FromRequest<S> for Once<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Authorized(caller) = Authorized::from_request_parts(&mut parts, state).await?;
        let key = key(&parts)?;
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let bytes = extract::body(Request::from_parts(parts, body), state).await?;

        let claim = key.map(|key| Claim {
            principal: principal(&caller),
            key,
            request_hash: {
                let target = uri.path_and_query().map_or("", |target| target.as_str());
                let line = format!("{method} {target}\n");
                hex::encode(
                    Sha256::new_with_prefix(line)
                        .chain_update(&bytes)
                        .finalize(),
                )
            },
        });
        let body = extract::parse(&bytes)?;
        Ok(Self { body, claim })
    }
}

/// The header's text, if it was sent.
fn key(parts: &Parts) -> Result<Option<String>, Problem> {
    let Some(value) = parts.headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_LENGTH_MAX => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("`Idempotency-Key` has 1 to {KEY_LENGTH_MAX} ASCII characters");
            Err(Problem::new(Code::InvalidHeader).detail(detail))
        }
    }
}

/// Two principals may use the same text without meeting.
const fn principal(caller: &Caller) -> Uuid {
    match caller.principal {
        Principal::Key { id, .. } | Principal::Operator { id, .. } => id.uuid(),
        Principal::User(user) => user.uuid(),
    }
}

/// Deletes kept answers whose time is over, every hour until it is stopped. Spawn it once.
pub async fn sweep_always(database: Database, stop: CancellationToken) {
    let mut tick = interval(SWEEP_INTERVAL);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        match store::sweep(&database).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "old idempotency keys deleted"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "old idempotency keys could not be deleted");
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::InFlight => Self::new(Code::RequestInFlight).retry_after(RETRY_AFTER),
            Error::Mismatch => Self::new(Code::IdempotencyMismatch),
            Error::Database(error) => error.into(),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::InFlight | Self::Mismatch => None,
        }
    }
}
