//! `POST /api/v1/organizations`: the operator makes a tenant.

use ::api::{Answer, Authorized, IdempotencyHeader, Once, Origin, Problem, idempotency};
use axum::extract::State;
use database::{AsDatabaseError, Bulkhead};
use serde::Deserialize;
use types::{Id, id};
use utoipa::ToSchema;

use crate::Tenants;
use crate::audit::Actor;
use crate::organizations::{self, Draft, Organization};

/// Why an organization is not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the organization cannot be made")]
    Organization(#[from] organizations::Error),
    #[error("the request cannot be answered once")]
    Once(#[from] idempotency::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Organization(error) => error.into(),
            Error::Once(error) => error.into(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        Self::Organization(error.into())
    }
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Organization(error) => error.as_database_error(),
            Self::Once(error) => error.as_database_error(),
        }
    }
}

/// The organization to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// What people call it.
    #[schema(example = "Acme Insurance", min_length = 1, max_length = 255)]
    name: String,
    /// Its name in addresses and on the command line; unique.
    #[schema(example = "acme", pattern = "^[a-z0-9-]+$", max_length = 100)]
    slug: String,
    /// The organization it is part of.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    parent_id: Option<Id<id::Organization>>,
}

/// Make an organization
///
/// For the operator. Make its first key with `create_api_key` and its `organization_id`.
#[utoipa::path(
    post,
    path = "/api/v1/organizations",
    tag = "Organizations",
    params(IdempotencyHeader),
    request_body = CreateOrganization,
    responses(
        (status = CREATED, description = "The organization", body = Organization),
        (status = CONFLICT, description = "The slug is taken, or the same request is still running"),
    ),
)]
pub(crate) async fn create_organization(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    origin: Origin,
    once: Once<CreateOrganization>,
) -> Result<Answer, Problem> {
    let draft = &Draft {
        name: once.body.name.clone(),
        slug: once.body.slug.clone(),
        parent_id: once.body.parent_id,
    };
    let own = authorized.0.organization;
    let actor = &Actor::of(&authorized.0, origin);
    let (database, clock, once) = (&tenants.database, tenants.clock.as_ref(), &once);
    let create = database.worker("organizations: create", Bulkhead::Control, |tx| {
        Box::pin(async move {
            if let Some(answer) = once.earlier(tx.connection(), own).await? {
                return Ok::<_, Error>(answer);
            }
            let organization = organizations::create(tx, clock, actor, draft).await?;
            let answer = Answer::created(&organization);
            Ok(once.keep(tx.connection(), own, answer).await?)
        })
    });
    Ok(create.await?)
}
