//! Teams inside an organization, by which usage is reported.

mod store;

use chrono::{DateTime, Utc};
use database::TenantTransaction;
use serde::Serialize;
use serde_json::json;
use types::{Clock, Id, id};
use utoipa::ToSchema;

use crate::audit::{self, Actor, Entry};
use crate::text::{self, NameError};

/// The longest name, in characters: the width of its column.
const NAME_CHARS_MAX: usize = 100;

/// The longest description, in characters: a paragraph.
const DESCRIPTION_CHARS_MAX: usize = 2000;

/// A department.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Department {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: Id<id::Department>,
    /// What people call it; unique in the organization.
    #[schema(example = "Claims")]
    pub name: String,
    /// The department it is part of.
    #[schema(value_type = Option<Uuid>)]
    pub parent_id: Option<Id<id::Department>>,
    /// What it does.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A department that is to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// The department it is part of.
    pub parent_id: Option<Id<id::Department>>,
    /// What it does.
    pub description: Option<String>,
}

/// Why departments cannot be managed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The organization does not exist.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The name cannot be one.
    #[error("the name is not acceptable")]
    Name(#[source] NameError),
    /// The description is too long.
    #[error("the description is too long")]
    Description,
    /// Another department has the name.
    #[error("the name is taken")]
    NameTaken,
    /// The organization has no such department.
    #[error("no such parent department")]
    ParentNotFound,
    /// The database failed.
    #[error("managing departments")]
    Database(#[source] database::Error),
}

/// Makes a department.
pub async fn create(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    draft: &Draft,
) -> Result<Department, Error> {
    let organization = tx.organization();
    let department = Department {
        id: Id::new(clock),
        name: text::name(&draft.name, NAME_CHARS_MAX).map_err(Error::Name)?,
        parent_id: draft.parent_id,
        description: draft.description.clone(),
        created_at: clock.now(),
    };
    let description = department.description.as_deref().unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        return Err(Error::Description);
    }
    store::insert(tx.connection(), organization, &department).await?;
    let entry = Entry {
        organization,
        action: "department.create",
        resource_type: "department",
        resource: department.id.uuid(),
        old: None,
        new: Some(json!({
            "name": department.name,
            "parent_id": department.parent_id,
            "description": department.description,
        })),
        at: department.created_at,
    };
    audit::record(tx.connection(), actor, &entry).await?;
    Ok(department)
}

/// The organization's departments by name, after a name.
pub async fn list(
    tx: &mut TenantTransaction<'_>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Department>, Error> {
    let organization = tx.organization();
    Ok(store::list(tx.connection(), organization, after, limit).await?)
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error.constraint() {
            Some("unique_dept_name_per_org") => Self::NameTaken,
            Some("departments_parent_fkey") => Self::ParentNotFound,
            Some("departments_organization_id_fkey") => Self::OrganizationNotFound,
            _ => Self::Database(error),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
