//! The tenants themselves: made by the operator, seen by their own keys.

pub(crate) mod store;

use chrono::{DateTime, Utc};
use database::{TenantTransaction, WorkerTransaction};
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::{Clock, Id, id};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::{self, Actor, Entry};
use crate::text::{self, NameError};

/// The longest name, in characters: the width of its column.
const NAME_CHARS_MAX: usize = 255;

/// The longest slug, in characters: the width of its column.
const SLUG_CHARS_MAX: usize = 100;

/// How many organizations may stand above another: more is a mistake, not a company.
const DEPTH_MAX: i64 = 5;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Organization {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: Id<id::Organization>,
    /// What people call it.
    #[schema(example = "Acme Insurance")]
    pub name: String,
    /// Its name in addresses and on the command line; unique.
    #[schema(example = "acme")]
    pub slug: String,
    /// The organization it is part of.
    #[schema(value_type = Option<Uuid>)]
    pub parent_id: Option<Id<id::Organization>>,
    /// Whether its keys work.
    pub active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// An organization that is to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// The organization it is part of.
    pub parent_id: Option<Id<id::Organization>>,
}

/// The sort key of a list: newest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Position {
    created_at: DateTime<Utc>,
    id: Uuid,
}

/// Why organizations cannot be managed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot be one.
    #[error("the name is not acceptable")]
    Name(#[source] NameError),
    /// The slug has other characters than small letters, digits and hyphens, or too many.
    #[error("the slug is not acceptable")]
    Slug,
    /// Another organization has the slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// There is no such parent.
    #[error("no such parent organization")]
    ParentNotFound,
    /// The parent has too many parents itself.
    #[error("organizations are nested too deeply")]
    TooDeep,
    /// The database failed.
    #[error("managing organizations")]
    Database(#[source] database::Error),
}

/// Makes an organization.
pub async fn create(
    tx: &mut WorkerTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    draft: &Draft,
) -> Result<Organization, Error> {
    let organization = Organization {
        id: Id::new(clock),
        name: text::name(&draft.name, NAME_CHARS_MAX).map_err(Error::Name)?,
        slug: slug(&draft.slug)?,
        parent_id: draft.parent_id,
        active: true,
        created_at: clock.now(),
    };
    if let Some(parent) = draft.parent_id {
        match store::depth(tx.connection(), parent, DEPTH_MAX).await? {
            0 => return Err(Error::ParentNotFound),
            depth if depth >= DEPTH_MAX => return Err(Error::TooDeep),
            _ => {}
        }
    }
    store::insert(tx.connection(), &organization).await?;
    let entry = Entry {
        organization: organization.id,
        action: "organization.create",
        resource_type: "organization",
        resource: organization.id.uuid(),
        old: None,
        new: Some(json!({
            "name": organization.name,
            "slug": organization.slug,
            "parent_id": organization.parent_id,
        })),
        at: organization.created_at,
    };
    audit::record(tx.connection(), actor, &entry).await?;
    Ok(organization)
}

fn slug(text: &str) -> Result<String, Error> {
    let fits = (1..=SLUG_CHARS_MAX).contains(&text.len());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if fits && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Error::Slug)
}

/// The organization of the transaction.
pub async fn find(tx: &mut TenantTransaction<'_>) -> Result<Option<Organization>, Error> {
    let organization = tx.organization();
    Ok(store::find(tx.connection(), organization).await?)
}

/// The organization with a slug or id.
pub async fn find_named(
    tx: &mut WorkerTransaction<'_>,
    slug_or_id: &str,
) -> Result<Option<Organization>, Error> {
    let found = match slug_or_id.parse() {
        Ok(id) => store::find(tx.connection(), id).await?,
        Err(_) => store::find_by_slug(tx.connection(), slug_or_id).await?,
    };
    Ok(found)
}

/// All organizations, newest first; for the operator.
pub async fn list(
    tx: &mut WorkerTransaction<'_>,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Organization>, Error> {
    Ok(store::list(tx.connection(), after, limit).await?)
}

impl Organization {
    /// Where it stands in a list.
    pub const fn position(&self) -> Position {
        Position {
            created_at: self.created_at,
            id: self.id.uuid(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error.constraint() {
            Some("organizations_slug_key") => Self::SlugTaken,
            Some("organizations_parent_id_fkey") => Self::ParentNotFound,
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
