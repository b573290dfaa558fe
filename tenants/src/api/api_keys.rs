//! The endpoints of keys.

pub mod create;
pub mod list;
pub mod revoke;
pub mod rotate;

use ::api::{Code, Problem};
use serde::Serialize;
use types::Id;
use types::id;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api_keys::{ApiKey, Error};
use crate::keys::format::NewKey;

/// The id of a key, in a path.
pub(crate) type ApiKeyPath = ::api::Path<Id<id::ApiKey>>;

/// A key with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiKey {
    /// The key.
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The text to send as `Authorization: Bearer …`. It cannot be shown again: only its hash is
    /// kept. Null when `secret_withheld` is true.
    #[schema(example = "fp_Zk3b90Qa_hN2vR8sT4wY6zB1dF3gH5jK7lM9pQ0rS_2fG6kP")]
    pub secret: Option<String>,
    /// True when this answer was given before and its secret is not kept: rotate the key to get
    /// a new one.
    pub secret_withheld: bool,
}

impl NewApiKey {
    fn shown(api_key: ApiKey, key: &NewKey) -> Self {
        Self {
            api_key,
            secret: Some(key.text.expose().to_owned()),
            secret_withheld: false,
        }
    }

    fn withheld(&self) -> Self {
        Self {
            api_key: self.api_key.clone(),
            secret: None,
            secret_withheld: true,
        }
    }
}

/// The path of one key, for documentation.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ApiKeyId {
    /// The key.
    pub id: Uuid,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found("API key"),
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::Revoked => Self::new(Code::Conflict).detail("a revoked key cannot be rotated"),
            Error::Name(error) => Self::invalid_field("name", error.to_string()),
            Error::Expired => Self::invalid_field("expires_at", "must lie in the future"),
            Error::OperatorOnly(permission) => {
                let message = format!("{permission} belongs to the operator alone");
                Self::invalid_field("scopes", message)
            }
            Error::Exceeds(permission) => Self::new(Code::PermissionDenied).detail(format!(
                "the key would give you {permission}, which yours does not have"
            )),
            Error::NoPermissions => Self::invalid_field("scopes", "must name a permission"),
            Error::Import(error) => Self::invalid_field("key", error.to_string()),
            Error::Taken => Self::new(Code::AlreadyExists).detail("this key cannot be used"),
            Error::Database(error) => error.into(),
        }
    }
}
