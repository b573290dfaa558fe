//! What the command line does: `flowpilot keys create | import | revoke | list`, and organizations.
//!
//! Whoever runs these is at the server itself, and stands in the audit trail as the platform's
//! owner, without a key.

use database::{Bulkhead, Database};
use types::Id;
use types::id::{self, User};

use crate::Tenants;
use crate::api_keys::{self, ApiKey, Draft};
use crate::audit::Actor;
use crate::bootstrap;
use crate::keys::format::NewKey;
use crate::organizations::{self, Organization};

/// How many keys one list shows: a screen is longer than anyone reads.
const KEYS_LISTED_MAX: i64 = 1000;

/// Why a command cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No organization has this slug or id.
    #[error("no organization has the slug or id {0:?}")]
    OrganizationNotFound(String),
    /// No key of the organization has this id or these public characters.
    #[error("no key of the organization has the id or prefix {0:?}, or several have it")]
    ApiKeyNotFound(String),
    /// The gateway was never started with this database.
    #[error("there is no owner yet; start the gateway once")]
    NoOwner,
    /// The key cannot be managed as asked.
    #[error("managing an API key")]
    ApiKey(#[from] api_keys::Error),
    /// The organization cannot be managed as asked.
    #[error("managing the organization")]
    Organization(#[from] organizations::Error),
    /// The database failed.
    #[error("asking the database")]
    Database(#[from] database::Error),
}

/// The organization with a slug or id.
pub async fn find_organization(
    database: &Database,
    slug_or_id: &str,
) -> Result<Organization, Error> {
    let find = database.worker("organizations: find named", Bulkhead::Control, |tx| {
        Box::pin(async move { organizations::find_named(tx, slug_or_id).await })
    });
    find.await?
        .ok_or_else(|| Error::OrganizationNotFound(slug_or_id.to_owned()))
}

/// Makes an organization.
pub async fn create_organization(
    tenants: &Tenants,
    draft: &organizations::Draft,
) -> Result<Organization, Error> {
    let actor = &owner(&tenants.database).await?;
    let (database, clock) = (&tenants.database, tenants.clock.as_ref());
    let create = database.worker("organizations: create", Bulkhead::Control, |tx| {
        Box::pin(async move { organizations::create(tx, clock, actor, draft).await })
    });
    Ok(create.await?)
}

/// Makes a key for the organization with a slug or id; its text is shown once.
pub async fn create_key(
    tenants: &Tenants,
    slug_or_id: &str,
    draft: &Draft,
) -> Result<(ApiKey, NewKey), Error> {
    let (organization, actor) = begin(tenants, slug_or_id).await?;
    let (actor, clock) = (&actor, tenants.clock.as_ref());
    let database = &tenants.database;
    let create = database.tenant("api keys: create", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::create(tx, clock, actor, draft).await })
    });
    Ok(create.await?)
}

/// Takes over a key for the organization with a slug or id.
pub async fn import_key(
    tenants: &Tenants,
    slug_or_id: &str,
    draft: &Draft,
    text: &str,
) -> Result<ApiKey, Error> {
    let (organization, actor) = begin(tenants, slug_or_id).await?;
    let (actor, clock) = (&actor, tenants.clock.as_ref());
    let database = &tenants.database;
    let import = database.tenant("api keys: import", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::import(tx, clock, actor, draft, text).await })
    });
    Ok(import.await?)
}

/// Revokes the key with an id or public characters.
pub async fn revoke_key(
    tenants: &Tenants,
    slug_or_id: &str,
    id_or_prefix: &str,
) -> Result<(), Error> {
    let (organization, actor) = begin(tenants, slug_or_id).await?;
    let (actor, clock) = (&actor, tenants.clock.as_ref());
    let database = &tenants.database;
    let revoke = database.tenant("api keys: revoke", Bulkhead::Control, organization, |tx| {
        Box::pin(async move {
            let id: Id<id::ApiKey> = match id_or_prefix.parse() {
                Ok(id) => id,
                Err(_) => match api_keys::find_by_prefix(tx, id_or_prefix).await? {
                    Some(key) => key.id,
                    None => return Err(api_keys::Error::NotFound),
                },
            };
            api_keys::revoke(tx, clock, actor, id).await
        })
    });
    revoke.await.map_err(|error| match error {
        api_keys::Error::NotFound => Error::ApiKeyNotFound(id_or_prefix.to_owned()),
        other => other.into(),
    })
}

/// The newest keys of the organization with a slug or id.
pub async fn list_keys(tenants: &Tenants, slug_or_id: &str) -> Result<Vec<ApiKey>, Error> {
    let organization = find_organization(&tenants.database, slug_or_id).await?.id;
    let database = &tenants.database;
    let list = database.tenant("api keys: list", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::list(tx, None, KEYS_LISTED_MAX).await })
    });
    Ok(list.await?)
}

async fn begin(
    tenants: &Tenants,
    slug_or_id: &str,
) -> Result<(Id<id::Organization>, Actor), Error> {
    let organization = find_organization(&tenants.database, slug_or_id).await?;
    Ok((organization.id, owner(&tenants.database).await?))
}

/// Whoever is at the server acts as the platform's owner.
async fn owner(database: &Database) -> Result<Actor, Error> {
    let owner: Option<Id<User>> = bootstrap::find_owner(database).await?;
    owner.map(Actor::command).ok_or(Error::NoOwner)
}
