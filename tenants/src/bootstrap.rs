//! The first start: the platform's owner, the operator's key, and the demo organization.
//!
//! Safe to run at every start and by several gateways at once. The texts of the keys are in files
//! beside the journal, only their hashes are here; a file that is lost, or holds another text
//! than the row, is replaced by giving the row a new key, if [`IfLost`] says so.

mod store;

use chrono::{DateTime, Utc};
use database::{AsDatabaseError, Bulkhead, Database, WorkerTransaction};
use serde_json::json;
use types::id::User;
use types::{Clock, Id, Permissions, id};

use crate::audit::{self, Actor, Entry};
use crate::keys::format::{KeyHash, KeyText, NewKey};
use crate::organizations::{self, Organization};
use crate::scopes;

/// The e-mail address that stands for whoever runs the platform; nobody can sign in with it.
const OWNER_EMAIL: &str = "owner@flowpilot.invalid";

/// The organization of the operator, which pays for what the operator asks an AI.
pub const PLATFORM_SLUG: &str = "platform";

/// The organization to try things out with.
pub const DEMO_SLUG: &str = "demo";

/// What to do when a key is in the database and its text is not in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLost {
    /// Make a new key and let the old one die: right where one gateway has the database alone.
    Rotate,
    /// Leave it: another gateway has the file, and would be locked out.
    Keep,
}

/// What is there already, and what is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The contents of `<data-dir>/operator-key`, if it exists.
    pub operator_key: Option<&'a str>,
    /// The demo organization, if there is to be one: on the embedded server only.
    pub demo: Option<Demo<'a>>,
    /// What to do about a lost file.
    pub if_lost: IfLost,
}

/// The demo organization's key, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct Demo<'a> {
    /// The contents of `<data-dir>/demo-key`, if it exists.
    pub key: Option<&'a str>,
}

/// What was made; each text is to be written to its file (0600) now, or it is lost.
#[derive(Debug, Clone)]
pub struct Made {
    /// The platform's owner: what `created_by` gets when nobody else is behind a row.
    pub owner: Id<User>,
    /// The operator's own organization.
    pub platform: Id<id::Organization>,
    /// The new text of the operator's key; `None`: the file is right, or is left alone.
    pub operator_key: Option<KeyText>,
    /// The demo organization, if it was wanted.
    pub demo: Option<Id<id::Organization>>,
    /// The new text of the demo key; `None`: the file is right, or is left alone.
    pub demo_key: Option<KeyText>,
}

/// The first start failed.
#[derive(Debug, thiserror::Error)]
#[error("making the first organizations and keys")]
pub struct Error(#[from] database::Error);

impl AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        Some(&self.0)
    }
}

/// Makes what is missing, in one transaction.
pub async fn run(
    database: &Database,
    clock: &dyn Clock,
    wanted: &Wanted<'_>,
) -> Result<Made, Error> {
    let run = database.worker("tenants: bootstrap", Bulkhead::Control, |tx| {
        Box::pin(async move {
            store::lock(tx.connection()).await?;
            let mut first = First::new(tx, clock, wanted.if_lost).await?;
            let platform = first.organization(PLATFORM_SLUG, "Platform").await?;
            let operator_key = first.operator_key(platform, wanted.operator_key).await?;
            let mut made = Made {
                owner: first.actor.user,
                platform,
                operator_key,
                demo: None,
                demo_key: None,
            };
            if let Some(demo) = wanted.demo {
                let organization = first.organization(DEMO_SLUG, "Demo").await?;
                made.demo = Some(organization);
                made.demo_key = first.demo_key(organization, demo.key).await?;
            }
            Ok(made)
        })
    });
    run.await
}

/// The platform's owner, if the gateway was started once.
pub async fn find_owner(database: &Database) -> Result<Option<Id<User>>, database::Error> {
    let find = database.worker("tenants: find owner", Bulkhead::Control, |tx| {
        Box::pin(async move { store::find_user(tx.connection(), OWNER_EMAIL).await })
    });
    find.await
}

/// One run: everything in it happens at the same time, by the same owner.
struct First<'a, 'tx> {
    tx: &'a mut WorkerTransaction<'tx>,
    clock: &'a dyn Clock,
    now: DateTime<Utc>,
    actor: Actor,
    if_lost: IfLost,
}

