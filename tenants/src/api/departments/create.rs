//! `POST /api/v1/departments`: makes a department.

use ::api::{Answer, Authorized, IdempotencyHeader, Once, Origin, Problem, idempotency};
use axum::extract::State;
use database::{AsDatabaseError, Bulkhead};
use serde::Deserialize;
use types::{Id, id};
use utoipa::ToSchema;

use crate::Tenants;
use crate::audit::Actor;
use crate::departments::{self, Department, Draft};

/// Why a department is not made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the department cannot be made")]
    Department(#[from] departments::Error),
    #[error("the request cannot be answered once")]
    Once(#[from] idempotency::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Department(error) => error.into(),
            Error::Once(error) => error.into(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        Self::Department(error.into())
    }
}

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Department(error) => error.as_database_error(),
            Self::Once(error) => error.as_database_error(),
        }
    }
}

/// The department to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDepartment {
    /// What people call it; unique in the organization.
    #[schema(example = "Claims", min_length = 1, max_length = 100)]
    name: String,
    /// The department it is part of.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    parent_id: Option<Id<id::Department>>,
    /// What it does.
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// For the operator: whose department it is. Others leave it out.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
}

/// Make a department
///
/// Usage can be reported by department.
#[utoipa::path(
    post,
    path = "/api/v1/departments",
    tag = "Departments",
    params(IdempotencyHeader),
    request_body = CreateDepartment,
    responses(
        (status = CREATED, description = "The department", body = Department),
        (status = NOT_FOUND, description = "No such organization"),
        (status = CONFLICT, description = "The name is taken, or the same request is still running"),
    ),
)]
pub(crate) async fn create_department(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    origin: Origin,
    once: Once<CreateDepartment>,
) -> Result<Answer, Problem> {
    let organization = authorized.organization(once.body.organization_id)?;
    let draft = &Draft {
        name: once.body.name.clone(),
        parent_id: once.body.parent_id,
        description: once.body.description.clone(),
    };
    let actor = &Actor::of(&authorized.0, origin);
    let (database, clock, once) = (&tenants.database, tenants.clock.as_ref(), &once);
    let create = database.tenant(
        "departments: create",
        Bulkhead::Control,
        organization,
        |tx| {
            Box::pin(async move {
                if let Some(answer) = once.earlier(tx.connection(), organization).await? {
                    return Ok::<_, Error>(answer);
                }
                let department = departments::create(tx, clock, actor, draft).await?;
                let answer = Answer::created(&department);
                Ok(once.keep(tx.connection(), organization, answer).await?)
            })
        },
    );
    Ok(create.await?)
}
