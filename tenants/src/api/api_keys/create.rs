//! `POST /api/v1/api-keys`: makes a key and shows its secret once.

use ::api::{Answer, Authorized, IdempotencyHeader, Once, Origin, Problem, idempotency};
use axum::extract::State;
use chrono::{DateTime, Utc};
use database::{AsDatabaseError, Bulkhead};
use serde::Deserialize;
use types::{Id, Permission, id};
use utoipa::ToSchema;

use super::NewApiKey;
use crate::Tenants;
use crate::api_keys::{self, Draft};
use crate::audit::Actor;

/// Why a key is not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the key cannot be made")]
    ApiKey(#[from] api_keys::Error),
    #[error("the request cannot be answered once")]
    Once(#[from] idempotency::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::ApiKey(error) => error.into(),
            Error::Once(error) => error.into(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        Self::ApiKey(error.into())
    }
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::ApiKey(error) => error.as_database_error(),
            Self::Once(error) => error.as_database_error(),
        }
    }
}

/// The key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What people call it.
    #[schema(example = "Invoice assistant", min_length = 1, max_length = 255)]
    name: String,
    /// What it may do, as far as your own key may. Left out: `ai:invoke`, `cache:read`,
    /// `cache:write` and `usage:read`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["ai:invoke", "usage:read"]))]
    scopes: Option<Vec<Permission>>,
    /// When it stops working. Left out: never.
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    /// For the operator: whose key it is. Others leave it out; it is their own organization's.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
}

/// Make an API key
///
/// The answer holds its secret, which is not shown again. Sent again with the same
/// `Idempotency-Key`, the answer is the same but for the secret, which is not kept.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys",
    tag = "API keys",
    params(IdempotencyHeader),
    request_body = CreateApiKey,
    responses(
        (status = CREATED, description = "The key and its secret", body = NewApiKey),
        (status = NOT_FOUND, description = "No such organization"),
        (status = CONFLICT, description = "The same request is still running"),
    ),
)]
pub(crate) async fn create_api_key(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    origin: Origin,
    once: Once<CreateApiKey>,
) -> Result<Answer, Problem> {
    let organization = authorized.organization(once.body.organization_id)?;
    let actor = Actor::of(&authorized.0, origin);
    let asked = once.body.scopes.as_deref();
    let draft = Draft {
        name: once.body.name.clone(),
        permissions: api_keys::permissions_for(asked, authorized.0.permissions)?,
        expires_at: once.body.expires_at,
    };

    let (once, actor, draft, clock) = (&once, &actor, &draft, tenants.clock.as_ref());
    let database = &tenants.database;
    let create = database.tenant("api keys: create", Bulkhead::Control, organization, |tx| {
        Box::pin(async move {
            if let Some(answer) = once.earlier(tx.connection(), organization).await? {
                return Ok::<_, Error>(answer);
            }
            let (api_key, key) = api_keys::create(tx, clock, actor, draft).await?;
            let shown = NewApiKey::shown(api_key, &key);
            let answer = Answer::created(&shown).kept_as(&shown.withheld());
            Ok(once.keep(tx.connection(), organization, answer).await?)
        })
    });
    Ok(create.await?)
}