impl<'a, 'tx> First<'a, 'tx> {
    async fn new(
        tx: &'a mut WorkerTransaction<'tx>,
        clock: &'a dyn Clock,
        if_lost: IfLost,
    ) -> Result<Self, database::Error> {
        let owner = match store::find_user(tx.connection(), OWNER_EMAIL).await? {
            Some(owner) => owner,
            None => store::insert_user(tx.connection(), Id::new(clock), OWNER_EMAIL).await?,
        };
        Ok(Self {
            tx,
            clock,
            now: clock.now(),
            actor: Actor::command(owner),
            if_lost,
        })
    }

    /// The organization with a slug, made with its owner as a member if it is missing.
    async fn organization(
        &mut self,
        slug: &str,
        name: &str,
    ) -> Result<Id<id::Organization>, database::Error> {
        let connection = self.tx.connection();
        if let Some(found) = organizations::store::find_by_slug(connection, slug).await? {
            return Ok(found.id);
        }
        let organization = Organization {
            id: Id::new(self.clock),
            name: name.to_owned(),
            slug: slug.to_owned(),
            parent_id: None,
            active: true,
            created_at: self.now,
        };
        organizations::store::insert(self.tx.connection(), &organization).await?;
        store::insert_owner(self.tx.connection(), organization.id, self.actor.user).await?;
        let new = json!({ "name": name, "slug": slug });
        let (id, resource) = (organization.id, organization.id.uuid());
        self.record(id, "organization.create", ("organization", resource), new)
            .await?;
        Ok(organization.id)
    }

    /// The new text of the operator's key, if it needs one.
    async fn operator_key(
        &mut self,
        platform: Id<id::Organization>,
        file: Option<&str>,
    ) -> Result<Option<KeyText>, database::Error> {
        let hashes = store::operator_key_hashes(self.tx.connection()).await?;
        if !self.is_needed(&hashes, file) {
            return Ok(None);
        }
        store::revoke_operator_keys(self.tx.connection(), self.now).await?;
        let id: Id<id::ApiKey> = Id::new(self.clock);
        let key = NewKey::generate(&mut rand::rng());
        let operator = store::OwnedKey {
            id,
            organization: platform,
            user: self.actor.user,
            created_at: self.now,
        };
        store::insert_operator_key(self.tx.connection(), &operator, &key).await?;
        let resource = ("operator_key", id.uuid());
        let new = json!({ "prefix": key.prefix });
        self.record(platform, "operator_key.create", resource, new)
            .await?;
        Ok(Some(key.text))
    }

    /// The new text of the demo organization's key, if it needs one.
    async fn demo_key(
        &mut self,
        demo: Id<id::Organization>,
        file: Option<&str>,
    ) -> Result<Option<KeyText>, database::Error> {
        let hashes = store::demo_key_hashes(self.tx.connection(), demo).await?;
        if !self.is_needed(&hashes, file) {
            return Ok(None);
        }
        store::revoke_demo_keys(self.tx.connection(), demo, self.actor.user, self.now).await?;
        let id: Id<id::ApiKey> = Id::new(self.clock);
        let key = NewKey::generate(&mut rand::rng());
        let owned = store::OwnedKey {
            id,
            organization: demo,
            user: self.actor.user,
            created_at: self.now,
        };
        // The one key of a machine that is tried out, so that everything can be tried.
        let scopes = scopes::words(Permissions::all_of_a_tenant());
        store::insert_demo_key(self.tx.connection(), &owned, &key, &scopes).await?;
        let resource = ("api_key", id.uuid());
        let new = json!({ "prefix": key.prefix, "scopes": scopes });
        self.record(demo, "api_key.create", resource, new).await?;
        Ok(Some(key.text))
    }

    /// Whether a new key has to be made.
    fn is_needed(&self, active: &[String], file: Option<&str>) -> bool {
        let hash = file.map(|text| KeyHash::of(text.trim()).to_string());
        let works = hash.is_some_and(|hash| active.contains(&hash));
        active.is_empty() || (!works && self.if_lost == IfLost::Rotate)
    }

    async fn record(
        &mut self,
        organization: Id<id::Organization>,
        action: &'static str,
        (resource_type, resource): (&'static str, uuid::Uuid),
        new: serde_json::Value,
    ) -> Result<(), database::Error> {
        let entry = Entry {
            organization,
            action,
            resource_type,
            resource,
            old: None,
            new: Some(new),
            at: self.now,
        };
        audit::record(self.tx.connection(), &self.actor, &entry).await
    }
}
