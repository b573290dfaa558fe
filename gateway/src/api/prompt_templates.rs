//! The endpoints of prompt templates.

pub(crate) mod activate;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod render;
pub(crate) mod update;
pub(crate) mod version;
pub(crate) mod versions;

mod input;
mod transaction;

use ::api::{Authorized, Code, ETag, Origin, Path, Problem, Query};
use axum::extract::FromRequestParts;
use database::Database;
use serde::Deserialize;
use tenants::audit::Actor;
use types::{Clock, Id, id};
use utoipa::IntoParams;

use crate::template::manage::{Change, Error, Owner, PromptTemplate};

/// One template, in a path.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SlugPath {
    /// The template's slug.
    slug: String,
}

/// One version of a template, in a path.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct VersionPath {
    /// The template's slug.
    slug: String,
    /// The version's number.
    version: u32,
}

/// Whose template is meant.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Whose {
    /// For the operator: whose template it is. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
    /// For the operator: the platform's own template, which every organization may use.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    system: bool,
}

/// A template, whose it is, and from where it is asked for.
#[derive(Debug, FromRequestParts)]
pub(crate) struct Meant {
    #[from_request(via(Path))]
    path: SlugPath,
    #[from_request(via(Query))]
    whose: Whose,
    origin: Origin,
}

/// A version of a template, whose it is, and from where it is asked for.
#[derive(Debug, FromRequestParts)]
pub(crate) struct VersionMeant {
    #[from_request(via(Path))]
    path: VersionPath,
    #[from_request(via(Query))]
    whose: Whose,
    origin: Origin,
}

impl Whose {
    /// Whose template a change is about.
    fn owner(self, authorized: &Authorized) -> Result<Owner, Problem> {
        let organization = authorized.organization(self.organization_id)?;
        match self.system {
            false => Ok(Owner::Organization(organization)),
            true if authorized.0.is_operator() => Ok(Owner::System),
            true => Err(systems_own()),
        }
    }
}

/// The change of an authorized caller.
fn change<'a>(
    owner: Owner,
    authorized: &Authorized,
    actor: &'a Actor,
    clock: &'a dyn Clock,
) -> Change<'a> {
    let trail = match owner {
        Owner::Organization(organization) => organization,
        Owner::System => authorized.0.organization,
    };
    Change {
        owner,
        trail,
        actor,
        clock,
    }
}

/// The tag of what an update changes; how often a template is used is no part of it.
fn tag(template: &PromptTemplate) -> Result<ETag, Problem> {
    ETag::of(&(
        template.id,
        template.version,
        template.latest_version,
        &template.name,
        &template.description,
        template.updated_at,
    ))
}

fn systems_own() -> Problem {
    Problem::new(Code::PermissionDenied)
        .detail("the platform's templates are written by its operator")
}

/// Finds a template for reading.
async fn found(database: &Database, owner: Owner, slug: &str) -> Result<PromptTemplate, Problem> {
    transaction::run(database, "prompt templates: find", owner, |scope| {
        Box::pin(
            async move { Ok(crate::template::manage::find(scope.connection, owner, slug).await?) },
        )
    })
    .await
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::new(Code::NotFound).detail("no prompt template has this slug"),
            Error::VersionNotFound => {
                Self::new(Code::NotFound).detail("the prompt template has no such version")
            }
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::SystemOnly => systems_own(),
            Error::SlugTaken => Self::new(Code::AlreadyExists).detail("the slug is taken"),
            Error::TooMany(max) => Self::new(Code::Conflict).detail(format!(
                "there are {max} prompt templates already, which is the most"
            )),
            Error::Database(error) => error.into(),
        }
    }
}
